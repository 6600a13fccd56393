package io.kvcache.examples;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Stands in for a slow store: blocks on the heap, and a count of how often it was asked.
 *
 * <p>Thread-safe.
 */
final class HeapStore implements BlockStore {
    final AtomicInteger loads = new AtomicInteger();
    private final ConcurrentHashMap<BlockKey, Stored> blocks = new ConcurrentHashMap<>();

    private record Stored(BlockNote note, MemorySegment bytes) {}

    @Override
    public int held(List<BlockKey> path) {
        int at = 0;
        while (at < path.size() && blocks.containsKey(path.get(at))) {
            at++;
        }
        return at;
    }

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) {
        loads.incrementAndGet();
        Stored found = blocks.get(key);
        if (found == null) {
            return null;
        }
        target.copyFrom(found.bytes);
        return found.note;
    }

    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) {
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
        blocks.clear();
    }
}
