package io.kvcache.attention;

import io.kvcache.KvType;
import jdk.incubator.vector.VectorShape;

/**
 * What distinguishes one instance of {@link VectorKernels} from another.
 *
 * @param exact whether elements may be infinite or NaN; only F16 loops are faster where they are not
 */
record VectorKernel(KvType type, VectorShape shape, boolean exact) {}
