package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;

/**
 * An engine with one thread and chunked prefill: two requests with the same long prompt take turns. The second adopts what the
 * first has computed instead of computing it again; it never blocks.
 */
final class SingleFlightInOneThread {
    private record Request(String name, Sequence sequence) {}

    private SingleFlightInOneThread() {}

    public static void main(String[] arguments) {
        int[] prompt = TinyModel.tokens("a system prompt that all of them share");
        try (KvCache cache = TinyModel.cacheOf(32).build()) {
            Namespace namespace = cache.namespace("chat");
            try (Sequence first = namespace.open(prompt);
                    Sequence second = namespace.open(prompt)) {
                System.out.println("second misses because: " + second.missReason());
                Queue<Request> queue =
                        new ArrayDeque<>(List.of(new Request("first", first), new Request("second", second)));
                while (!queue.isEmpty()) {
                    Request request = queue.remove();
                    step(request, prompt);
                    if (request.sequence.length() < prompt.length) {
                        queue.add(request);
                    }
                }
            }
            System.out.println("blocks computed: " + cache.stats().traffic().publishedBlocks());
        }
    }

    /** One chunk of one request. */
    private static void step(Request request, int[] prompt) {
        Sequence sequence = request.sequence;
        int adopted = sequence.adopt();
        if (sequence.isFollowing()) { // another is computing what comes next: leave it for later
            System.out.println(request.name + " adopts " + adopted + ", waits for more");
            return;
        }
        int length = Math.min(prompt.length, sequence.length() + 12);
        System.out.println(request.name + " adopts " + adopted + ", computes " + (length - sequence.length()));
        TinyModel.prefill(sequence, prompt, length);
    }
}
