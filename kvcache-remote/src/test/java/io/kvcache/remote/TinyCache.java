package io.kvcache.remote;

import io.kvcache.CacheContents;
import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.EventJournal;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Namespace;
import io.kvcache.NamespaceOptions;
import io.kvcache.OpenOptions;
import io.kvcache.Retention;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * A small cache, random work on it, and what its events have told from the first one on.
 *
 * <p>Not thread-safe.
 */
final class TinyCache implements AutoCloseable {
    static final int TOKENS_PER_BLOCK = 4;

    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(2)
            .type(KvType.F32)
            .tokensPerBlock(TOKENS_PER_BLOCK)
            .build();
    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);
    private static final int MOST_OPEN = 6;
    private static final int LONGEST_PROMPT = 40;
    private static final List<OpenOptions> OPTIONS = List.of(
            OpenOptions.DEFAULT,
            OpenOptions.DEFAULT.withIdentity("adapter", "x"),
            OpenOptions.DEFAULT.withIdentity("adapter", "ü y").withIdentity("image", "1=2,3"));

    final EventJournal journal;
    final KvCache cache;
    private final Random random;
    private final List<Namespace> namespaces = new ArrayList<>();
    private final List<Sequence> open = new ArrayList<>();
    private final TreeMap<Long, CachedBlock> told = new TreeMap<>();
    private long toldNumber;
    private long nanos;

    TinyCache(int blocks, int journalCapacity, long seed) {
        random = new Random(seed);
        journal = new EventJournal(journalCapacity);
        cache = KvCache.builder(LAYOUT)
                .maximumBytes(blocks * LAYOUT.blockBytes())
                .minimumPartialHit(TOKENS_PER_BLOCK)
                .clock(() -> nanos)
                .seed(seed)
                .listener(
                        event -> {
                            tell(event);
                            journal.onEvent(event);
                        },
                        Runnable::run)
                .build();
        Retention shortLife = Retention.DEFAULT.withTtl(Duration.ofSeconds(20));
        namespaces.add(cache.namespace("a"));
        namespaces.add(cache.namespace("b", NamespaceOptions.DEFAULT.withRetention(shortLife)));
        namespaces.add(cache.namespace("c d"));
    }

    private void tell(CacheEvent event) {
        toldNumber = event.number();
        switch (event) {
            case CacheEvent.Stored stored ->
                told.put(
                        stored.block(),
                        new CachedBlock(
                                stored.namespace(),
                                stored.identities(),
                                stored.block(),
                                stored.parent(),
                                stored.tokens()));
            case CacheEvent.Removed removed -> told.remove(removed.block());
            default -> throw new AssertionError(event.toString());
        }
    }

    /** What all events so far tell. */
    CacheContents told() {
        return new CacheContents(toldNumber, List.copyOf(told.values()));
    }

    /** Does something: opens, computes, closes, lets time go by, rarely erases or renews. */
    void operate() {
        int choice = random.nextInt(1000);
        if (choice < 350) {
            open();
        } else if (choice < 700 && !open.isEmpty()) {
            extend(open.get(random.nextInt(open.size())));
        } else if (choice < 990 && !open.isEmpty()) {
            open.remove(random.nextInt(open.size())).close();
        } else if (choice < 998) {
            nanos += SECOND;
            cache.maintain(1 + random.nextInt(20));
        } else if (choice == 998) {
            namespace().erase();
        } else {
            namespace().renew();
        }
    }

    private Namespace namespace() {
        return namespaces.get(random.nextInt(namespaces.size()));
    }

    private int[] prompt() {
        return random.ints(1 + random.nextInt(LONGEST_PROMPT), 0, 4)
                .map(token -> token / 3) // mostly 0: prompts share prefixes
                .toArray();
    }

    private void open() {
        if (open.size() == MOST_OPEN) {
            open.removeFirst().close();
        }
        int[] prompt = prompt();
        Sequence sequence = namespace().open(prompt, OPTIONS.get(random.nextInt(OPTIONS.size())));
        open.add(sequence);
        compute(sequence, Arrays.copyOfRange(prompt, sequence.length(), prompt.length));
    }

    private void extend(Sequence sequence) {
        if (sequence.length() < 2 * LONGEST_PROMPT) {
            compute(sequence, prompt());
        }
    }

    private static void compute(Sequence sequence, int[] tokens) {
        if (sequence.tryReserve(tokens.length)) {
            sequence.commit(tokens);
        }
    }

    /**
     * Compares what a mirror finds for random prompts with what the cache finds. What is expired leaves before: all
     * times are whole seconds, and half a second is longer than the tick of maintenance.
     *
     * @return tokens found
     */
    int assertFindsTheSame(CacheMirror mirror, Runnable catchUp) {
        nanos += SECOND / 2;
        cache.maintain(Integer.MAX_VALUE);
        catchUp.run();
        int found = 0;
        for (int i = 0; i < 100; i++) {
            int[] prompt = prompt();
            for (Namespace namespace : namespaces) {
                for (OpenOptions options : OPTIONS) {
                    int expected = namespace.probe(prompt, options);
                    int mirrored = mirror.cachedTokens(namespace.name(), options.identities(), prompt);
                    if (mirrored != expected) {
                        throw new AssertionError("mirror finds " + mirrored + ", cache finds " + expected + " of "
                                + Arrays.toString(prompt) + " in " + namespace.name() + " " + options);
                    }
                    found += mirrored;
                }
            }
        }
        nanos += SECOND / 2;
        return found;
    }

    @Override
    public void close() {
        open.forEach(Sequence::close);
        cache.verify();
        cache.close();
    }
}
