package io.kvcache.demo;

/**
 * A model file that cannot be used: the message is one line, {@code path: rule: name=value name=value}.
 *
 * <p>Immutable, hence thread-safe.
 */
public final class GgufException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Names in a hostile file may be long; this is enough to find them. */
    private static final int LONGEST_OPERAND_CHARACTERS = 120;

    private GgufException(String message) {
        super(message);
    }

    /** The exception for {@code rule}; {@code operands} are names and values in turn. */
    static GgufException of(String source, String rule, Object... operands) {
        return new GgufException(message(source, rule, operands));
    }

    private static String message(String source, String rule, Object... operands) {
        StringBuilder message = new StringBuilder(source).append(": ").append(rule);
        for (int index = 0; index + 1 < operands.length; index += 2) {
            message.append(index == 0 ? ": " : " ").append(operands[index]).append('=');
            message.append(clipped(String.valueOf(operands[index + 1])));
        }
        return onOneLine(message);
    }

    private static String clipped(String operand) {
        boolean fits = operand.length() <= LONGEST_OPERAND_CHARACTERS;
        return fits ? operand : operand.substring(0, LONGEST_OPERAND_CHARACTERS) + "...";
    }

    private static String onOneLine(CharSequence message) {
        StringBuilder line = new StringBuilder(message.length());
        message.codePoints().forEach(character -> line.appendCodePoint(breaksLine(character) ? '?' : character));
        return line.toString();
    }

    private static boolean breaksLine(int character) {
        return Character.isISOControl(character) || character == '\u2028' || character == '\u2029';
    }
}
