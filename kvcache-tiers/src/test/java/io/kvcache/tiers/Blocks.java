package io.kvcache.tiers;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Keys and blocks for tests: the bytes of a block follow from its key and its size. */
final class Blocks {
    static final int TOKENS = 16;
    private static final int PAGE_BYTES = 4096;

    private Blocks() {}

    /** The key of a number in a namespace. */
    static BlockKey key(String namespace, int number) {
        return key(namespace, number, number);
    }

    /** The key of a number whose digest is another number's. */
    static BlockKey key(String namespace, int number, int digestNumber) {
        byte[] digest = new byte[BlockKey.DIGEST_BYTES];
        SplittableRandom random = new SplittableRandom(digestNumber);
        random.nextBytes(digest);
        int[] tokens = new int[TOKENS];
        Arrays.setAll(tokens, i -> number * 31 + i);
        return BlockKey.of(namespace, digest, tokens);
    }

    static MemorySegment memory(long bytes) {
        return Arena.ofAuto().allocate(bytes, 8);
    }

    /** What belongs to a key. */
    static MemorySegment block(BlockKey key, long bytes) {
        MemorySegment block = memory(bytes);
        long seed = Objects.hash(key.namespace(), Arrays.hashCode(key.tokens()))
                ^ ByteBuffer.wrap(key.digest()).getLong();
        SplittableRandom random = new SplittableRandom(seed);
        for (long at = 0; at + 8 <= bytes; at += 8) {
            block.set(ValueLayout.JAVA_LONG_UNALIGNED, at, random.nextLong());
        }
        return block;
    }

    /** Whether the second half of a block is in any file of a directory, at a page: a part would be too much. */
    static boolean isInFiles(Path directory, BlockKey key) throws IOException {
        byte[] block = block(key, PAGE_BYTES).toArray(ValueLayout.JAVA_BYTE);
        try (Stream<Path> paths = Files.list(directory)) {
            for (Path path : paths.filter(Files::isRegularFile).toList()) {
                byte[] bytes = Files.readAllBytes(path);
                for (int at = 0; at + PAGE_BYTES <= bytes.length; at += PAGE_BYTES) {
                    if (Arrays.equals(bytes, at + PAGE_BYTES / 2, at + PAGE_BYTES, block, PAGE_BYTES / 2, PAGE_BYTES)) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    static boolean store(DiskStore store, BlockKey key, long bytes) throws IOException {
        return store.store(key, BlockNote.DEFAULT, block(key, bytes));
    }

    /** Loads a block, and fails if other bytes come than belong to its key; returns whether it was there. */
    static boolean load(io.kvcache.BlockStore store, BlockKey key, long bytes) throws IOException {
        return loadNote(store, key, bytes) != null;
    }

    /** Loads a block, and fails if other bytes come than belong to its key; returns what came with it, or null. */
    static @Nullable BlockNote loadNote(io.kvcache.BlockStore store, BlockKey key, long bytes) throws IOException {
        MemorySegment target = memory(bytes);
        BlockNote note = store.load(key, target);
        if (note != null && target.mismatch(block(key, bytes)) != -1) {
            throw new AssertionError("wrong bytes: key=" + key);
        }
        return note;
    }
}
