package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** 64 threads ask for the same prompt at once: one computes it, the others wait in {@code open} and share it. */
final class SingleFlightWithThreads {
    private SingleFlightWithThreads() {}

    public static void main(String[] arguments) throws InterruptedException, ExecutionException {
        int[] prompt = TinyModel.tokens("the same question, asked by everybody at once");
        try (KvCache cache = TinyModel.cacheOf(256).build();
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Namespace namespace = cache.namespace("chat");
            List<Future<Integer>> computed = new ArrayList<>();
            for (int i = 0; i < 64; i++) {
                computed.add(threads.submit(() -> answer(namespace, prompt)));
            }
            int sum = 0;
            for (Future<Integer> tokens : computed) {
                sum += tokens.get();
            }
            System.out.println("prompts of " + prompt.length + " tokens: " + computed.size());
            System.out.println("tokens computed: " + sum); // one prompt, and each other's last token
            System.out.println("blocks computed: " + cache.stats().traffic().publishedBlocks());
        }
    }

    /** Returns how many tokens it had to compute. */
    private static int answer(Namespace namespace, int[] prompt) throws InterruptedException {
        try (Sequence sequence = namespace.open(prompt, OpenOptions.DEFAULT, Duration.ofMinutes(1))) {
            if (sequence == null) {
                throw new IllegalStateException("no room within a minute");
            }
            int missing = prompt.length - sequence.length();
            TinyModel.prefill(sequence, prompt);
            return missing;
        }
    }
}
