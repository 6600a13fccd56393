package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheEvent;
import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import io.kvcache.localredis.LocalRedis;
import io.kvcache.remote.FaultyProxy.Fault;
import java.io.IOException;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Behind a network that does everything wrong, a remote tier is slow to nobody, never wrong, and soon there again. */
final class RemoteFaultsTest {
    private static final int EPISODES = 200;
    private static final List<Fault> FAULTS = List.of(Fault.REFUSE, Fault.RESET, Fault.STALL, Fault.CUT, Fault.GARBLE);
    private static final int PROMPTS = 24;
    private static final int BLOCKS = 4; // of a prompt
    private static final int CACHED_BLOCKS = 24;
    private static final int PART_BYTES = 4096; // of the 16 KiB of a block
    private static final long STEP_NANOS = 25_000_000;
    private static final long HEALED_NANOS = 1_000_000_000;
    private static final Duration DEADLINE = Duration.ofMillis(500);

    private final AtomicLong clock = new AtomicLong();
    private final Random random = new Random(9);
    private final Queue<CacheEvent> events = new ConcurrentLinkedQueue<>();
    private final Map<Fault, Integer> loadedDuring = new EnumMap<>(Fault.class);

    private int token;

    /**
     * The engine has one thread, and the fault lasts until that thread ends it: would a step wait for the server, it
     * would wait for ever.
     */
    @Test
    void shouldNeverHoldUpAStepNorBeWrongAndHealWithinASecond() throws IOException, InterruptedException {
        try (LocalRedis server = LocalRedis.start();
                CountingExecutor calls = new CountingExecutor();
                FaultyProxy proxy = new FaultyProxy(server.port(), 1);
                KvCache cache = Engine.cache(CACHED_BLOCKS)
                        .clock(clock::get)
                        .listener(events::add, Runnable::run)
                        .tier(RemoteStore.tier("remote", options(proxy))
                                .withMisses(null)
                                .withExecutor(calls))
                        .build();
                KvCache other = Engine.cache(CACHED_BLOCKS)
                        .tier(RemoteStore.tier(
                                "remote", RemoteOptions.of(server.uri()).withPartBytes(PART_BYTES)))
                        .build()) {
            Namespace namespace = cache.namespace("a");
            for (int prompt = 0; prompt < PROMPTS; prompt++) {
                Engine.run(namespace, Engine.prompt(prompt, BLOCKS));
                assertTrue(cache.flush(Engine.PATIENCE));
            }
            for (int episode = 0; episode < EPISODES; episode++) {
                suffer(proxy, namespace, FAULTS.get(episode % FAULTS.size()));
                proxy.set(Fault.NONE);
                heal(namespace, other, calls, episode);
            }
        }
        for (Fault fault : List.of(Fault.CUT, Fault.GARBLE)) {
            assertTrue(loadedDuring.getOrDefault(fault, 0) > 0, "nothing was loaded during " + fault);
        }
        assertTrue(events.stream().anyMatch(CacheEvent.TierChanged.class::isInstance), "nothing ever failed");
    }

    private RemoteOptions options(FaultyProxy proxy) {
        return RemoteOptions.of(proxy.uri())
                .withDeadlines(DEADLINE, Duration.ofSeconds(2))
                .withPartBytes(PART_BYTES)
                .withClocks(clock::get, System::currentTimeMillis);
    }

    /** Decodes during a fault, which may flap, while prompts come in whose blocks are on the server. */
    private void suffer(FaultyProxy proxy, Namespace namespace, Fault fault) throws IOException, InterruptedException {
        int requests = 1 + random.nextInt(4);
        boolean flaps = random.nextInt(4) == 0;
        try (Sequence running = namespace.open(new int[] {-1 - random.nextInt(1000)})) {
            for (int request = 0; request < requests; request++) {
                int[] prompt = Engine.prompt(random.nextInt(PROMPTS), BLOCKS);
                int begins = random.nextInt(3); // before the request, after it was opened, or once it is decoded beside
                if (begins == 0) {
                    proxy.set(fault);
                }
                try (Sequence waiting = namespace.open(prompt)) {
                    if (begins == 1) {
                        proxy.set(fault);
                    }
                    for (int steps = random.nextInt(20); steps >= 0; steps--) {
                        Engine.step(running, ++token % 1000);
                        clock.addAndGet(random.nextInt((int) STEP_NANOS));
                        if (flaps && steps % 3 == 0) {
                            proxy.set(steps % 2 == 0 ? fault : Fault.NONE);
                        }
                    }
                    proxy.set(fault);
                    waiting.await(Engine.PATIENCE);
                    assertFalse(waiting.isLoading());
                    loadedDuring.merge(fault, Engine.complete(waiting, prompt), Integer::sum);
                }
            }
            Engine.check(running);
        }
    }

    /** Lets time pass after a fault, until what another machine has stored is loaded again. */
    private void heal(Namespace namespace, KvCache other, CountingExecutor calls, int episode)
            throws InterruptedException {
        int[] prompt = Engine.prompt(PROMPTS + episode, 1);
        Engine.run(other.namespace("a"), prompt);
        assertTrue(other.flush(Engine.PATIENCE));
        long recovered = clock.get();
        long loaded = 0;
        while (loaded == 0) {
            assertTrue(clock.get() - recovered < HEALED_NANOS, "not healed after a second: episode " + episode);
            calls.awaitIdle(); // the clock must not run ahead of them
            clock.addAndGet(STEP_NANOS);
            try (Sequence waiting = namespace.open(prompt)) {
                waiting.await(Engine.PATIENCE);
                loaded = waiting.cachedTokens("remote");
            }
        }
    }
}
