package io.kvcache.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.kvcache.localredis.LocalRedis;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

final class ExamplesTest {
    private interface Program {
        void main(String[] arguments) throws Exception;
    }

    /** Runs a program and compares what it prints. */
    private static void assertPrints(String expected, Program program) throws Exception {
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            program.main(new String[0]);
        } finally {
            System.setOut(before);
        }
        assertEquals(expected, printed.toString(StandardCharsets.UTF_8).replace(System.lineSeparator(), "\n"));
    }

    @Test
    void shouldServeACrowdInTurn() throws Exception {
        assertPrints("""
            served: 100 of 100
            Sequence[id=101 namespace=chat length=0 reserved=0]
            Sequence[id=102 namespace=chat length=0 reserved=0]
            without patience: null
            """, WaitingOpen::main);
    }

    @Test
    void shouldReserveForAllOfABatchOrForNone() throws Exception {
        assertPrints("""
            all three: false, reserved: [0, 0, 0]
            two of them: true, reserved: [8, 4, 0]
            """, BatchReservation::main);
    }

    @Test
    void shouldAdoptWhatAnotherComputesInOneThread() throws Exception {
        assertPrints("""
            second misses because: IN_FLIGHT
            first adopts 0, computes 12
            second adopts 12, waits for more
            first adopts 0, computes 12
            second adopts 12, waits for more
            first adopts 0, computes 12
            second adopts 12, computes 2
            first adopts 0, computes 2
            blocks computed: 9
            """, SingleFlightInOneThread::main);
    }

    @Test
    void shouldComputeWhatManyAskForOnce() throws Exception {
        assertPrints("""
            prompts of 45 tokens: 64
            tokens computed: 108
            blocks computed: 11
            """, SingleFlightWithThreads::main);
    }

    @Test
    void shouldContinueAConversationFromAnyTurn() throws Exception {
        assertPrints("""
            talk/turn 2: 19 tokens continued by 21
            talk/turn 2b: 19 tokens continued by 9
            talk/turn 7 is not there
            stored: [talk/turn 2, talk/turn 1, talk/turn 2b]
            removed: true
            blocks held: 11
            """, Sessions::main);
    }

    @Test
    void shouldWarmUpWhatCanBeComputed() throws Exception {
        assertPrints("""
            1 of 4: COMPUTED, 0 cached, 28 computed
            2 of 4: COMPUTED, 28 cached, 18 computed
            3 of 4: FAILED, 0 cached, 0 computed, the model fails
            4 of 4: CACHED, 28 cached, 0 computed
            computed 46 tokens, failed: 1, pinned blocks: 11
            """, WarmUp::main);
    }

    @Test
    void shouldSayWhyAndWhereAPromptWasMissed() throws Exception {
        assertPrints("""
            What is the capital of France? 0 of 30 cached, then NEVER_SEEN from token 0 on
            What is the capital of France? 28 of 30 cached, then NEVER_SEEN from token 28 on
            What is the capital of Spain?? 23 of 30 cached, then DIVERGED from token 23 on
            What is the capital of France? 0 of 30 cached, then DISABLED from token 0 on
            Something long that takes all of it 0 of 35 cached, then NEVER_SEEN from token 0 on
            What is the capital of France? 0 of 30 cached, then EVICTED from token 0 on
            What is the capital of France? 0 of 30 cached, then ERASED from token 0 on
            What is the capital of France? 0 of 30 cached, then EXPIRED from token 0 on
            """, MissReasons::main);
    }

    @Test
    void shouldTellWhatIsStoredAndRemoved() throws Exception {
        assertPrints("""
            1: block 1 stored behind 0, tokens [97, 98, 99, 100]
            2: block 2 stored behind 1, tokens [101, 102, 103, 104]
            3: block 3 stored behind 1, tokens [69, 70, 71, 72]
            4: block 2 removed, CAPACITY
            5: block 4 stored behind 0, tokens [105, 106, 107, 108]
            6: block 4 removed, EXPLICIT
            7: block 3 removed, EXPLICIT
            8: block 1 removed, EXPLICIT
            """, Listener::main);
    }

    @Test
    void shouldShowWhatWentOnBetweenTwoMoments() throws Exception {
        assertPrints("""
            of 37 tokens 24 hit, 12 missed where the two diverge
            blocks: 12 cached, 20 free
            kvcache_namespace_prefix_hit_tokens_total{cache="main",namespace="chat",tier="memory"} 24.0
            kvcache_namespace_prompt_tokens_total{cache="main",namespace="chat"} 74.0
            kvcache_prefix_hit_tokens_total{cache="main",tier="memory"} 24.0
            kvcache_prompt_tokens_total{cache="main"} 74.0
            """, StatsAndMetrics::main);
    }

    @Test
    void shouldShareOneCacheByName() throws Exception {
        assertPrints("""
            chat: 0 of 16 tokens cached
            search: 15 of 16 tokens cached
            chat again: 15 of 16 tokens cached
            shared cache is there with another configuration: name=tiny maximumBytes: has=4096 wanted=8192
            a new cache: 0 of 16 tokens cached
            """, SharedInstance::main);
    }

    @Test
    void shouldAskASlowStoreOnceForWhatItHasNotGot() throws Exception {
        assertPrints("""
            asked 1000 times for what is not there, the store was asked: 1
            when the time is over it is asked again: 2
            what was stored is found at once: true
            """, NegativeKnowledge::main);
    }

    @Test
    void shouldFindOnDiskWhatAnEarlierCacheHasComputed() throws Exception {
        assertPrints("""
            first: 0 of 41 tokens cached, 0 of them came from the disk
            again: 40 of 41 tokens cached, 0 of them came from the disk
            second: 40 of 41 tokens cached, 40 of them came from the disk
            other model: 0 of 41 tokens cached, 0 of them came from the disk
            """, DiskTier::main);
    }

    @Test
    void shouldShareWithOtherMachinesByAServer() throws Exception {
        try (LocalRedis server = LocalRedis.start()) {
            String[] address = {server.uri()};
            assertPrints("""
                east: 0 of 41 tokens cached, 0 of them came from the server
                west: 40 of 41 tokens cached, 40 of them came from the server
                west again: 40 of 41 tokens cached, 0 of them came from the server
                """, arguments -> RemoteTier.main(address));
            assertEquals("0", server.command("DBSIZE"));
        }
    }

    @Test
    void shouldSendPromptsWhereTheirPrefixIsCached() throws Exception {
        assertPrints("""
            You are a guide. Where is the zoo? -> east, which has 0 of 34 tokens
            Write a letter: to my aunt -> west, which has 0 of 26 tokens
            You are a guide. Where is the sea? -> east, which has 28 of 34 tokens
            Write a letter: to my bank -> west, which has 20 of 26 tokens
            Tell me of Rome. -> west, which has 0 of 16 tokens
            Tell me of Oslo. -> west, which has 11 of 16 tokens
            Tell me of Bern. -> west, which has 11 of 16 tokens
            """, RoutedMachines::main);
    }
}
