package io.kvcache.demo;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The pieces of a tokenizer: their texts, scores and types by id, and the ids by text.
 *
 * <p>Immutable, hence thread-safe.
 */
final class Vocabulary {
    /** Stands for a space in pieces. */
    static final char SPACE = '\u2581';

    /** What an id is if there is none. */
    static final int NONE = -1;

    static final int NORMAL = 1;
    static final int UNKNOWN = 2;
    static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    static final int BYTE = 6;

    static final int BYTE_VALUES = 256;

    /** A byte's piece reads {@code <0x0A>}. */
    private static final int BYTE_PIECE_LENGTH = 6;

    private final List<String> pieces;
    private final float[] scores;
    private final int[] types;
    private final Map<String, Integer> normalIds = new HashMap<>();
    private final int[] byteIds = new int[BYTE_VALUES];
    private final int longestNormal;

    Vocabulary(GgufMetadata metadata) {
        pieces = metadata.strings("tokenizer.ggml.tokens");
        scores = metadata.floats("tokenizer.ggml.scores");
        types = metadata.ints("tokenizer.ggml.token_type");
        requireEqualSizes(metadata);
        Arrays.fill(byteIds, NONE);
        for (int id = 0; id < types.length; id++) {
            index(metadata, id);
        }
        longestNormal =
                normalIds.keySet().stream().mapToInt(String::length).max().orElse(0);
    }

    int size() {
        return types.length;
    }

    /** The id of a normal piece, or {@link #NONE}. */
    int normalId(String piece) {
        return normalIds.getOrDefault(piece, NONE);
    }

    /** The id of a byte's piece, or {@link #NONE}. */
    int byteId(byte value) {
        return byteIds[Byte.toUnsignedInt(value)];
    }

    /** The characters (UTF-16) of the longest normal piece. */
    int longestNormal() {
        return longestNormal;
    }

    float score(int id) {
        return scores[id];
    }

    boolean isControl(int id) {
        return types[id] == CONTROL;
    }

    boolean isNormal(int id) {
        return types[id] == NORMAL;
    }

    /** The bytes that a token stands for; none for control pieces, the unknown one and the unused. */
    byte[] bytes(int id) {
        return switch (types[id]) {
            case NORMAL -> pieces.get(id).replace(SPACE, ' ').getBytes(StandardCharsets.UTF_8);
            case USER_DEFINED -> pieces.get(id).getBytes(StandardCharsets.UTF_8);
            case BYTE -> new byte[] {(byte) byteValue(pieces.get(id))};
            default -> new byte[0];
        };
    }

    private void requireEqualSizes(GgufMetadata metadata) {
        if (pieces.isEmpty() || pieces.size() != scores.length || pieces.size() != types.length) {
            throw metadata.failure(
                    "vocabulary has no pieces or lists of different sizes",
                    "tokens",
                    pieces.size(),
                    "scores",
                    scores.length,
                    "types",
                    types.length);
        }
    }

    private void index(GgufMetadata metadata, int id) {
        String piece = pieces.get(id);
        if (Float.isNaN(scores[id])) {
            throw metadata.failure("score of a piece is not a number", "id", id, "piece", piece);
        }
        if (isNormal(id)) {
            normalIds.put(piece, id);
        } else if (types[id] == BYTE) {
            indexByte(metadata, id, piece);
        }
    }

    private void indexByte(GgufMetadata metadata, int id, String piece) {
        int value = byteValue(piece);
        if (value == NONE) {
            throw metadata.failure("piece of a byte does not read <0xHH>", "id", id, "piece", piece);
        }
        byteIds[value] = id;
    }

    private static int byteValue(String piece) {
        boolean framed = piece.length() == BYTE_PIECE_LENGTH && piece.startsWith("<0x") && piece.endsWith(">");
        int high = framed ? hexDigit(piece.charAt(3)) : NONE;
        int low = framed ? hexDigit(piece.charAt(4)) : NONE;
        return high == NONE || low == NONE ? NONE : (high << 4) | low;
    }

    private static int hexDigit(char digit) {
        return digit < 0x80 ? Character.digit(digit, 16) : NONE;
    }
}
