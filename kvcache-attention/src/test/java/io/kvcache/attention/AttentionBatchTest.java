package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A batch gives what its sequences give one by one, whatever the attention has seen before. */
final class AttentionBatchTest {
    private static final KvLayout LAYOUT = Filled.layout(KvType.F32, BlockOrder.TILES, 1, 16, 16);

    private final Random random = new Random(9);

    private static float[] attend(PagedAttention attention, AttentionBatch batch, float[] queries) {
        float[] output = new float[batch.rows() * 16];
        attention.attend(batch, 0, queries, 0, output, 0);
        return output;
    }

    private static float[] attendAnew(Sequence sequence, float[] query) {
        return attend(new PagedAttention(LAYOUT, 1), new AttentionBatch().add(sequence), query);
    }

    @Test
    void shouldKeepSequencesOfDifferentCachesApart() {
        try (Filled one = new Filled(LAYOUT, random);
                Filled other = new Filled(LAYOUT, random)) {
            Sequence first = one.open(40);
            Sequence second = other.open(40);
            assertArrayEquals(first.blockTable(), second.blockTable(), "the same numbers of different blocks");
            float[] query = one.gaussian(16);
            float[] twice = new float[32];
            System.arraycopy(query, 0, twice, 0, 16);
            System.arraycopy(query, 0, twice, 16, 16);
            float[] output = attend(
                    new PagedAttention(LAYOUT, 1),
                    new AttentionBatch().add(first).add(second),
                    twice);
            float[] expected = new float[32];
            System.arraycopy(attendAnew(first, query), 0, expected, 0, 16);
            System.arraycopy(attendAnew(second, query), 0, expected, 16, 16);
            assertArrayEquals(expected, output, 1e-5f);
        }
    }

    /** Block tables count their changes each for itself: two batches must not look alike because sums are. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldNotMistakeASequenceForTheOneBefore(boolean batched) {
        try (Filled filled = new Filled(LAYOUT, random)) {
            PagedAttention attention = new PagedAttention(LAYOUT, 1);
            AttentionBatch batch = new AttentionBatch();
            for (int i = 0; i < 300; i++) {
                Sequence sequence = filled.open(1 + random.nextInt(80));
                float[] query = filled.gaussian(16);
                float[] output = new float[16];
                if (batched) {
                    attention.attend(batch.clear().add(sequence), 0, query, 0, output, 0);
                } else {
                    attention.attend(sequence, 0, query, output);
                }
                assertArrayEquals(attendAnew(sequence, query), output, 1e-5f, "i=" + i);
                if (filled.sequences.size() == 5) {
                    filled.sequences.removeFirst().close();
                }
            }
        }
    }

    @Test
    void shouldSeeWhatASequenceHasGotSince() {
        try (Filled filled = new Filled(LAYOUT, random)) {
            Sequence sequence = filled.open(10);
            Sequence other = filled.fork(sequence, 0);
            PagedAttention attention = new PagedAttention(LAYOUT, 1);
            AttentionBatch batch = new AttentionBatch();
            for (int step = 0; step < 100; step++) {
                filled.append(sequence, 1);
                if (step % 3 == 0) {
                    filled.append(other, 1);
                }
                if (step % 17 == 16) {
                    sequence.truncate(sequence.length() / 2);
                }
                float[] query = filled.gaussian(16);
                float[] twice = new float[32];
                System.arraycopy(query, 0, twice, 0, 16);
                System.arraycopy(query, 0, twice, 16, 16);
                float[] output = attend(attention, batch.clear().add(sequence).add(other), twice);
                float[] expected = new float[32];
                System.arraycopy(attendAnew(sequence, query), 0, expected, 0, 16);
                System.arraycopy(attendAnew(other, query), 0, expected, 16, 16);
                assertArrayEquals(expected, output, 1e-5f, "step=" + step);
            }
        }
    }

    @Test
    void shouldBeUsableAfterItWasCleared() {
        try (Filled filled = new Filled(LAYOUT, random)) {
            Sequence sequence = filled.open(30);
            AttentionBatch batch = new AttentionBatch().add(sequence, 3, 20).clear();
            assertEquals(0, batch.rows());
            assertEquals(0, attend(new PagedAttention(LAYOUT, 1), batch, new float[0]).length);
            for (int i = 0; i < 50; i++) {
                batch.add(sequence, i % 30, 0).add(sequence);
            }
            assertEquals(50, batch.rows());
            float[] query = filled.gaussian(50 * 16);
            assertTrue(attend(new PagedAttention(LAYOUT, 1), batch, query).length == 800);
        }
    }
}
