package io.kvcache.metrics;

import io.kvcache.CacheListener;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Retention;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** A small cache, on a clock that moves when told, in which everything that is counted has happened. */
final class BusyCache implements AutoCloseable {
    private static final int TOKENS_PER_BLOCK = 4;
    private static final int BLOCKS = 12;
    static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(2)
            .type(KvType.F32)
            .tokensPerBlock(TOKENS_PER_BLOCK)
            .build();

    final AtomicLong nanos = new AtomicLong();
    final KvCache cache;
    final Namespace chat;
    final Namespace tools;

    BusyCache(CacheListener listener) {
        cache = KvCache.builder(LAYOUT)
                .maximumBytes(BLOCKS * LAYOUT.blockBytes())
                .maximumSequences(3)
                .clock(nanos::get)
                .listener(listener, Runnable::run)
                .build();
        chat = cache.namespace("chat");
        tools = cache.namespace("tools");
    }

    static int[] prompt(int seed, int tokens) {
        return IntStream.range(0, tokens).map(i -> seed * 1000 + i).toArray();
    }

    /** Computes what is not cached of a prompt, and returns the open sequence. */
    static Sequence compute(Namespace namespace, OpenOptions options, int... prompt) {
        Sequence sequence = namespace.open(prompt, options);
        int from = sequence.length();
        if (!sequence.tryReserve(prompt.length - from)) {
            throw new IllegalStateException("no room: " + sequence);
        }
        float[] row = new float[2];
        for (int position = from; position < prompt.length; position++) {
            sequence.write(0, position, row, row);
        }
        sequence.commit(prompt, from, prompt.length - from);
        return sequence;
    }

    static void computeAndClose(Namespace namespace, int... prompt) {
        compute(namespace, OpenOptions.DEFAULT, prompt).close();
    }

    /** Lets everything happen. */
    void beBusy() throws InterruptedException {
        int[] first = prompt(1, 9);
        computeAndClose(chat, first);
        computeAndClose(chat, first); // hit
        int[] other = first.clone();
        other[6] = 7;
        computeAndClose(chat, other); // diverged
        int[] flight = prompt(2, 9);
        try (Sequence leader = chat.open(flight);
                Sequence follower = chat.open(flight)) { // in flight
            leader.tryReserve(4);
            leader.commit(flight, 0, 4);
            follower.adopt();
        }
        compute(chat, OpenOptions.DEFAULT.withoutLookup(), first).close(); // disabled
        OpenOptions brief = OpenOptions.DEFAULT.withRetention(Retention.DEFAULT.withTtl(Duration.ofSeconds(10)));
        compute(tools, brief, prompt(3, 9)).close();
        nanos.addAndGet(Duration.ofSeconds(20).toNanos());
        cache.maintain(100);
        computeAndClose(tools, prompt(3, 9)); // expired
        tools.erase();
        computeAndClose(tools, prompt(3, 5)); // erased
        computeAndClose(chat, prompt(4, 4 * BLOCKS)); // evicts
        nanos.addAndGet(Duration.ofSeconds(3).toNanos());
        computeAndClose(chat, first); // evicted
        refuse();
        waitForASlot();
        storeSessions();
    }

    private void waitForASlot() throws InterruptedException {
        Sequence[] open = {chat.open(prompt(20, 1)), chat.open(prompt(21, 1)), chat.open(prompt(22, 1))};
        Thread waiter = Thread.ofVirtual().start(() -> {
            try {
                closeIfPresent(chat.open(prompt(23, 1), OpenOptions.DEFAULT, Duration.ofHours(1)));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        while (cache.stats().waitingOpens() == 0) {
            Thread.onSpinWait();
        }
        nanos.addAndGet(Duration.ofMillis(1500).toNanos());
        for (Sequence sequence : open) {
            sequence.close();
        }
        waiter.join();
    }

    private void refuse() throws InterruptedException {
        try (Sequence hog = chat.open(prompt(5, 1))) {
            hog.tryReserve(4 * BLOCKS + 1); // refused
            hog.tryReserve(4 * BLOCKS);
            if (tools.open(prompt(6, 1), OpenOptions.DEFAULT, Duration.ZERO) != null) {
                throw new IllegalStateException("there was to be no room");
            }
        }
    }

    private void storeSessions() {
        computeAndClose(tools, prompt(7, 6));
        for (int seed = 8; seed < 10; seed++) {
            try (Sequence sequence = compute(chat, OpenOptions.DEFAULT, prompt(seed, 6))) {
                chat.put("conversation " + seed, sequence, Retention.DEFAULT);
            }
        }
        closeIfPresent(chat.get("conversation 9"));
        closeIfPresent(chat.get("nobody's"));
        computeAndClose(tools, prompt(11, 4 * BLOCKS - 12)); // drops a session
    }

    private static void closeIfPresent(@Nullable Sequence sequence) {
        if (sequence != null) {
            sequence.close();
        }
    }

    @Override
    public void close() {
        cache.verify();
        cache.close();
    }
}
