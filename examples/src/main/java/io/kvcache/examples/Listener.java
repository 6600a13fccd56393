package io.kvcache.examples;

import io.kvcache.CacheEvent;
import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.Sequence;

/** What a router in front of several engines is told: which blocks can be found here, and which cannot any more. */
final class Listener {
    private Listener() {}

    public static void main(String[] arguments) {
        // Runnable::run is for a quick listener; give a slow one a thread of its own.
        try (KvCache cache = TinyModel.cacheOf(3)
                .listener(event -> System.out.println(describe(event)), Runnable::run)
                .build()) {
            Namespace namespace = cache.namespace("chat");
            compute(namespace, "abcdefgh");
            compute(namespace, "abcdefgh"); // nothing new
            compute(namespace, "abcdEFGH"); // shares the first block
            compute(namespace, "ijkl"); // takes the memory of a block
            namespace.erase();
        }
    }

    private static void compute(Namespace namespace, String text) {
        int[] prompt = TinyModel.tokens(text);
        try (Sequence sequence = namespace.open(prompt)) {
            TinyModel.prefill(sequence, prompt);
        }
    }

    private static String describe(CacheEvent event) {
        return switch (event) {
            case CacheEvent.Stored stored ->
                stored.number() + ": block " + stored.block() + " stored behind " + stored.parent() + ", tokens "
                        + stored.tokens();
            case CacheEvent.Removed removed ->
                removed.number() + ": block " + removed.block() + " removed, " + removed.cause();
            case CacheEvent.Loaded loaded ->
                loaded.number() + ": block " + loaded.block() + " came from tier " + loaded.tier();
            case CacheEvent.Offloaded offloaded ->
                offloaded.number() + ": block " + offloaded.block() + " copied to tier " + offloaded.tier();
            case CacheEvent.TierChanged changed ->
                changed.number() + ": tier " + changed.tier() + " is asked: " + changed.loads() + ", is given blocks: "
                        + changed.stores();
            case CacheEvent.Lost lost -> lost.number() + ": events lost from " + lost.first() + " on";
        };
    }
}
