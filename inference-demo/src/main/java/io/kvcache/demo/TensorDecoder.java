package io.kvcache.demo;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Converts stored elements to F32.
 *
 * <p>Stateless, hence thread-safe.
 */
final class TensorDecoder {
    /*
     * Stored bytes are first copied out of the mapping, a chunk at a time: Float.float16ToFloat becomes vector
     * instructions only from array to array, and a vector load from a mapping whose file has been cut short meanwhile
     * brings the JVM down, where a copy fails with an InternalError.
     */
    private static final int CHUNK_ELEMENTS = 4096;

    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private TensorDecoder() {}

    /** Converts {@code count} elements from {@code first} on; both are multiples of the block's elements. */
    static void decode(TensorType type, MemorySegment data, long first, float[] destination, int offset, int count) {
        MemorySegment stored = data.asSlice(type.bytes(first), type.bytes(count));
        if (type.equals(TensorType.F32)) {
            MemorySegment.copy(stored, FLOAT, 0, destination, offset, count);
        } else if (type.equals(TensorType.F16)) {
            decodeHalves(stored, destination, offset, count);
        } else {
            decodeBytes(stored, destination, offset, count);
        }
    }

    private static void decodeHalves(MemorySegment stored, float[] destination, int offset, int count) {
        short[] chunk = new short[Math.min(count, CHUNK_ELEMENTS)];
        for (int done = 0; done < count; done += chunk.length) {
            int length = Math.min(chunk.length, count - done);
            MemorySegment.copy(stored, SHORT, (long) done * Short.BYTES, chunk, 0, length);
            decodeHalves(chunk, destination, offset + done, length);
        }
    }

    private static void decodeHalves(short[] halves, float[] destination, int offset, int length) {
        for (int index = 0; index < length; index++) {
            destination[offset + index] = Float.float16ToFloat(halves[index]);
        }
    }

    private static void decodeBytes(MemorySegment stored, float[] destination, int offset, int count) {
        int blockElements = TensorType.Q8_0.blockElements();
        byte[] block = new byte[TensorType.Q8_0.blockBytes()];
        for (int done = 0; done < count; done += blockElements) {
            MemorySegment.copy(stored, ValueLayout.JAVA_BYTE, TensorType.Q8_0.bytes(done), block, 0, block.length);
            decodeBlock(block, destination, offset + done);
        }
    }

    private static void decodeBlock(byte[] block, float[] destination, int offset) {
        float scale = Float.float16ToFloat((short) ((block[0] & 0xFF) | (block[1] << Byte.SIZE)));
        for (int index = Short.BYTES; index < block.length; index++) {
            destination[offset + index - Short.BYTES] = scale * block[index];
        }
    }
}
