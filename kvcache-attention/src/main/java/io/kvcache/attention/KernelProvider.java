package io.kvcache.attention;

import io.kvcache.KvType;

/**
 * Makes the inner loops for element types, one way or another.
 *
 * <p>Thread-safe.
 */
interface KernelProvider {
    /**
     * The loops for a type.
     *
     * @param exact whether elements may be infinite or NaN
     */
    HeadKernels kernels(KvType type, boolean exact);
}
