package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Objects;
import org.junit.jupiter.api.function.Executable;

/** Asserts what a refused call says, operands included. */
final class Thrown {
    private Thrown() {}

    static String message(Class<? extends Exception> type, Executable call) {
        return Objects.requireNonNull(assertThrows(type, call).getMessage());
    }

    static void assertMessage(String message, Class<? extends Exception> type, Executable call) {
        assertEquals(message, message(type, call));
    }

    static void assertRefused(String message, Executable call) {
        assertMessage(message, IllegalArgumentException.class, call);
    }

    static void assertMisuse(String message, Executable call) {
        assertMessage(message, IllegalStateException.class, call);
    }

    static void assertOutOfBounds(String message, Executable call) {
        assertMessage(message, IndexOutOfBoundsException.class, call);
    }
}
