package io.kvcache.bench;

import com.sun.management.ThreadMXBean;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import io.kvcache.demo.DecodeLoop;
import io.kvcache.demo.DecodeOptions;
import io.kvcache.demo.DecodeRequest;
import io.kvcache.demo.DecodeResult;
import io.kvcache.demo.GgufFile;
import io.kvcache.demo.Llama;
import io.kvcache.demo.LlamaShape;
import io.kvcache.demo.LoopStats;
import io.kvcache.demo.Model;
import io.kvcache.demo.ShippedModel;
import io.kvcache.demo.StepBatch;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Steps of the decode loop in which many samples generate a token each. The rival is the same loop with one sample, which takes a step
 * of its own before each of them; {@code timesOne} is the ratio of the tokens per second.
 *
 * <pre>
 * ./kvcache make-model --dim 1024 --layers 8 --out /tmp/dim1024.gguf
 * ./kvcache jmh DecodeBenchmark -p model=/tmp/dim1024.gguf -p samples=16
 * ./kvcache jmh DecodeBenchmark -p samples=32                              # the shipped model
 * </pre>
 *
 * <p>{@code bookkeeping} is the share of the step that neither the model nor the choice of tokens takes; {@code loopBytes} and
 * {@code modelBytes} are what the loop and the model (that is, ND4J) allocate on the Java heap for a token. Prompts that take the place
 * of samples which have come to their end are part of the figures, as in an engine. It does not show other threads of ND4J, or
 * requests that come and go faster.
 *
 * <p>Not thread-safe: one thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(
        value = 3,
        jvmArgsAppend = {
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow"
        })
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 4, time = 2)
public class DecodeBenchmark {
    private static final int PROMPT_TOKENS = 32;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** A GGUF file, or {@code shipped}. */
    @Param("shipped")
    String model;

    /** That generate at a time. */
    @Param({"1", "16", "32"})
    int samples;

    private GgufFile file;
    private Llama llama;
    private KvCache cache;
    private Measured one;
    private Measured many;
    private final Random random = new Random(1);

    /** A model that counts what it allocates. */
    private static final class CountingModel implements Model {
        private final Model counted;
        private long bytes;

        CountingModel(Model counted) {
            this.counted = counted;
        }

        @Override
        public int vocabularySize() {
            return counted.vocabularySize();
        }

        @Override
        public int contextTokens() {
            return counted.contextTokens();
        }

        @Override
        public int maximumRows() {
            return counted.maximumRows();
        }

        @Override
        public void forward(StepBatch batch, float[] logits) {
            long before = THREADS.getCurrentThreadAllocatedBytes();
            counted.forward(batch, logits);
            bytes += THREADS.getCurrentThreadAllocatedBytes() - before;
        }

        @Override
        public void moveKeys(Sequence sequence, int by) {
            counted.moveKeys(sequence, by);
        }
    }

    /** A loop that is never short of samples, and what its steps take. */
    private final class Measured {
        private final int wanted;
        private final CountingModel counting = new CountingModel(llama);
        private final DecodeLoop loop;
        private final List<CompletableFuture<DecodeResult>> results = new ArrayList<>();
        private LoopStats before;
        private long bytes;
        private long modelBytes;

        Measured(int wanted) {
            this.wanted = wanted;
            this.loop = new DecodeLoop(
                    counting, cache, -1, DecodeOptions.DEFAULT.withConcurrency(wanted), System::nanoTime);
            this.before = loop.stats();
        }

        void refill() {
            results.removeIf(CompletableFuture::isDone);
            while (results.size() < wanted) {
                int[] prompt =
                        random.ints(PROMPT_TOKENS, 0, llama.vocabularySize()).toArray();
                int tokens = llama.contextTokens() - PROMPT_TOKENS;
                results.add(loop.submit(DecodeRequest.builder(prompt)
                        .maxTokens(Math.min(tokens, 400 + random.nextInt(80)))
                        .ignoreEndOfSequence(true)
                        .build()));
            }
        }

        boolean step() {
            long start = THREADS.getCurrentThreadAllocatedBytes();
            long model = counting.bytes;
            boolean stepped = loop.step();
            modelBytes += counting.bytes - model;
            bytes += THREADS.getCurrentThreadAllocatedBytes() - start;
            return stepped;
        }

        void forget() {
            before = loop.stats();
            bytes = 0;
            modelBytes = 0;
        }

        double tokens() {
            return (double) (loop.stats().generatedTokens() - before.generatedTokens());
        }

        double stepNanos() {
            return (double) (loop.stats().stepNanos() - before.stepNanos());
        }

        double bookkeeping() {
            LoopStats now = loop.stats();
            long model = now.modelNanos() - before.modelNanos() + now.choiceNanos() - before.choiceNanos();
            return 1 - model / stepNanos();
        }
    }

    /** Loads the model and fills both loops. */
    @Setup(Level.Trial)
    public void load() {
        file = model.equals("shipped") ? ShippedModel.open() : GgufFile.open(Path.of(model));
        LlamaShape shape = LlamaShape.of(file.metadata());
        KvLayout layout = shape.kvLayout(KvType.F16, 16);
        llama = new Llama(file, layout, 2 * PROMPT_TOKENS);
        long blocks = (samples + 1L) * layout.blocksFor(Math.min(512, shape.contextTokens()) + 1);
        cache = KvCache.builder(layout)
                .maximumBytes(blocks * layout.blockBytes())
                .build();
        one = new Measured(1);
        many = new Measured(samples);
    }

    /** Closes everything; a leak fails the benchmark. */
    @TearDown(Level.Trial)
    public void close() {
        one.loop.close();
        many.loop.close();
        cache.close();
        llama.close();
        file.close();
    }

    /** Forgets what was measured. */
    @Setup(Level.Iteration)
    public void forget() {
        one.forget();
        many.forget();
    }

    /** Reports the ratio, and what the loop itself takes. */
    @TearDown(Level.Iteration)
    public void report() {
        double rate = many.tokens() / many.stepNanos();
        Figures.report("timesOne", rate / (one.tokens() / one.stepNanos()), "ratio");
        Figures.report("tokens", rate * TimeUnit.SECONDS.toNanos(1), "tokens/s");
        Figures.report("bookkeeping", many.bookkeeping(), "ratio");
        Figures.report("loopBytes", (many.bytes - many.modelBytes) / many.tokens(), "B/token");
        Figures.report("modelBytes", many.modelBytes / many.tokens(), "B/token");
    }

    /** The rival's step; JMH does not count it to the step that follows. */
    @Setup(Level.Invocation)
    public void stepOne() {
        one.refill();
        one.step();
        many.refill();
    }

    /**
     * A step of many samples.
     *
     * @return whether anything was computed
     */
    @Benchmark
    public boolean step() {
        return many.step();
    }
}
