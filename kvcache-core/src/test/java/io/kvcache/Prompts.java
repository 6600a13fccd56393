package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;

/** Computes prompts as an engine would: rows tell token and position, so that equal prefixes have equal rows. */
final class Prompts {
    static final int TOKENS_PER_BLOCK = 4;

    static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(2)
            .type(KvType.F32)
            .tokensPerBlock(TOKENS_PER_BLOCK)
            .build();

    static final long BLOCK_BYTES = LAYOUT.blockBytes();

    private Prompts() {}

    /** A prompt of whole blocks and one token more, that shares no block with another seed. */
    static int[] prompt(int seed, int blocks) {
        return IntStream.rangeClosed(0, blocks * TOKENS_PER_BLOCK)
                .map(i -> seed * 1000 + i)
                .toArray();
    }

    /** Opens, computes what is not cached, and returns the open sequence. */
    static Sequence compute(Namespace namespace, OpenOptions options, int... prompt) {
        Sequence sequence = namespace.open(prompt, options);
        extend(sequence, Arrays.copyOfRange(prompt, sequence.length(), prompt.length));
        return sequence;
    }

    static Sequence compute(Namespace namespace, int... prompt) {
        return compute(namespace, OpenOptions.DEFAULT, prompt);
    }

    static void extend(Sequence sequence, int... tokens) {
        assertTrue(sequence.tryReserve(tokens.length), () -> sequence + " has no room for " + tokens.length);
        for (int token : tokens) {
            float[] row = {token, sequence.length()};
            sequence.write(0, sequence.length(), row, row);
            sequence.commit(token);
        }
    }

    static void assertRows(Sequence sequence) {
        float[] keys = new float[2 * sequence.length()];
        sequence.gather(0, 0, sequence.length(), keys, 0, keys.clone(), 0);
        for (int position = 0; position < sequence.length(); position++) {
            assertEquals(sequence.token(position), keys[2 * position]);
            assertEquals(position, keys[2 * position + 1]);
        }
    }

    /** Whether what is behind a fresh reservation is readable, although nobody has written it here. */
    static boolean seesOldRows(Sequence sequence, int slots) {
        assertTrue(sequence.tryReserve(slots));
        float[] keys = new float[2 * slots];
        float[] values = new float[2 * slots];
        sequence.gather(0, sequence.length(), slots, keys, 0, values, 0);
        return IntStream.range(0, keys.length).anyMatch(i -> keys[i] != 0 || values[i] != 0);
    }
}
