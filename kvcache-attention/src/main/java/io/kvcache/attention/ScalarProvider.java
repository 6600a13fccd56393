package io.kvcache.attention;

import io.kvcache.KvType;

/**
 * Loops in plain Java, for every machine and JVM.
 *
 * <p>Thread-safe: immutable.
 */
final class ScalarProvider implements KernelProvider {
    @Override
    public HeadKernels kernels(KvType type, boolean exact) {
        return new ScalarKernels(type);
    }

    @Override
    public String toString() {
        return "scalar";
    }
}
