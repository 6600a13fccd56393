package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Retention;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;

/** Why a prompt was not found, and where its look-up ended. */
final class MissReasons {
    private MissReasons() {}

    public static void main(String[] arguments) {
        AtomicLong clock = new AtomicLong();
        try (KvCache cache = TinyModel.cacheOf(9).clock(clock::get).build()) {
            Namespace namespace = cache.namespace("chat");
            ask(namespace, "What is the capital of France?", OpenOptions.DEFAULT);
            ask(namespace, "What is the capital of France?", OpenOptions.DEFAULT);
            ask(namespace, "What is the capital of Spain??", OpenOptions.DEFAULT);
            ask(namespace, "What is the capital of France?", OpenOptions.DEFAULT.withoutLookup());
            ask(namespace, "Something long that takes all of it", OpenOptions.DEFAULT.withoutPublish());
            ask(namespace, "What is the capital of France?", OpenOptions.DEFAULT);
            namespace.erase();
            Retention aMinute = Retention.DEFAULT.withTtl(Duration.ofMinutes(1));
            ask(namespace, "What is the capital of France?", OpenOptions.DEFAULT.withRetention(aMinute));
            clock.addAndGet(Duration.ofMinutes(2).toNanos());
            ask(namespace, "What is the capital of France?", OpenOptions.DEFAULT);
        }
    }

    private static void ask(Namespace namespace, String text, OpenOptions options) {
        int[] prompt = TinyModel.tokens(text);
        try (Sequence sequence = namespace.open(prompt, options)) {
            System.out.println(text + " " + sequence.cachedTokens() + " of " + prompt.length + " cached, then "
                    + sequence.missReason() + " from token " + sequence.missedAt() + " on");
            TinyModel.prefill(sequence, prompt);
        }
    }
}
