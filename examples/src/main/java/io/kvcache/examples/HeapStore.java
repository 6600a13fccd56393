package io.kvcache.examples;

import io.kvcache.BlockKey;
import io.kvcache.BlockStore;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Stands in for a slow store: blocks on the heap, and a count of how often it was asked.
 *
 * <p>Thread-safe.
 */
final class HeapStore implements BlockStore {
    final AtomicInteger loads = new AtomicInteger();
    private final ConcurrentHashMap<BlockKey, byte[]> blocks = new ConcurrentHashMap<>();

    @Override
    public boolean load(BlockKey key, MemorySegment target) {
        loads.incrementAndGet();
        byte[] found = blocks.get(key);
        if (found == null) {
            return false;
        }
        target.copyFrom(MemorySegment.ofArray(found));
        return true;
    }

    @Override
    public boolean store(BlockKey key, MemorySegment block) {
        blocks.put(key, block.toArray(ValueLayout.JAVA_BYTE));
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
