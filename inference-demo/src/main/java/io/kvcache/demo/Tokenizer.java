package io.kvcache.demo;

import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * Turns text into token ids and back, in the manner of SentencePiece with byte fallback, from the pieces that a model
 * file holds ({@code tokenizer.ggml.model = llama}).
 *
 * <p>Text never becomes a control token: {@code </s>} in a text is encoded as its characters.
 *
 * <p>Immutable, hence thread-safe.
 */
public final class Tokenizer {
    /** The only kind of tokenizer here; other kinds of models have others. */
    private static final String MODEL = "llama";

    private static final int REPLACEMENT = 0xFFFD;

    private final Vocabulary vocabulary;
    private final OptionalInt bos;
    private final OptionalInt eos;
    private final int unknownId;
    private final boolean addsBos;
    private final boolean addsSpacePrefix;

    /** The tokenizer that {@code metadata} describes. */
    public Tokenizer(GgufMetadata metadata) {
        requireModel(metadata);
        vocabulary = new Vocabulary(metadata);
        bos = id(metadata, "tokenizer.ggml.bos_token_id");
        eos = id(metadata, "tokenizer.ggml.eos_token_id");
        unknownId = id(metadata, "tokenizer.ggml.unknown_token_id").orElse(0);
        addsBos = addsBos(metadata);
        addsSpacePrefix = metadata.booleanValue("tokenizer.ggml.add_space_prefix", true);
    }

    /** How many ids there are, from 0. */
    public int vocabularySize() {
        return vocabulary.size();
    }

    /** The token that begins a text, if the file names one. */
    public OptionalInt bos() {
        return bos;
    }

    /** The token that ends a text, if the file names one. */
    public OptionalInt eos() {
        return eos;
    }

    /** Whether a token stands for no text but steers the model. */
    public boolean isControl(int id) {
        requireId(id);
        return vocabulary.isControl(id);
    }

    /** The ids of a text, after the token that begins texts if the model wants it. */
    public int[] encode(String text) {
        IntStream.Builder ids = IntStream.builder();
        if (addsBos) {
            ids.add(bos.getAsInt());
        }
        return addIds(ids, text);
    }

    /** The ids of a text that follows another one: the token that begins texts is not put in front. */
    int[] encodeMore(String text) {
        return addIds(IntStream.builder(), text);
    }

    private int[] addIds(IntStream.Builder ids, String text) {
        new PieceMerger(vocabulary, unknownId, normalized(text)).addIds(ids);
        return ids.build().toArray();
    }

    /** The text of ids that {@link #encode} gave, and of those that a model added. */
    public String decode(int[] ids) {
        TextStream stream = textFromStart();
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(stream.append(id));
        }
        return text.append(stream.finish()).toString();
    }

    /** A decoder for ids that begin a text: it drops the space that {@link #encode} put in front, if it did. */
    public TextStream textFromStart() {
        return new TextStream(this, addsSpacePrefix);
    }

    /** A decoder for ids that continue a text, such as those that a model adds to a prompt. */
    public TextStream continuedText() {
        return new TextStream(this, false);
    }

    /** The bytes that a token stands for, perhaps none. */
    byte[] bytes(int id) {
        requireId(id);
        return vocabulary.bytes(id);
    }

    boolean isNormal(int id) {
        return vocabulary.isNormal(id);
    }

    private String normalized(String text) {
        StringBuilder normalized = new StringBuilder(text.length() + 1);
        if (addsSpacePrefix && !text.isEmpty()) {
            normalized.append(Vocabulary.SPACE);
        }
        text.codePoints().map(Tokenizer::normalized).forEach(normalized::appendCodePoint);
        return normalized.toString();
    }

    private static int normalized(int character) {
        if (character == ' ') {
            return Vocabulary.SPACE;
        }
        boolean lone = character >= Character.MIN_SURROGATE && character <= Character.MAX_SURROGATE;
        return lone ? REPLACEMENT : character;
    }

    private OptionalInt id(GgufMetadata metadata, String key) {
        if (!metadata.contains(key)) {
            return OptionalInt.empty();
        }
        int id = metadata.intValue(key);
        if (id < 0 || id >= vocabulary.size()) {
            throw metadata.failure(
                    "token id is outside the vocabulary", "key", key, "id", id, "vocabularySize", vocabulary.size());
        }
        return OptionalInt.of(id);
    }

    private boolean addsBos(GgufMetadata metadata) {
        String key = "tokenizer.ggml.add_bos_token";
        if (bos.isEmpty() && metadata.booleanValue(key, false)) {
            throw metadata.failure("token that begins texts is asked for but not named", "key", key, "value", true);
        }
        return bos.isPresent() && metadata.booleanValue(key, true);
    }

    private static void requireModel(GgufMetadata metadata) {
        String model = metadata.string("tokenizer.ggml.model");
        if (!model.equals(MODEL)) {
            throw metadata.failure("tokenizer model is not supported", "model", model, "supported", MODEL);
        }
    }

    private void requireId(int id) {
        if (id < 0 || id >= vocabulary.size()) {
            throw new IndexOutOfBoundsException(
                    "token id is outside the vocabulary: id=" + id + " vocabularySize=" + vocabulary.size());
        }
    }
}
