package io.kvcache.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Makes the trace that the module ships: conversations (label 0) that grow turn by turn below one of three system prompts, and
 * long documents (label 1) that are read once and take the room of what will be needed again.
 *
 * <p>Not thread-safe.
 */
final class SampleTrace {
    private static final int REQUESTS = 600;
    private static final int[] SYSTEM_PROMPT_BLOCKS = {2, 3, 6};
    private static final int OPEN_CONVERSATIONS = 40;

    /** The full blocks that a prompt has so far, and its tokens. */
    private record Conversation(List<Integer> ids, int tokens) {}

    private final Random random = new Random(2003);
    private final List<List<Integer>> systemPrompts = new ArrayList<>();
    private final List<Conversation> conversations = new ArrayList<>(); // the one continued last is last
    private final StringBuilder lines = new StringBuilder();
    private int millis;
    private int nextId;

    private SampleTrace() {}

    /** Writes the file anew: {@code bench/src/main/resources/io/kvcache/bench/sample.jsonl}. */
    public static void main(String[] arguments) throws IOException {
        Files.writeString(Path.of(arguments[0]), generate());
    }

    static String generate() {
        return new SampleTrace().lines();
    }

    private String lines() {
        for (int blocks : SYSTEM_PROMPT_BLOCKS) {
            List<Integer> ids = new ArrayList<>();
            grow(ids, blocks * Trace.TOKENS_PER_BLOCK);
            systemPrompts.add(ids);
        }
        for (int request = 0; request < REQUESTS; request++) {
            millis += random.nextInt(2_000);
            int kind = random.nextInt(100);
            if (kind < 15) {
                add(new Conversation(List.of(), 0), 4_000 + random.nextInt(12_000), 1);
            } else if (kind < 35 || conversations.isEmpty()) {
                List<Integer> prompt = systemPrompts.get(random.nextInt(systemPrompts.size()));
                converse(new Conversation(prompt, prompt.size() * Trace.TOKENS_PER_BLOCK));
            } else {
                int any = random.nextInt(conversations.size());
                converse(conversations.remove(any + random.nextInt(conversations.size() - any)));
            }
        }
        return lines.toString();
    }

    private void converse(Conversation before) {
        conversations.add(add(before, 100 + random.nextInt(1_200), 0));
        if (conversations.size() > OPEN_CONVERSATIONS) {
            conversations.removeFirst();
        }
    }

    /** A prompt that continues what was said before by some tokens; the answer belongs to the next one. */
    private Conversation add(Conversation before, int tokens, int label) {
        int inputTokens = before.tokens + tokens;
        int outputTokens = 10 + random.nextInt(500);
        List<Integer> ids = new ArrayList<>(before.ids);
        grow(ids, inputTokens);
        List<Integer> listed = new ArrayList<>(ids);
        if (inputTokens % Trace.TOKENS_PER_BLOCK != 0) {
            listed.add(nextId++); // the last one is not full: it will be another block when it is
        }
        lines.append(
                "{\"timestamp\": %d, \"input_length\": %d, \"output_length\": %d, \"hash_ids\": %s, \"label\": %d}\n"
                        .formatted(millis, inputTokens, outputTokens, listed, label));
        return new Conversation(ids, inputTokens + outputTokens);
    }

    private void grow(List<Integer> ids, int tokens) {
        while (ids.size() < tokens / Trace.TOKENS_PER_BLOCK) {
            ids.add(nextId++);
        }
    }
}
