package io.kvcache.examples;

import io.kvcache.KvCaches;
import io.kvcache.Sequence;
import io.kvcache.SharedKvCache;

/** Two parts of a program that do not know each other use one cache; the last one to let go of it closes it. */
final class SharedInstance {
    private static final int[] PROMPT = TinyModel.tokens("a prompt of both");

    private SharedInstance() {}

    public static void main(String[] arguments) {
        try (SharedKvCache chat = KvCaches.shared("tiny", TinyModel.cacheOf(32))) {
            ask("chat", chat);
            try (SharedKvCache search = KvCaches.shared("tiny", TinyModel.cacheOf(32))) {
                ask("search", search);
            }
            ask("chat again", chat);
            shareAnother();
        }
        try (SharedKvCache fresh = KvCaches.shared("tiny", TinyModel.cacheOf(64))) { // the name is free now
            ask("a new cache", fresh);
        }
    }

    private static void ask(String who, SharedKvCache shared) {
        try (Sequence sequence = shared.cache().namespace("all").open(PROMPT)) {
            System.out.println(who + ": " + sequence.cachedTokens() + " of " + PROMPT.length + " tokens cached");
            TinyModel.prefill(sequence, PROMPT);
        }
    }

    private static void shareAnother() {
        try (SharedKvCache other = KvCaches.shared("tiny", TinyModel.cacheOf(64))) {
            ask("never", other);
        } catch (IllegalStateException e) {
            System.out.println(e.getMessage());
        }
    }
}
