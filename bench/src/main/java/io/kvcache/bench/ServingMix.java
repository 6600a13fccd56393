package io.kvcache.bench;

import io.kvcache.KvLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * A kind of traffic: scripts of random ids, some of which run at a time.
 *
 * <p>Ids 0 to 999 begin what is new in the first turn of a script, a different one in each: scripts share nothing but their openings, not
 * even by chance.
 *
 * <p>Thread-safe: immutable.
 *
 * @param name a word
 * @param description what the requests are like
 * @param scripts what is asked
 * @param atOnce scripts that run at a time; another one begins when one has ended
 */
record ServingMix(String name, String description, List<ServingScript> scripts, int atOnce) {
    private static final int VOCABULARY = 1000;

    /** Copies the list. */
    ServingMix {
        scripts = List.copyOf(scripts);
    }

    /** Conversations. */
    static ServingMix chat(int conversations, int turns) {
        Shape shape = new Shape(0, turns, 24, 32);
        return new ServingMix(
                "chat",
                "%d conversations at once, of %d turns: %d new tokens and an answer of %d in each, behind all that was said"
                        .formatted(conversations, turns, shape.newTokens, shape.answerTokens),
                shape.scripts(conversations, new Random(1)),
                conversations);
    }

    /** Tasks of some steps, behind one long prefix. */
    static ServingMix agent(int tasks, int steps, int atOnce) {
        Shape shape = new Shape(320, steps, 24, 16);
        return new ServingMix(
                "agent",
                "%d tasks, %d at a time, that begin with the same %d tokens, of %d steps: %d new tokens and an answer of %d in each"
                        .formatted(tasks, atOnce, shape.openingTokens, steps, shape.newTokens, shape.answerTokens),
                shape.scripts(tasks, new Random(2)),
                atOnce);
    }

    /** Items behind one prefix, all submitted at once. */
    static ServingMix batch(int items) {
        Shape shape = new Shape(384, 1, 24, 16);
        return new ServingMix(
                "batch",
                "%d items, all submitted at once, that begin with the same %d tokens: %d tokens of their own, an answer of %d"
                        .formatted(items, shape.openingTokens, shape.newTokens, shape.answerTokens),
                shape.scripts(items, new Random(3)),
                items);
    }

    private record Shape(int openingTokens, int turns, int newTokens, int answerTokens) {
        List<ServingScript> scripts(int count, Random random) {
            int[] opening = ids(random, openingTokens);
            List<ServingScript> scripts = new ArrayList<>();
            for (int script = 0; script < count; script++) {
                List<int[]> additions = new ArrayList<>();
                for (int turn = 0; turn < turns; turn++) {
                    additions.add(ids(random, newTokens));
                }
                additions.getFirst()[0] = script;
                scripts.add(new ServingScript(opening, additions, answerTokens));
            }
            return scripts;
        }

        private static int[] ids(Random random, int count) {
            return random.ints(count, 0, VOCABULARY).toArray();
        }
    }

    /** How many requests it makes. */
    int requests() {
        return scripts.stream().mapToInt(ServingScript::turns).sum();
    }

    /** Blocks of all requests, nothing shared: in so many none is ever evicted. */
    long blocks(KvLayout layout) {
        return scripts.stream()
                .flatMapToLong(script -> IntStream.range(0, script.turns())
                        .mapToLong(turn -> layout.blocksFor(script.promptTokens(turn) + script.answerTokens())))
                .sum();
    }
}
