package io.kvcache.attention;

import io.kvcache.KvType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandles;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShape;

/**
 * Loops in vectors of one width. Each type has a hidden class made from {@link VectorKernels}, once in a process, as each is
 * compiled by the JIT for itself.
 *
 * <p>Thread-safe.
 */
final class VectorProvider implements KernelProvider {
    // On vectors of 512 bits the JIT of JDK 25 boxes in some loops (soft caps, several types in one process), which is
    // garbage at each call, for a gain of about a tenth.
    private static final int WIDEST = 256;

    private static final Map<VectorKernel, HeadKernels> MADE = new ConcurrentHashMap<>();

    private final VectorShape shape;

    private VectorProvider(VectorShape shape) {
        this.shape = shape;
    }

    /** Of the width that the machine prefers, up to {@value #WIDEST} bits. */
    static VectorProvider preferred() {
        return of(Math.min(WIDEST, FloatVector.SPECIES_PREFERRED.vectorBitSize()));
    }

    /** Of a given width; slow where the machine has none such. */
    static VectorProvider of(int bits) {
        return new VectorProvider(VectorShape.forBitSize(bits));
    }

    int bits() {
        return shape.vectorBitSize();
    }

    @Override
    public HeadKernels kernels(KvType type, boolean exact) {
        VectorKernel kernel = new VectorKernel(type, shape, exact && type == KvType.F16);
        return MADE.computeIfAbsent(kernel, VectorProvider::make);
    }

    private static HeadKernels make(VectorKernel kernel) {
        try {
            MethodHandles.Lookup made = MethodHandles.lookup().defineHiddenClassWithClassData(template(), kernel, true);
            return (HeadKernels) made.lookupClass().getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("cannot make vector loops: kernel=" + kernel, e);
        }
    }

    private static byte[] template() {
        try (InputStream bytes = VectorProvider.class.getResourceAsStream("VectorKernels.class")) {
            if (bytes == null) {
                throw new IllegalStateException("class file is missing: VectorKernels");
            }
            return bytes.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public String toString() {
        return "vectors of " + bits() + " bits";
    }
}
