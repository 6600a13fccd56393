package io.kvcache.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Builds small tokenizers piece by piece: ids count from 0 in the order of the calls.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class TokenizerModel {
    private final List<String> pieces = new ArrayList<>();
    private final List<Float> scores = new ArrayList<>();
    private final List<Integer> types = new ArrayList<>();
    private final GgufWriter writer = new GgufWriter();

    /** Starts with {@code <unk>} (0), {@code <s>} (1) and {@code </s>} (2), named as such. */
    static TokenizerModel withControls() {
        TokenizerModel model = new TokenizerModel()
                .piece("<unk>", 0, 2)
                .piece("<s>", 0, 3)
                .piece("</s>", 0, 3)
                .model("llama");
        model.writer
                .uint32("tokenizer.ggml.unknown_token_id", 0)
                .uint32("tokenizer.ggml.bos_token_id", 1)
                .uint32("tokenizer.ggml.eos_token_id", 2);
        return model;
    }

    TokenizerModel model(String name) {
        writer.string("tokenizer.ggml.model", name);
        return this;
    }

    /** Adds no space in front, and no token that begins a text. */
    TokenizerModel plain() {
        return flag("add_space_prefix", false).flag("add_bos_token", false);
    }

    TokenizerModel flag(String name, boolean value) {
        writer.bool("tokenizer.ggml." + name, value);
        return this;
    }

    TokenizerModel id(String name, int id) {
        writer.value("tokenizer.ggml." + name, GgufValueType.INT32, id);
        return this;
    }

    TokenizerModel piece(String piece, float score, int type) {
        pieces.add(piece);
        scores.add(score);
        types.add(type);
        return this;
    }

    TokenizerModel normal(String piece, float score) {
        return piece(piece, score, 1);
    }

    /** The 256 pieces of bytes. */
    TokenizerModel bytes() {
        for (int value = 0; value < 256; value++) {
            piece(String.format(Locale.ROOT, "<0x%02X>", value), 0, 6);
        }
        return this;
    }

    /** Leaves out the last score. */
    TokenizerModel withoutLastScore() {
        scores.removeLast();
        return this;
    }

    Tokenizer build() throws IOException {
        Path path = Files.createTempFile("tokenizer", ".gguf");
        try {
            write(path);
            return read(path);
        } finally {
            Files.delete(path);
        }
    }

    private void write(Path path) throws IOException {
        writer.array("tokenizer.ggml.tokens", GgufValueType.STRING, pieces)
                .array("tokenizer.ggml.scores", GgufValueType.FLOAT32, scores)
                .array("tokenizer.ggml.token_type", GgufValueType.INT32, types)
                .write(path);
    }

    private static Tokenizer read(Path path) {
        try (GgufFile file = GgufFile.open(path)) {
            return new Tokenizer(file.metadata());
        }
    }
}
