package io.kvcache;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.security.SecureRandom;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * A store that remembers what another has not got; see {@link BlockStore#rememberingMisses}.
 *
 * <p>Thread-safe.
 */
final class MissMemory implements BlockStore {
    // A look-up asks the other store without the lock, so that the block may be stored before its miss is noted:
    //
    //   load   |-- reads change --| other.load: no |---------------- notes the miss, unless change is another now --|
    //   store           |-- other.store ------------| counts change, forgets the miss --|
    //
    // The other store is done before a store counts, so that a look-up that begins later finds the block. Changes are
    // counted by stripes of the fingerprint: a stranger in the stripe costs a miss that is not remembered. Removing and
    // erasing make no miss untrue. What is over stays until newer misses push it out.
    private static final int STRIPES = 256;

    private final BlockStore other;
    private final long timeNanos;
    private final double jitter;
    private final NanoClock clock;
    private final long start;

    private final Object lock = new Object(); // guards what follows
    private final GhostTable misses; // fingerprint -> until when, in nanoseconds since the start
    private final int[] changes = new int[STRIPES];
    private final SplittableRandom random;

    MissMemory(BlockStore other, MissOptions options, NanoClock clock) {
        this(other, options, clock, new SecureRandom().nextLong());
    }

    /** Makes an empty memory whose chances come from a seed, for tests. */
    MissMemory(BlockStore other, MissOptions options, NanoClock clock, long seed) {
        this.other = Objects.requireNonNull(other, "store");
        this.timeNanos = options.timeNanos();
        this.jitter = options.jitter();
        this.clock = clock;
        this.start = clock.nanoTime();
        this.misses = new GhostTable(options.maximumEntries());
        this.random = new SplittableRandom(seed);
    }

    @Override
    public int held(List<BlockKey> path) throws IOException {
        if (path.isEmpty()) {
            return 0;
        }
        int known = firstMiss(path);
        if (known == 0) {
            return 0;
        }
        List<BlockKey> asked = path.subList(0, known);
        int[] changesBefore = changesOf(asked);
        int held = other.held(asked);
        if (held < known) {
            noteMiss(asked.get(held), changesBefore[held]);
        }
        return held;
    }

    /** How many keys come before the first one that is known to be missing. */
    private int firstMiss(List<BlockKey> path) {
        long now = now();
        synchronized (lock) {
            int at = 0;
            while (at < path.size() && misses.get(path.get(at).fingerprint()) <= now) {
                at++;
            }
            return at;
        }
    }

    private int[] changesOf(List<BlockKey> path) {
        synchronized (lock) {
            return path.stream()
                    .mapToInt(key -> changes[stripe(key.fingerprint())])
                    .toArray();
        }
    }

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
        long fingerprint = key.fingerprint();
        long before = now();
        int change;
        synchronized (lock) {
            if (misses.get(fingerprint) > before) {
                return null;
            }
            change = changes[stripe(fingerprint)];
        }
        BlockNote found = other.load(key, target);
        if (found == null) {
            noteMiss(key, change);
        }
        return found;
    }

    private void noteMiss(BlockKey key, int changeBefore) {
        long fingerprint = key.fingerprint();
        long after = now();
        synchronized (lock) {
            if (changes[stripe(fingerprint)] == changeBefore) {
                remember(fingerprint, after);
            }
        }
    }

    private void remember(long fingerprint, long now) {
        long time = timeNanos - (long) (timeNanos * jitter * random.nextDouble());
        misses.take(fingerprint); // of another look-up at the same time
        misses.put(fingerprint, now + Math.min(time, Long.MAX_VALUE - now));
    }

    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        try {
            return other.store(key, note, block);
        } finally { // it may be there even if that threw
            long fingerprint = key.fingerprint();
            synchronized (lock) {
                changes[stripe(fingerprint)]++;
                misses.take(fingerprint);
            }
        }
    }

    @Override
    public void remove(BlockKey key) throws IOException {
        other.remove(key);
    }

    @Override
    public void erase(String namespace) throws IOException {
        other.erase(namespace);
    }

    @Override
    public void close() throws IOException {
        other.close();
    }

    /** How many misses are noted, those whose time is over included. */
    int size() {
        synchronized (lock) {
            return misses.size();
        }
    }

    private long now() {
        return Math.max(0, clock.nanoTime() - start);
    }

    private static int stripe(long fingerprint) {
        return (int) fingerprint & (STRIPES - 1);
    }

    @Override
    public String toString() {
        return "MissMemory[" + other + "]";
    }
}
