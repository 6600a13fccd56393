package io.kvcache.bench;

import io.kvcache.Namespace;
import io.kvcache.Retention;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.SplittableRandom;

/**
 * One thread's requests, one after the other, by chance: a prompt with a prefix that others have too and an end of its own, or the next
 * turn of a session; an answer, token by token; and now and then a fork, a truncate, a session to store, a pin, an erase. Allocates
 * nothing itself.
 *
 * <p>Not thread-safe.
 */
final class SteadyWorker {
    private static final int MOST_QUESTION = 64;
    private static final int LEAST_ANSWER = 16;
    private static final int MOST_ANSWER = 128;
    private static final int MOST_GUESSES = 8;
    private static final int PINNED_TOKENS = 64;
    private static final int LONGEST_SESSION = 1_000;
    private static final int SESSIONS = 32; // of each tenant
    private static final int REQUESTS_PER_MAINTENANCE = 16;
    private static final int REQUESTS_PER_ERASE = 500;

    private static final Retention SESSION = Retention.DEFAULT.withTtl(Duration.ofSeconds(2));
    private static final Retention PIN =
            Retention.DEFAULT.withPriority(80, Duration.ofSeconds(1)).withPin();

    private final SteadyCache cache;
    private final SkewedChoice prefixes = new SkewedChoice(SteadyPrompts.PREFIXES);
    private final LatencyRecorder latencies = new LatencyRecorder();
    private final SteadyRows rows = new SteadyRows();
    private final SteadyPrompts prompts;
    private final SplittableRandom random;
    private final String[][] keys; // [tenants][sessions]
    private final int[] own = new int[MOST_QUESTION]; // [tokens]

    private long requests;
    private long refused;
    private long opened;
    private long continued;
    private long stored;
    private long forks;
    private long truncates;
    private long pins;
    private long erasures;
    private long checkedTokens;

    SteadyWorker(SteadyCache cache, int number) {
        this.cache = cache;
        this.prompts = new SteadyPrompts(number, MOST_QUESTION);
        this.random = new SplittableRandom(2025 + number);
        this.keys = new String[cache.tenants()][SESSIONS];
        for (String[] ofTenant : keys) {
            for (int session = 0; session < SESSIONS; session++) {
                ofTenant[session] = "worker-" + number + "-session-" + session;
            }
        }
    }

    LatencyRecorder latencies() {
        return latencies;
    }

    /** What was done so far; to be asked when the worker rests. */
    SteadyTally tally() {
        return new SteadyTally(
                requests, refused, opened, continued, stored, forks, truncates, pins, erasures, checkedTokens);
    }

    /** Serves a request, and does what is due besides, which does not count in the time of the request. */
    void request() {
        long began = System.nanoTime();
        if (!serve()) {
            refused++;
        }
        latencies.record(TimedOperation.REQUEST, began);
        requests++;
        if (requests % REQUESTS_PER_MAINTENANCE == 0) {
            cache.maintain();
        }
        if (oneIn(REQUESTS_PER_ERASE)) {
            cache.erasable().erase();
            erasures++;
        }
    }

    private boolean serve() {
        int prefix = prefixes.choose(random);
        int tenant = prefix % cache.tenants();
        Namespace namespace = cache.namespace(tenant);
        String key = keys[tenant][random.nextInt(SESSIONS)];
        Sequence session = oneIn(4) ? namespace.get(key) : null;
        return session == null ? serve(namespace, key, prefix) : serve(namespace, key, session);
    }

    private boolean oneIn(int times) {
        return random.nextInt(times) == 0;
    }

    /** Serves a prompt. */
    private boolean serve(Namespace namespace, String key, int prefix) {
        int[] prompt = prompts.prompt(prefix, 1 + random.nextInt(MOST_QUESTION - 1));
        long began = System.nanoTime();
        Sequence sequence = namespace.open(prompt);
        latencies.record(TimedOperation.OPEN, began);
        opened++;
        try {
            check(sequence);
            int cached = sequence.length();
            return append(sequence, prompt, cached, prompt.length - cached) && answer(namespace, key, sequence);
        } finally {
            close(sequence);
        }
    }

    /** Serves the next turn of a session, or the last one where it has become long. */
    private boolean serve(Namespace namespace, String key, Sequence session) {
        continued++;
        try {
            check(session);
            if (session.length() > LONGEST_SESSION) {
                namespace.remove(key);
            }
            return appendOwn(session, 1 + random.nextInt(MOST_QUESTION)) && answer(namespace, key, session);
        } finally {
            close(session);
        }
    }

    private void check(Sequence sequence) {
        if (sequence.length() > 0) {
            int layer = random.nextInt(SteadyCache.LAYOUT.layers());
            rows.check(sequence, layer, random.nextInt(sequence.length()));
            checkedTokens++;
        }
    }

    private void close(Sequence sequence) {
        if (oneIn(8)) {
            sequence.closeForGood();
        } else {
            sequence.close();
        }
    }

    /** Reserves, writes and commits tokens; false where there is no room. */
    private boolean append(Sequence sequence, int[] tokens, int from, int count) {
        long began = System.nanoTime();
        boolean reserved = sequence.tryReserve(count);
        latencies.record(TimedOperation.RESERVE, began);
        int end = reserved ? from + count : from;
        for (int next = from; next < end; next += SteadyRows.CHUNK) {
            int chunk = Math.min(SteadyRows.CHUNK, end - next);
            rows.write(sequence, tokens, next, chunk);
            began = System.nanoTime();
            sequence.commit(tokens, next, chunk);
            latencies.record(TimedOperation.COMMIT, began);
        }
        return reserved;
    }

    private boolean appendOwn(Sequence sequence, int count) {
        for (int i = 0; i < count; i++) {
            own[i] = prompts.ownToken();
        }
        return append(sequence, own, 0, count);
    }

    private boolean answer(Namespace namespace, String key, Sequence sequence) {
        int tokens = LEAST_ANSWER + random.nextInt(MOST_ANSWER - LEAST_ANSWER);
        for (int i = 0; i < tokens; i++) {
            if (!appendOwn(sequence, 1)) {
                return false;
            }
        }
        if (oneIn(8) && !guess(sequence)) {
            return false;
        }
        if (oneIn(8) && !branch(sequence)) {
            return false;
        }
        if (oneIn(8)) {
            pins++;
            sequence.retain(0, Math.min(PINNED_TOKENS, sequence.length()), PIN);
        }
        if (oneIn(4) && sequence.length() <= LONGEST_SESSION && namespace.put(key, sequence, SESSION)) {
            stored++;
        }
        return true;
    }

    /** Appends some tokens and takes all but one back. */
    private boolean guess(Sequence sequence) {
        int right = sequence.length() + 1;
        if (!appendOwn(sequence, MOST_GUESSES)) {
            return false;
        }
        sequence.truncate(right);
        truncates++;
        return true;
    }

    /** Goes another way for some tokens. */
    private boolean branch(Sequence sequence) {
        forks++;
        try (Sequence fork = sequence.fork()) {
            return appendOwn(fork, 1 + random.nextInt(MOST_QUESTION));
        }
    }
}
