package io.kvcache.demo;

import static io.kvcache.demo.CliResult.assertOneLine;
import static io.kvcache.demo.CliResult.call;
import static io.kvcache.demo.CliResult.callJson;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A made model has the sizes, values and tokenizer that it should, and whatever cannot be made is one line. */
final class MakeModelCommandTest {
    private static final String SIZES =
            "--dim 64 --layers 2 --heads 4 --kv-heads 2 --ffn 95 --vocab 300 --context 128 --seed 7";

    @TempDir
    private Path directory = Path.of("");

    private Path file() {
        return directory.resolve("made.gguf");
    }

    /** A call with these options, of which later ones replace those of {@link #SIZES}. */
    private String[] arguments(String options) {
        List<String> all = new ArrayList<>(List.of("make-model", "--out", file().toString()));
        List<String> given = words(options);
        List<String> sizes = words(SIZES);
        for (int index = 0; index < sizes.size(); index += 2) {
            if (!given.contains(sizes.get(index))) {
                all.addAll(sizes.subList(index, index + 2));
            }
        }
        all.addAll(given);
        return all.toArray(String[]::new);
    }

    private static List<String> words(String options) {
        return Arrays.stream(options.split(" ", -1))
                .filter(word -> !word.isEmpty())
                .toList();
    }

