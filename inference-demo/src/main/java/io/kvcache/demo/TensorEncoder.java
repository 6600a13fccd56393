package io.kvcache.demo;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Converts F32 values to the bytes of a tensor.
 *
 * <p>Stateless, hence thread-safe.
 */
final class TensorEncoder {
    /** The largest magnitude of a Q8_0 element; -128 is not used. */
    private static final float HIGHEST_BYTE = 127;

    private TensorEncoder() {}

    /** The bytes of whole blocks. */
    static byte[] encode(TensorType type, float[] values) {
        ByteBuffer bytes =
                ByteBuffer.allocate(Math.toIntExact(type.bytes(values.length))).order(ByteOrder.LITTLE_ENDIAN);
        if (type.equals(TensorType.F32)) {
            bytes.asFloatBuffer().put(values);
        } else if (type.equals(TensorType.F16)) {
            putHalves(bytes, values);
        } else {
            putBlocks(bytes, values);
        }
        return bytes.array();
    }

    private static void putHalves(ByteBuffer bytes, float[] values) {
        for (float value : values) {
            bytes.putShort(Float.floatToFloat16(value));
        }
    }

    private static void putBlocks(ByteBuffer bytes, float[] values) {
        for (int first = 0; first < values.length; first += TensorType.Q8_0.blockElements()) {
            putBlock(bytes, values, first);
        }
    }

    /** A scale so that the largest magnitude becomes 127, and the rounded quotients. */
    private static void putBlock(ByteBuffer bytes, float[] values, int first) {
        int end = first + TensorType.Q8_0.blockElements();
        float largest = 0;
        for (int index = first; index < end; index++) {
            largest = Math.max(largest, Math.abs(values[index]));
        }
        float scale = largest / HIGHEST_BYTE;
        bytes.putShort(Float.floatToFloat16(scale));
        for (int index = first; index < end; index++) {
            bytes.put((byte) Math.round(scale == 0 ? 0 : values[index] / scale));
        }
    }
}
