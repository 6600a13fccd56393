package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A conversation keeps what fits into a context, and what its session holds. */
final class ConversationTest {
    private static final ContextShift SHIFT = new ContextShift(2, 4);
    private static final int CONTEXT = 10;

    private final Conversation conversation = new Conversation("default", "a");

    @Test
    void shouldDropTheOldestBehindTheFirstTokensWhereATurnWouldNotFit() {
        conversation.add(IntStream.range(0, 8).toArray());
        assertEquals(0, conversation.makeRoom(2, SHIFT, CONTEXT));
        assertEquals(2, conversation.makeRoom(3, SHIFT, CONTEXT));
        assertArrayEquals(new int[] {0, 1, 4, 5, 6, 7}, conversation.said());
        assertEquals(4, conversation.makeRoom(8, SHIFT, CONTEXT));
        assertArrayEquals(new int[] {0, 1}, conversation.said());
        IllegalArgumentException failure =
                assertThrows(IllegalArgumentException.class, () -> conversation.makeRoom(9, SHIFT, CONTEXT));
        assertEquals(
                "turn is longer than the context has room for: turnTokens=9 sinks=2 contextTokens=10",
                failure.getMessage());
        assertEquals(2, conversation.size());
    }

    @Test
    void shouldShiftAsALoopDoes() {
        conversation.add(IntStream.range(0, 9).toArray());
        conversation.addShifted(new int[] {9, 10}, SHIFT, CONTEXT); // ten are computed, none to come
        assertEquals(11, conversation.size());
        conversation.returnTo(IntStream.range(0, 9).toArray());
        conversation.addShifted(new int[] {9, 10, 11}, SHIFT, CONTEXT);
        assertArrayEquals(new int[] {0, 1, 6, 7, 8, 9, 10, 11}, conversation.said());
    }
}
