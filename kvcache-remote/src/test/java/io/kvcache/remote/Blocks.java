package io.kvcache.remote;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import io.kvcache.KvLayout;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** Keys and blocks for tests: the bytes of a block follow from its key and its size. */
final class Blocks {
    static final int TOKENS = 16;
    static final KvLayout LAYOUT =
            KvLayout.builder().layers(1).kvHeads(1).headSize(64).build();

    private Blocks() {}

    /** The key of a number in a namespace; no two belong to one run. */
    static BlockKey key(String namespace, int number) {
        byte[] digest = new byte[BlockKey.DIGEST_BYTES];
        new SplittableRandom(number).nextBytes(digest);
        int[] tokens = new int[TOKENS];
        Arrays.setAll(tokens, i -> number * 31 + i);
        return BlockKey.of(namespace, digest, tokens);
    }

    /** The first blocks of a path, as a cache names them. */
    static List<BlockKey> path(BlockKey root, int blocks) {
        List<BlockKey> path = new ArrayList<>();
        BlockKey last = root;
        for (int i = 0; i < blocks; i++) {
            int[] tokens = new int[TOKENS];
            Arrays.fill(tokens, i);
            last = last.child(tokens, 0, TOKENS);
            path.add(last);
        }
        return path;
    }

    static BlockKey root(String model, String namespace) {
        return BlockKey.root(model, LAYOUT, namespace, List.of());
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
        for (long at = 0; at < bytes; at++) {
            block.set(ValueLayout.JAVA_BYTE, at, (byte) random.nextInt());
        }
        return block;
    }

    static boolean store(BlockStore store, BlockKey key, long bytes) throws IOException {
        return store.store(key, BlockNote.DEFAULT, block(key, bytes));
    }

    /** Loads a block, and fails if other bytes come than belong to its key; returns whether it was there. */
    static boolean load(BlockStore store, BlockKey key, long bytes) throws IOException {
        return loadNote(store, key, bytes) != null;
    }

    /** Loads a block, and fails if other bytes come than belong to its key; returns what came with it, or null. */
    static @Nullable BlockNote loadNote(BlockStore store, BlockKey key, long bytes) throws IOException {
        MemorySegment target = memory(bytes);
        BlockNote note = store.load(key, target);
        if (note != null && target.mismatch(block(key, bytes)) != -1) {
            throw new AssertionError("wrong bytes: key=" + key);
        }
        return note;
    }
}
