package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
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
    final AtomicInteger looks = new AtomicInteger();
    final AtomicInteger loads = new AtomicInteger();
    final AtomicInteger stores = new AtomicInteger();
    final AtomicInteger removals = new AtomicInteger();
    final AtomicInteger erasures = new AtomicInteger();
    final AtomicInteger closures = new AtomicInteger();

    /** What the next call does between its work and its return; it may call the store again. */
    volatile @Nullable Interruption next;

    /** What every call does between its work and its return. */
    volatile @Nullable Interruption always;

    /** Whether the next interruption comes before the work of its call. */
    volatile boolean before;

    /** Whether every call does what the next one does. */
    volatile boolean again;

    /** The calls that the next interruption is for; null: any. */
    volatile @Nullable AtomicInteger only;

    /** Whether it declines every block. */
    volatile boolean full;

    private final Map<BlockKey, Stored> blocks = new ConcurrentHashMap<>();

    private record Stored(BlockNote note, MemorySegment bytes) {}

    /** What happens in the middle of a call. */
    @FunctionalInterface
    interface Interruption {
        void run() throws IOException;
    }

    @Override
    public int held(List<BlockKey> path) throws IOException {
        begin(looks);
        int at = 0;
        while (at < path.size() && blocks.containsKey(path.get(at))) {
            at++;
        }
        end(looks);
        return at;
    }

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
        begin(loads);
        Stored found = blocks.get(key);
        if (found != null) {
            assertEquals(found.bytes.byteSize(), target.byteSize(), "equal keys have blocks of one size");
            target.copyFrom(found.bytes);
        }
        end(loads);
        return found == null ? null : found.note;
    }

    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        begin(stores);
        if (!full) {
            blocks.put(key, new Stored(note, MemorySegment.ofArray(block.toArray(JAVA_BYTE))));
        }
        end(stores);
        return !full;
    }

    @Override
    public void remove(BlockKey key) throws IOException {
        begin(removals);
        blocks.remove(key);
        end(removals);
    }

    @Override
    public void erase(String namespace) throws IOException {
        begin(erasures);
        blocks.keySet().removeIf(key -> key.namespace().equals(namespace));
        end(erasures);
    }

    @Override
    public void close() throws IOException {
        begin(closures);
        end(closures);
    }

    private void begin(AtomicInteger calls) throws IOException {
        calls.incrementAndGet();
        if (before) {
            before = false;
            interrupt(calls);
        }
    }

    private void end(AtomicInteger calls) throws IOException {
        interrupt(calls);
        Interruption interruption = always;
        if (interruption != null) {
            interruption.run();
        }
    }

    private void interrupt(AtomicInteger calls) throws IOException {
        Interruption interruption = next;
        if (interruption != null && (only == null || calls.equals(only))) {
            if (!again) {
                next = null;
                only = null;
            }
            interruption.run();
        }
    }

    int size() {
        return blocks.size();
    }

    boolean contains(BlockKey key) {
        return blocks.containsKey(key);
    }
}
