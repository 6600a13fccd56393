package io.kvcache.demo;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A store on the heap that outlives its caches, and does what a test says in the middle of its calls.
 *
 * <p>Thread-safe.
 */
final class HeapTier implements BlockStore {
    private final Map<BlockKey, Stored> blocks = new ConcurrentHashMap<>();
    volatile Interruption duringLoads = () -> {};
    volatile Interruption duringStores = () -> {};

    /** What happens in the middle of a call. */
    @FunctionalInterface
    interface Interruption {
        void run() throws IOException;
    }

    private record Stored(BlockNote note, MemorySegment block) {}

    @Override
    public int held(List<BlockKey> path) {
        int at = 0;
        while (at < path.size() && blocks.containsKey(path.get(at))) {
            at++;
        }
        return at;
    }

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
        duringLoads.run();
        Stored found = blocks.get(key);
        if (found == null) {
            return null;
        }
        target.copyFrom(found.block);
        return found.note;
    }

    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        duringStores.run();
        blocks.put(key, new Stored(note, MemorySegment.ofArray(block.toArray(ValueLayout.JAVA_BYTE))));
        return true;
    }

    @Override
    public void remove(BlockKey key) {
        blocks.remove(key);
    }

    @Override
    public void erase(String namespace) {
        blocks.keySet().removeIf(key -> key.namespace().equals(namespace));
    }

    @Override
    public void close() {
        // what is there is for the next cache
    }
}