    private GgufFile make(String options) {
        CliResult result = call(arguments(options));
        assertEquals("", result.err());
        assertEquals(0, result.exitCode());
        return GgufFile.open(file());
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(path -> path.getFileName().toString()).toList();
        }
    }

    // ---- what is made ----

    @Test
    void shouldMakeAModelOfTheSizesAskedFor() throws IOException {
        try (GgufFile made = make("")) {
            assertEquals(new LlamaShape(2, 64, 4, 2, 16, 16, 95, 128, 10_000, 1e-5f), LlamaShape.of(made.metadata()));
            assertEquals(2 * 9 + 3, made.tensors().size());
            assertEquals(List.of(64L, 300L), made.tensor("token_embd.weight").dimensions());
            assertEquals(List.of(64L, 32L), made.tensor("blk.0.attn_k.weight").dimensions());
            assertEquals(List.of(95L, 64L), made.tensor("blk.1.ffn_down.weight").dimensions());
            assertEquals(TensorType.F16, made.tensor("output.weight").type());
            assertEquals(TensorType.F32, made.tensor("output_norm.weight").type());
        }
        assertEquals(List.of("made.gguf"), files());
    }

    @Test
    void shouldSayInOneLineWhatItMade() throws IOException {
        CliResult result = call(arguments(""));
        assertEquals("", result.err());
        String size = ByteSize.text(Files.size(file()));
        assertEquals(
                file() + ": 99776 parameters, " + size + ", 256 bytes of K/V a token (F16)\n",
                result.out().replace(System.lineSeparator(), "\n"));
    }

    @Test
    void shouldPrintOneJsonObject() throws IOException {
        JsonNode json = callJson(arguments(""));
        assertEquals(
                List.of("path", "parameters", "fileBytes", "kvBytesPerToken"),
                json.propertyStream().map(entry -> entry.getKey()).toList());
        assertEquals(file().toString(), json.get("path").textValue());
        // embeddings and output; in a layer norms, q and o, k and v, feed-forward; the last norm
        long parameters = 2 * 300 * 64 + 2 * (2 * 64 + 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 95) + 64;
        assertEquals(parameters, json.get("parameters").longValue());
        assertEquals(Files.size(file()), json.get("fileBytes").longValue());
        assertEquals(2 * 2 * 2 * 16 * 2, json.get("kvBytesPerToken").longValue());
    }

    @Test
    void shouldMakeTheSameBytesOnEveryMachine() throws IOException, NoSuchAlgorithmException {
        make("").close();
        byte[] first = Files.readAllBytes(file());
        make("--force").close();
        assertArrayEquals(first, Files.readAllBytes(file()));
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(first);
        assertEquals(
                "e2f1576e7c3f750214d9011281f530bd96c4c902ec90300a1244a245f12d9516",
                HexFormat.of().formatHex(digest));
        make("--seed 8 --force").close();
        assertFalse(Arrays.equals(first, Files.readAllBytes(file())));
    }

    @Test
    void shouldListAllOptionsWithTheirDefaults() {
        String help = call("make-model", "--help").out().replaceAll("\\s+", " ");
        for (String option : List.of("dim", "layers", "heads", "kv-heads", "ffn", "vocab", "context", "seed")) {
            assertTrue(help.matches(".*--" + option + "=\\w .*?\\(default: \\d+\\).*"), option + ": " + help);
        }
        assertTrue(call("--help").out().contains("make-model"));
    }

    // ---- weights ----

    @ParameterizedTest
    @CsvSource({
        "token_embd.weight, 1",
        "blk.0.attn_q.weight, 0.125", // 1 / sqrt(64)
        "blk.1.attn_k.weight, 0.125",
        "blk.2.attn_v.weight, 0.125",
        "blk.0.attn_output.weight, 0.04419417382", // 1 / sqrt(64 * 2 * 4)
        "blk.3.ffn_gate.weight, 0.125",
        "blk.0.ffn_up.weight, 0.125",
        "blk.1.ffn_down.weight, 0.03627381251", // 1 / sqrt(95 * 2 * 4)
        "output.weight, 0.3125" // 2.5 / sqrt(64)
    })
    void shouldDrawWeightsFromANormalDistribution(String name, double deviation) {
        try (GgufFile made = make("--layers 4")) {
            float[] values = made.tensor(name).toFloats();
            double count = values.length;
            // Five deviations of each estimate.
            assertEquals(0, moment(values, deviation, 1), 5 / Math.sqrt(count));
            assertEquals(1, moment(values, deviation, 2), 5 * Math.sqrt(2 / count));
            assertEquals(0, moment(values, deviation, 3), 5 * Math.sqrt(15 / count));
            assertEquals(3, moment(values, deviation, 4), 5 * Math.sqrt(96 / count));
            double products = IntStream.range(1, values.length)
                    .mapToDouble(i -> values[i - 1] * (double) values[i] / (deviation * deviation))
                    .sum();
            assertEquals(0, products / count, 5 / Math.sqrt(count));
        }
    }

    private static double moment(float[] values, double deviation, int power) {
        return IntStream.range(0, values.length)
                .mapToDouble(i -> Math.pow(values[i] / deviation, power))
                .average()
                .orElseThrow();
    }

    @Test
    void shouldLeaveNormsAtOneAndRepeatNoRow() {
        try (GgufFile made = make("")) {
            Set<List<Float>> starts = new HashSet<>();
            int rows = 0;
            for (Tensor tensor : made.tensors()) {
                float[] values = tensor.toFloats();
                if (tensor.name().contains("norm")) {
                    float[] ones = new float[64];
                    Arrays.fill(ones, 1);
                    assertArrayEquals(ones, values);
                    continue;
                }
                for (int row = 0; row < tensor.rows(); row++) {
                    int start = Math.toIntExact(row * tensor.columns());
                    starts.add(List.of(values[start], values[start + 1], values[start + 2], values[start + 3]));
                    rows++;
                }
            }
            assertEquals(2 * 300 + 2 * (64 + 32 + 32 + 64 + 95 + 95 + 64), rows);
            assertEquals(rows, starts.size());
        }
    }

    // ---- what the model computes ----

    @ParameterizedTest
    @ValueSource(strings = {"", "--layers 1", "--layers 40", "--dim 32 --ffn 400", "--vocab 4096 --seed 3"})
    void shouldGiveLogitsOfAUsableSpread(String options) {
        try (GgufFile made = make(options)) {
            int[] tokens = new Tokenizer(made.metadata()).encode("a prompt of some length, and more of it");
            float[] logits = logits(made, tokens);
            assertEquals(0, mean(logits), 5 * 2.5 / Math.sqrt(logits.length));
            double deviation = Math.sqrt(moment(logits, 1, 2));
            assertTrue(deviation > 2 && deviation < 3, () -> "deviation " + deviation);
        }
    }

    private static double mean(float[] values) {
        return moment(values, 1, 1);
    }

    private static float[] logits(GgufFile file, int[] tokens) {
        KvLayout layout = LlamaShape.of(file.metadata()).kvLayout(KvType.F16, 16);
        try (KvCache cache = cache(layout);
                Llama llama = new Llama(file, layout, tokens.length);
                Sequence sequence = cache.namespace("test").open(tokens)) {
            assertTrue(sequence.tryReserve(tokens.length));
            float[] logits = new float[llama.vocabularySize()];
            llama.forward(new StepBatch().add(sequence, tokens, 0, tokens.length, 1), logits);
            sequence.commit(tokens);
            return logits;
        }
    }

    private static KvCache cache(KvLayout layout) {
        return KvCache.builder(layout).maximumBytes(16 * layout.blockBytes()).build();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4})
    void shouldNotCollapseToAFewTokens(int seed) {
        try (GgufFile made = make("--seed " + seed)) {
            Tokenizer tokenizer = new Tokenizer(made.metadata());
            KvLayout layout = LlamaShape.of(made.metadata()).kvLayout(KvType.F16, 16);
            try (KvCache cache = cache(layout);
                    Llama llama = new Llama(made, layout, 16)) {
                DecodeRequest.Builder request = DecodeRequest.builder(tokenizer.encode("hello"))
                        .maxTokens(64)
                        .ignoreEndOfSequence(true);
                Generation generation =
                        new Decoder(llama, tokenizer, cache, System::nanoTime).generate(request, text -> {});
                assertEquals(64, generation.tokens().size());
                Set<Integer> distinct = new HashSet<>(generation.tokens());
                assertTrue(distinct.size() >= 16, () -> distinct.size() + " distinct ids: " + generation.tokens());
            }
        }
    }

    @Test
    void shouldMakeAModelThatRuns() throws IOException {
        make("--vocab 260").close();
        String[] run = {"run", "--model", file().toString(), "--prompt", "hello", "--max-tokens", "5", "--ignore-eos"};
        assertEquals(5, callJson(run).get("tokens").size());
    }

    // ---- its tokenizer ----

    @ParameterizedTest
    @ValueSource(ints = {260, 261, 286, 300, 4096})
    void shouldEncodeAnyTextWithEveryVocabulary(int size) {
        try (GgufFile made = make("--dim 8 --vocab " + size)) {
            Tokenizer tokenizer = new Tokenizer(made.metadata());
            assertEquals(size, tokenizer.vocabularySize());
            for (String text : List.of("", " ", "In the  beginning", "\u00e9t\u00e9 \ud83d\ude00\n\u0000", "</s>")) {
                int[] ids = tokenizer.encode(text);
                assertEquals(1, ids[0]);
                assertEquals(text, tokenizer.decode(ids));
            }
            assertEquals(1, tokenizer.bos().orElseThrow());
            assertEquals(2, tokenizer.eos().orElseThrow());
        }
    }

    @Test
    void shouldReachEveryPieceByJoining() {
        try (GgufFile made = make("--dim 8 --vocab 4096")) {
            Tokenizer tokenizer = new Tokenizer(made.metadata());
            List<String> pieces = made.metadata().strings("tokenizer.ggml.tokens");
            assertEquals(4096, new HashSet<>(pieces).size());
            assertEquals(List.of("<0xFF>", "\u2581", "a", "b"), pieces.subList(258, 262));
            assertEquals(List.of("z", "\u2581\u2581", "\u2581a"), pieces.subList(285, 288));
            for (int id = 259; id < 4096; id++) {
                String text = pieces.get(id).replace('\u2581', ' ');
                assertArrayEquals(new int[] {1, id}, tokenizer.encode(text), text);
            }
            for (int id = 3; id < 259; id++) {
                assertArrayEquals(new byte[] {(byte) (id - 3)}, tokenizer.bytes(id));
            }
        }
    }

    // ---- bad input: one line, non-zero, no file ----

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--dim 0 | must be positive: dim=0",
                "--layers -1 | must be positive: layers=-1",
                "--heads 0 | must be positive: heads=0",
                "--kv-heads 0 | must be positive: kvHeads=0",
                "--ffn 0 | must be positive: ffn=0",
                "--context 0 | must be positive: context=0",
                "--heads 4 --kv-heads 3 | query heads must be a multiple of K/V heads: heads=4 kvHeads=3",
                "--heads 4 --kv-heads 8 | query heads must be a multiple of K/V heads: heads=4 kvHeads=8",
                "--dim 66 | dim must be a multiple of heads: dim=66 heads=4",
                "--dim 2 | dim must be a multiple of heads: dim=2 heads=4",
                "--dim 60 | head size must be even: dim=60 heads=4 headSize=15",
                "--vocab 259 | vocabulary must hold <unk>, <s>, </s>, 256 bytes and the space: vocab=259 minimum=260",
                "--vocab -5 | vocabulary must hold <unk>, <s>, </s>, 256 bytes and the space: vocab=-5 minimum=260",
                "--vocab 4194305 | vocabulary is larger than the reader of model files takes: vocab=4194305"
                        + " maximum=4194304",
                "--ffn 1073741820 | row has more bytes than an int counts: dim=64 ffn=1073741820 maximum=1073741819",
                "--dim 2147483640 | row has more bytes than an int counts: dim=2147483640 ffn=95 maximum=1073741819",
                "--layers 7282 | more tensors than the reader of model files takes: layers=7282 tensors=65541"
                        + " maximum=65536",
                "--layers 2147483647 | more tensors than the reader of model files takes: layers=2147483647"
                        + " tensors=19327352826 maximum=65536",
                "--dim 1073741816 --ffn 1073741819 --layers 7281 | model has more bytes than a long counts:"
                        + " dim=1073741816 layers=7281 ffn=1073741819 vocab=300"
            })
    void shouldRefuseSizesThatDoNotFitTogether(String options, String message) throws IOException {
        assertRefused(1, message, arguments(options));
        assertEquals(List.of(), files());
    }

    private static void assertRefused(int exitCode, String message, String... arguments) {
        CliResult result = call(arguments);
        assertEquals("", result.out());
        assertEquals(message, result.err().strip());
        assertEquals(exitCode, result.exitCode());
    }

    @Test
    void shouldRefuseCallsThatCannotBeUnderstood() throws IOException {
        assertOneLine(2, "Missing required option: '--out=F.gguf' \\(see kvcache make-model --help\\)", "make-model");
        assertOneLine(2, ".*--dim.*'wide'.*", arguments("--dim wide"));
        assertOneLine(2, ".*--vocab.*'4294967296'.*", arguments("--vocab 4294967296"));
        assertOneLine(2, "Unknown option: '--experts'.*", arguments("--experts"));
        assertEquals(List.of(), files());
    }

    @Test
    void shouldOverwriteAFileOnlyIfTold() throws IOException {
        Files.writeString(file(), "precious");
        assertRefused(1, "file exists, and only --force overwrites it: out=" + file(), arguments(""));
        assertEquals("precious", Files.readString(file()));
        make("--force").close();
        assertEquals(List.of("made.gguf"), files());
    }

    @Test
    void shouldRefusePlacesWhereNoFileCanBe() throws IOException {
        Path missing = directory.resolve("none").resolve("made.gguf");
        assertRefused(
                1,
                "directory does not exist: out=" + missing + " directory=" + missing.getParent(),
                "make-model",
                "--out",
                missing.toString());
        assertRefused(
                1, "file is a directory: out=" + directory, "make-model", "--force", "--out", directory.toString());
        assertRefused(1, "file is a directory: out=/", "make-model", "--out", "/");
        Path link = Files.createSymbolicLink(file(), directory.resolve("elsewhere"));
        assertRefused(1, "only a regular file is overwritten: out=" + link, arguments("--force"));
        assertRefused(1, "file exists, and only --force overwrites it: out=" + link, arguments(""));
        assertEquals(List.of("made.gguf"), files());
    }
}
