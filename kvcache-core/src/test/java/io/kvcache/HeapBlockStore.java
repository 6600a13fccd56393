package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A store on the Java heap that counts calls, fails, declines, and lets a test act in the middle of a call.
 *
 * <p>Thread-safe.
 */
final class HeapBlockStore implements BlockStore {
    final AtomicInteger loads = new AtomicInteger();
    final AtomicInteger stores = new AtomicInteger();
    final AtomicInteger removals = new AtomicInteger();
    final AtomicInteger erasures = new AtomicInteger();
    final AtomicInteger closures = new AtomicInteger();

    /** What the next call does between its work and its return; it may call the store again. */
    volatile @Nullable Interruption next;

    /** Whether it declines every block. */
    volatile boolean full;

    private final Map<BlockKey, byte[]> blocks = new ConcurrentHashMap<>();

    /** What happens in the middle of a call. */
    @FunctionalInterface
    interface Interruption {
        void run() throws IOException;
    }

    @Override
    public boolean load(BlockKey key, MemorySegment target) throws IOException {
        loads.incrementAndGet();
        byte @Nullable [] found = blocks.get(key);
        if (found != null) {
            assertEquals(found.length, target.byteSize(), "equal keys have blocks of one size");
            MemorySegment.copy(found, 0, target, JAVA_BYTE, 0, found.length);
        }
        interrupt();
        return found != null;
    }

    @Override
    public boolean store(BlockKey key, MemorySegment block) throws IOException {
        stores.incrementAndGet();
        if (!full) {
            blocks.put(key, block.toArray(JAVA_BYTE));
        }
        interrupt();
        return !full;
    }

    @Override
    public void remove(BlockKey key) throws IOException {
        removals.incrementAndGet();
        blocks.remove(key);
        interrupt();
    }

    @Override
    public void erase(String namespace) throws IOException {
        erasures.incrementAndGet();
        blocks.keySet().removeIf(key -> key.namespace().equals(namespace));
        interrupt();
    }

    @Override
    public void close() throws IOException {
        closures.incrementAndGet();
        interrupt();
    }

    private void interrupt() throws IOException {
        Interruption interruption = next;
        if (interruption != null) {
            next = null;
            interruption.run();
        }
    }

    boolean contains(BlockKey key) {
        return blocks.containsKey(key);
    }
}
