package io.kvcache.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class FigureTest {
    @Test
    void shouldShowSignificantDigits() {
        assertEquals("12.3", Figure.text(12.345, 3));
        assertEquals("0.00123", Figure.text(0.0012345, 3));
        assertEquals("1,230", Figure.text(1234.5, 3));
        assertEquals("9.90", Figure.text(9.9, 3));
        assertEquals("10.0", Figure.text(9.996, 3));
        assertEquals("-0.500", Figure.text(-0.5, 3));
    }

    @Test
    void shouldGroupWholeNumbersAndLeaveGapsWhereNothingIs() {
        assertEquals("15,039", Figure.text(15_039.0, 0));
        assertEquals("0", Figure.text(0.4, 0));
        assertEquals("", Figure.text(null, 3));
        assertEquals("NaN", Figure.text(Double.NaN, 3));
        assertEquals("0", Figure.text(0.0, 3));
    }
}
