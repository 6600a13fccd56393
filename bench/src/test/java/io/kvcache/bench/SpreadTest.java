package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

final class SpreadTest {
    @Test
    void shouldTakeTheMiddleOrTheMeanOfTheTwoThere() {
        assertEquals(new Spread(1, 2, 9), Spread.of(9, 1, 2));
        assertEquals(new Spread(1, 3, 9), Spread.of(9, 2, 1, 4));
        assertEquals(new Spread(7, 7, 7), Spread.of(7));
    }

    @Test
    void shouldRefuseNothing() {
        assertEquals(
                "must have a value: values=0",
                assertThrows(IllegalArgumentException.class, Spread::of).getMessage());
    }
}
