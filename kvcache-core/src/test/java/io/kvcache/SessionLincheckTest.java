package io.kvcache;

import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Options;
import org.jetbrains.lincheck.datastructures.Param;
import org.jetbrains.lincheck.datastructures.StressOptions;
import org.jetbrains.lincheck.datastructures.ThreadIdGen;
import org.jetbrains.lincheck.datastructures.Validate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Lincheck stores, continues and forgets sessions, and lets sequences take over from each other, from several threads: the
 * answers are those of some order of the same calls in one thread.
 */
@Param(name = "thread", gen = ThreadIdGen.class)
@Param(name = "key", gen = IntGen.class, conf = "0:1")
@SuppressWarnings("missing-explicit-ctor") // Lincheck wants it public
public final class SessionLincheckTest {
    private static final int THREADS = 2;
    private static final int BLOCKS = 24; // more than is ever held: what is being overwritten is not free for a moment
    private static final int[] PROMPT = {1, 2, 3, 4, 5, 6, 7};
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(1)
            .tokensPerBlock(2)
            .build();

    private final KvCache cache = KvCache.builder(LAYOUT)
            .maximumBytes(BLOCKS * LAYOUT.blockBytes())
            .maximumSequences(THREADS)
            .clock(() -> 0)
            .seed(1)
            .build();
    private final Namespace namespace = cache.namespace("a");

    // [threads]
    private final @Nullable Sequence[] sequences = new @Nullable Sequence[THREADS];

    /** Does what a loop does next: opens; takes up what is there; leaves it to the leader, or computes a block. */
    @Operation
    public String step(@Param(name = "thread") int thread) {
        Sequence sequence = sequences[thread];
        if (sequence == null) {
            sequence = namespace.open(PROMPT);
            sequences[thread] = sequence;
            return "cached " + sequence.cachedTokens() + " " + sequence.missReason();
        }
        if (sequence.reserved() > 0) {
            sequence.commit(PROMPT, sequence.length(), sequence.reserved());
            return "committed up to " + sequence.length();
        }
        int adopted = sequence.adopt();
        if (adopted > 0) {
            return "adopted " + adopted;
        }
        int missing = Math.min(2, PROMPT.length - sequence.length());
        return missing > 0 ? "reserved " + sequence.tryReserve(missing) : "done";
    }

    @Operation
    public @Nullable Boolean isFollowing(@Param(name = "thread") int thread) {
        Sequence sequence = sequences[thread];
        return sequence == null ? null : sequence.isFollowing();
    }

    @Operation
    public void close(@Param(name = "thread") int thread) {
        Sequence sequence = sequences[thread];
        if (sequence != null) {
            sequence.close();
            sequences[thread] = null;
        }
    }

    @Operation
    public @Nullable Boolean put(@Param(name = "thread") int thread, @Param(name = "key") int key) {
        Sequence sequence = sequences[thread];
        if (sequence == null || sequence.reserved() > 0) {
            return null;
        }
        return namespace.put("key-" + key, sequence, Retention.DEFAULT);
    }

    /** Continues a session in place of the thread's own sequence. */
    @Operation
    public int get(@Param(name = "thread") int thread, @Param(name = "key") int key) {
        if (sequences[thread] != null) {
            return -1;
        }
        Sequence continued = namespace.get("key-" + key);
        sequences[thread] = continued;
        return continued == null ? -2 : continued.length();
    }

    @Operation
    public boolean remove(@Param(name = "key") int key) {
        return namespace.remove("key-" + key);
    }

    @Operation
    public String keys() {
        return namespace.keys().toString();
    }

    @Operation
    public Erasure erase() {
        return namespace.erase();
    }

    /** Runs at the end of each scenario. */
    @Validate
    public void shouldHoldNothingOnceAllIsClosed() {
        cache.verify();
        for (int thread = 0; thread < THREADS; thread++) {
            close(thread);
        }
        namespace.keys().forEach(namespace::remove);
        cache.verify();
        if (cache.stats().usedBlocks() > 0) {
            throw new IllegalStateException("blocks in use: " + cache.stats());
        }
        cache.close();
    }

    private static void check(Options<?, ?> options) {
        options.threads(THREADS)
                .actorsPerThread(4)
                .actorsBefore(3)
                .actorsAfter(2)
                .check(SessionLincheckTest.class);
    }

    @Test
    void shouldAnswerAsInSomeOrderWhateverTheInterleaving() {
        check(new ModelCheckingOptions().iterations(10).invocationsPerIteration(60));
    }

    @Test
    void shouldAnswerAsInSomeOrderUnderStress() {
        check(new StressOptions().iterations(15).invocationsPerIteration(200));
    }
}
