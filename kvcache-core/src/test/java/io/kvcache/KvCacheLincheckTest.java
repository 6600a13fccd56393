package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;

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
 * Lincheck calls a cache from several threads, and compares the answers with those of every order of the same calls in one
 * thread. Each thread has sequences of its own, for a sequence belongs to one thread at a time.
 */
@Param(name = "thread", gen = ThreadIdGen.class)
@Param(name = "name", gen = IntGen.class, conf = "0:1")
@Param(name = "token", gen = IntGen.class, conf = "0:1")
@SuppressWarnings("missing-explicit-ctor") // Lincheck wants it public
public final class KvCacheLincheckTest {
    private static final int SECOND_THREAD = 2; // 0 and 3 come before and after those at once, 1 and 2
    private static final int BLOCKS = 12;
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(1)
            .tokensPerBlock(2)
            .build();

    private final KvCache cache = KvCache.builder(LAYOUT)
            .maximumBytes(BLOCKS * LAYOUT.blockBytes())
            .clock(() -> 0)
            .seed(1)
            .build();

    /** What a thread works with. */
    private static final class Work {
        @Nullable
        Sequence sequence;

        @Nullable
        Sequence fork;

        int[] prompt = new int[0];
    }

    private final Work first = new Work();
    private final Work second = new Work();

    /** Both have something to commit. */
    public KvCacheLincheckTest() {
        for (int thread = 1; thread <= SECOND_THREAD; thread++) {
            compute(thread, 0, thread % 2);
            compute(thread, 0, thread % 2);
        }
    }

    private Work work(int thread) {
        return thread == SECOND_THREAD ? second : first;
    }

    private Namespace namespace(int name) {
        return cache.namespace("namespace-" + name);
    }

    /** Two prompts that begin with the same block, and whose second block begins alike. */
    private static int[] prompt(int token) {
        return new int[] {7, 7, 7, token, 7};
    }

    /** Does what comes next: opens, reserves all of a prompt, commits it, or closes; one call of the cache each. */
    @Operation
    public String compute(
            @Param(name = "thread") int thread, @Param(name = "name") int name, @Param(name = "token") int token) {
        Work work = work(thread);
        Sequence sequence = work.sequence;
        if (sequence == null) {
            work.prompt = prompt(token);
            work.sequence = namespace(name).open(work.prompt);
            return "cached " + work.sequence.cachedTokens();
        }
        int missing = work.prompt.length - sequence.length();
        if (missing == 0) {
            sequence.close();
            work.sequence = null;
            return "closed";
        }
        if (sequence.reserved() < missing) {
            return "reserved " + sequence.tryReserve(missing);
        }
        sequence.commit(work.prompt, sequence.length(), missing);
        return "committed " + missing;
    }

    @Operation
    public void truncate(@Param(name = "thread") int thread) {
        Sequence sequence = work(thread).sequence;
        if (sequence != null) {
            sequence.truncate(Math.min(sequence.length(), 3));
        }
    }

    /** Forks a sequence, or closes the fork that it has. */
    @Operation
    public int fork(@Param(name = "thread") int thread) {
        Work work = work(thread);
        if (work.fork != null) {
            work.fork.close();
            work.fork = null;
        } else if (work.sequence != null && work.sequence.reserved() == 0) {
            work.fork = work.sequence.fork();
            return work.fork.length();
        }
        return -1;
    }

    @Operation
    public int probe(@Param(name = "name") int name, @Param(name = "token") int token) {
        return namespace(name).probe(prompt(token));
    }

    @Operation
    public Erasure erase() {
        return namespace(0).erase();
    }

    @Operation
    public void renew() {
        namespace(0).renew();
    }

    @Operation
    public NamespaceStats namespaceStats() {
        return namespace(0).stats();
    }

    @Operation
    public CacheStats stats() {
        return cache.stats();
    }

    /** Runs at the end of each scenario. */
    @Validate
    public void shouldHoldNothingOnceAllIsClosed() {
        for (Work work : new Work[] {first, second}) {
            if (work.sequence != null) {
                work.sequence.close();
            }
            if (work.fork != null) {
                work.fork.close();
            }
        }
        cache.verify();
        assertEquals(0, cache.stats().usedBlocks());
        cache.close();
    }

    private static void check(Options<?, ?> options) {
        options.threads(2).actorsPerThread(3).actorsBefore(3).actorsAfter(2).check(KvCacheLincheckTest.class);
    }

    @Test
    void shouldAnswerAsInSomeOrderWhateverTheInterleaving() {
        check(new ModelCheckingOptions().iterations(10).invocationsPerIteration(50));
    }

    @Test
    void shouldAnswerAsInSomeOrderUnderStress() {
        check(new StressOptions().iterations(20).invocationsPerIteration(200));
    }
}
