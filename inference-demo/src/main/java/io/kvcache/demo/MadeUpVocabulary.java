package io.kvcache.demo;

import java.util.AbstractList;
import java.util.HexFormat;
import java.util.List;
import java.util.function.IntFunction;

/**
 * A tokenizer's pieces for a model that was not trained: three special ones, the 256 bytes, then all strings over space and
 * the letters a to z, the shorter ones first. Every text can be encoded, and every piece can be reached by joining others,
 * since all shorter strings come before it.
 *
 * <p>Pieces are made when they are asked for, so a large vocabulary takes no memory. Immutable, hence thread-safe.
 */
final class MadeUpVocabulary {
    /*
     * id      0      1    2     3       258     259  260    285  286       287
     * piece   <unk>  <s>  </s>  <0x00>..<0xFF>  _    a   ..  z   _ _       _a  ..     _: Vocabulary.SPACE
     * score   0 ...                             0    -1 ..  -26  -27       -28 ..     the shorter joins first
     */
    private static final List<String> SPECIAL = List.of("<unk>", "<s>", "</s>");
    private static final int FIRST_WORD = SPECIAL.size() + Vocabulary.BYTE_VALUES;
    private static final String ALPHABET = Vocabulary.SPACE + "abcdefghijklmnopqrstuvwxyz";

    static final int UNKNOWN_ID = 0;
    static final int BOS_ID = 1;
    static final int EOS_ID = 2;

    /** The special pieces, the bytes and the space. */
    static final int MINIMUM_SIZE = FIRST_WORD + 1;

    private final int size;

    MadeUpVocabulary(int size) {
        if (size < MINIMUM_SIZE) {
            throw new IllegalArgumentException("vocabulary must hold <unk>, <s>, </s>, 256 bytes and the space: vocab="
                    + size + " minimum=" + MINIMUM_SIZE);
        }
        if (size > GgufCursor.MAXIMUM_ARRAY_COUNT) {
            throw new IllegalArgumentException("vocabulary is larger than the reader of model files takes: vocab="
                    + size + " maximum=" + GgufCursor.MAXIMUM_ARRAY_COUNT);
        }
        this.size = size;
    }

    int size() {
        return size;
    }

    List<String> pieces() {
        return list(MadeUpVocabulary::piece);
    }

    List<Float> scores() {
        return list(id -> (float) Math.min(0, FIRST_WORD - id));
    }

    List<Integer> types() {
        return list(MadeUpVocabulary::type);
    }

    private <T> List<T> list(IntFunction<T> element) {
        return new AbstractList<>() {
            @Override
            public T get(int id) {
                return element.apply(id);
            }

            @Override
            public int size() {
                return size;
            }
        };
    }

    private static String piece(int id) {
        if (id < SPECIAL.size()) {
            return SPECIAL.get(id);
        }
        int value = id - SPECIAL.size();
        return id < FIRST_WORD
                ? "<0x" + HexFormat.of().withUpperCase().toHexDigits((byte) value) + ">"
                : word(id - FIRST_WORD);
    }

    private static int type(int id) {
        if (id >= SPECIAL.size()) {
            return id < FIRST_WORD ? Vocabulary.BYTE : Vocabulary.NORMAL;
        }
        return id == UNKNOWN_ID ? Vocabulary.UNKNOWN : Vocabulary.CONTROL;
    }

    /** The string of that index, in the order of columns of a spreadsheet: A to Z, AA, AB and so on. */
    private static String word(int index) {
        StringBuilder word = new StringBuilder();
        for (int rest = index; rest >= 0; rest = rest / ALPHABET.length() - 1) {
            word.append(ALPHABET.charAt(rest % ALPHABET.length()));
        }
        return word.reverse().toString();
    }
}
