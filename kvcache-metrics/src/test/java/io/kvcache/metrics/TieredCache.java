package io.kvcache.metrics;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import io.kvcache.CacheListener;
import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import io.kvcache.TierOptions;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** A small cache over a tier, on a clock that moves when told, in which everything that is counted of tiers has happened. */
final class TieredCache implements AutoCloseable {
    static final int QUEUED_BLOCKS = 4;
    private static final int BLOCKS = 12;
    private static final long LATE_NANOS = Duration.ofMillis(251).toNanos();

    final AtomicLong nanos = new AtomicLong();
    final FickleStore disk = new FickleStore();
    final KvCache cache;
    final Namespace chat;
    private final Queue<Runnable> tasks = new ArrayDeque<>();
    private boolean atOnce;

    TieredCache(CacheListener listener) {
        cache = KvCache.builder(BusyCache.LAYOUT)
                .maximumBytes(BLOCKS * BusyCache.LAYOUT.blockBytes())
                .model("none")
                .clock(nanos::get)
                .listener(listener, Runnable::run)
                .tier(tier("disk", disk))
                .build();
        chat = cache.namespace("chat");
    }

    TierOptions tier(String name, BlockStore store) {
        return TierOptions.of(name, store)
                .withMisses(null)
                .withQueuedBlocks(QUEUED_BLOCKS)
                .withExecutor(this::take);
    }

    private void take(Runnable task) {
        if (atOnce) {
            task.run();
        } else {
            tasks.add(task);
        }
    }

    void runTasks() {
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
            task.run();
        }
    }

    /** A store on the heap that does what it is told. */
    static final class FickleStore implements BlockStore {
        private final Map<BlockKey, byte[]> blocks = new HashMap<>();
        boolean fails;
        boolean declines;
        boolean boasts; // of what it has not got
        Runnable duringCalls = () -> {};

        private void begin() throws IOException {
            duringCalls.run();
            if (fails) {
                throw new IOException("store is asked to fail");
            }
        }

        @Override
        public int held(List<BlockKey> path) throws IOException {
            begin();
            int at = 0;
            while (at < path.size() && (boasts || blocks.containsKey(path.get(at)))) {
                at++;
            }
            return at;
        }

        @Override
        public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
            begin();
            byte[] block = blocks.get(key);
            if (block == null) {
                return null;
            }
            target.copyFrom(MemorySegment.ofArray(block));
            return BlockNote.DEFAULT;
        }

        @Override
        public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
            begin();
            if (!declines) {
                blocks.put(key, block.toArray(ValueLayout.JAVA_BYTE));
            }
            return !declines;
        }

        @Override
        public void remove(BlockKey key) throws IOException {
            begin();
            blocks.remove(key);
        }

        @Override
        public void erase(String namespace) throws IOException {
            begin();
            blocks.keySet().removeIf(key -> key.namespace().equals(namespace));
        }

        @Override
        public void close() {
            blocks.clear();
        }
    }

    private void store(int seed, int blocks) {
        BusyCache.computeAndClose(chat, BusyCache.prompt(seed, 4 * blocks + 1));
        runTasks();
    }

    private void load(int seed) {
        try (Sequence sequence = chat.open(BusyCache.prompt(seed, 9))) {
            runTasks();
            sequence.adopt();
        }
    }

    /** Lets everything happen; nothing waits at the end. */
    void beBusy() {
        store(1, 2);
        disk.declines = true;
        store(2, 1);
        disk.declines = false;
        disk.duringCalls = () -> nanos.addAndGet(LATE_NANOS);
        store(3, 1); // late
        disk.duringCalls = () -> {};
        disk.fails = true;
        store(4, 1);
        disk.fails = false;
        BusyCache.computeAndClose(chat, BusyCache.prompt(5, 4 * QUEUED_BLOCKS + 9)); // two are dropped
        BusyCache.computeAndClose(chat, BusyCache.prompt(6, 4 * BLOCKS)); // what waits is lost
        runTasks();
        load(1);
        disk.boasts = true;
        load(7); // missed
        disk.boasts = false;
        try (Sequence sequence = chat.open(BusyCache.prompt(8, 9))) {
            nanos.addAndGet(LATE_NANOS);
            sequence.isFollowing(); // late
        }
        runTasks();
        Namespace gone = cache.namespace("gone");
        disk.fails = true;
        atOnce = true;
        BusyCache.compute(gone, OpenOptions.DEFAULT.withoutLookup(), BusyCache.prompt(9, 5))
                .close();
        gone.erase(); // does not reach the tier
        atOnce = false;
        for (int seed = 10; seed < 16; seed++) {
            load(seed); // until the tier is left alone
        }
        disk.fails = false;
    }

    @Override
    public void close() {
        disk.fails = false;
        nanos.addAndGet(Duration.ofMinutes(1).toNanos());
        cache.maintain(100);
        runTasks();
        cache.verify();
        atOnce = true;
        cache.close();
    }
}
