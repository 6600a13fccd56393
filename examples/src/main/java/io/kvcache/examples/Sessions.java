package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.Retention;
import io.kvcache.Sequence;
import java.time.Duration;

/** A conversation that is stored by key after each turn: it can be continued, and taken up again at any earlier turn. */
final class Sessions {
    private Sessions() {}

    public static void main(String[] arguments) {
        Retention anHour = Retention.DEFAULT.withTtl(Duration.ofHours(1));
        try (KvCache cache = TinyModel.cacheOf(32).build()) {
            Namespace namespace = cache.namespace("chat");
            int[] greeting = TinyModel.tokens("Hello, who are you?");
            try (Sequence sequence = namespace.open(greeting)) {
                TinyModel.prefill(sequence, greeting);
                namespace.put("talk/turn 1", sequence, anHour); // references to blocks: nothing is copied
            }
            continueFrom(namespace, "talk/turn 1", "talk/turn 2", " And what can you do?", anHour);
            continueFrom(namespace, "talk/turn 1", "talk/turn 2b", " Goodbye.", anHour); // another way
            continueFrom(namespace, "talk/turn 7", "talk/turn 8", " Still there?", anHour);
            System.out.println("stored: " + namespace.keys());
            System.out.println("removed: " + namespace.remove("talk/turn 2b"));
            System.out.println("blocks held: " + cache.stats().usedBlocks());
        }
    }

    private static void continueFrom(Namespace namespace, String from, String to, String text, Retention retention) {
        try (Sequence sequence = namespace.get(from)) {
            if (sequence == null) { // never stored, expired, or given up for room: start with the whole prompt
                System.out.println(from + " is not there");
                return;
            }
            int known = sequence.length();
            TinyModel.compute(sequence, TinyModel.tokens(text));
            namespace.put(to, sequence, retention);
            System.out.println(to + ": " + known + " tokens continued by " + (sequence.length() - known));
        }
    }
}
