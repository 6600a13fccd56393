package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import io.kvcache.TierOptions;
import io.kvcache.TierStats;
import io.kvcache.demo.DecodeLoop;
import io.kvcache.demo.DecodeOptions;
import io.kvcache.demo.DecodeRequest;
import io.kvcache.demo.DecodeResult;
import io.kvcache.demo.GgufFile;
import io.kvcache.demo.Llama;
import io.kvcache.demo.LlamaShape;
import io.kvcache.demo.ShippedModel;
import io.kvcache.localredis.LocalRedis;
import io.kvcache.remote.RemoteOptions;
import io.kvcache.remote.RemoteStore;
import io.kvcache.tiers.DiskOptions;
import io.kvcache.tiers.DiskStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
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
 * Time to the first token of a prompt of which all but the last token is cached nowhere, in memory, on disk, where another process
 * has left it, or on a server on the loopback interface, where another machine has.
 *
 * <pre>
 * ./kvcache make-model --dim 1024 --layers 8 --out /tmp/dim1024.gguf
 * ./kvcache jmh FirstTokenBenchmark -p model=/tmp/dim1024.gguf
 * ./kvcache jmh FirstTokenBenchmark                                        # the shipped model
 * </pre>
 *
 * <p>Each shot without memory has a cache of its own, which is made, and the disk opened or the server connected to, before the clock starts. {@code loadOnly} is the part of
 * {@code disk} that takes the place of computing the prompt. Files are in the page cache of the operating system.
 *
 * <p>It does not show other requests, a disk that has to move, or a network.
 *
 * <p>Not thread-safe: one thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(
        value = 3,
        jvmArgsAppend = {
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow"
        })
@Warmup(iterations = 2)
@Measurement(iterations = 3)
public class FirstTokenBenchmark {
    private static final int MOST_PROMPT_TOKENS = 1024;
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int ROWS = 64;
    private static final long DISK_BYTES = 1L << 30;
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    /** A GGUF file, or {@code shipped}. */
    @Param("shipped")
    String model;

    private GgufFile file;
    private KvLayout layout;
    private Llama llama;
    private Path directory = Path.of("");
    private int[] prompt = {};
    private KvCache cold;
    private KvCache warm;
    private KvCache restarted;

    /** Loads the model, and leaves the prompt on disk and in memory. */
    @Setup(Level.Trial)
    public void load() throws IOException, InterruptedException {
        file = model.equals("shipped") ? ShippedModel.open() : GgufFile.open(Path.of(model));
        LlamaShape shape = LlamaShape.of(file.metadata());
        layout = shape.kvLayout(KvType.F16, TOKENS_PER_BLOCK);
        llama = new Llama(file, layout, ROWS);
        int most = Math.min(MOST_PROMPT_TOKENS, shape.contextTokens() - 1) / TOKENS_PER_BLOCK * TOKENS_PER_BLOCK;
        prompt = new Random(1).ints(most + 1L, 0, llama.vocabularySize()).toArray();
        directory = Files.createTempDirectory("kvcache-first-token");
        try (KvCache cache = overDisk()) {
            firstToken(cache);
            if (!cache.flush(PATIENCE)) {
                throw new IllegalStateException("not all is on disk: " + cache.stats());
            }
        }
        warm = builder().build();
        firstToken(warm);
    }

    private KvCache.Builder builder() {
        return KvCache.builder(layout)
                .maximumBytes((layout.blocksFor(prompt.length) + 2L) * layout.blockBytes())
                .model(model);
    }

    private KvCache overDisk() throws IOException {
        return builder()
                .tier(TierOptions.of("disk", DiskStore.open(directory, DiskOptions.of(DISK_BYTES))))
                .build();
    }

    /** Makes the caches for one shot. */
    @Setup(Level.Invocation)
    public void open() throws IOException, InterruptedException {
        cold = builder().build();
        restarted = overDisk();
        restarted.flush(PATIENCE);
    }

    /** Closes them. */
    @TearDown(Level.Invocation)
    public void closeCaches() {
        cold.close();
        restarted.close();
    }

    /** Closes the model and deletes what is on disk. */
    @TearDown(Level.Trial)
    public void close() throws IOException {
        warm.close();
        llama.close();
        file.close();
        try (var paths = Files.list(directory)) {
            for (Path path : List.copyOf(paths.toList())) {
                Files.delete(path);
            }
        }
        Files.delete(directory);
    }

    /** A server that has the prompt, and a cache before it. */
    @State(Scope.Thread)
    public static class Elsewhere {
        private LocalRedis server;
        private RemoteOptions options;
        private KvCache cache;

        /** Leaves the prompt on the server. */
        @Setup(Level.Trial)
        public void store(FirstTokenBenchmark bench) throws IOException, InterruptedException {
            server = LocalRedis.start();
            options = RemoteOptions.of(server.uri()).withDeadlines(PATIENCE, PATIENCE);
            try (KvCache other = make(bench)) {
                bench.firstToken(other);
                if (!other.flush(PATIENCE)) {
                    throw new IllegalStateException("not all is on the server: " + other.stats());
                }
            }
        }

        private KvCache make(FirstTokenBenchmark bench) throws IOException {
            RemoteStore store = RemoteStore.connect(options);
            return bench.builder()
                    .tier(RemoteStore.tier("remote", options).withOpener(() -> store))
                    .build();
        }

        /** Makes the cache for one shot. */
        @Setup(Level.Invocation)
        public void open(FirstTokenBenchmark bench) throws IOException {
            cache = make(bench);
        }

        /** Closes it, if it has loaded the prompt. */
        @TearDown(Level.Invocation)
        public void closeCache() {
            TierStats remote = cache.stats().tiers().getFirst();
            cache.close();
            if (remote.loadedBlocks() == 0) {
                throw new IllegalStateException("not all came from the server: " + remote);
            }
        }

        /** Ends the server. */
        @TearDown(Level.Trial)
        public void close() {
            server.close();
        }
    }

    private int firstToken(KvCache cache) {
        try (DecodeLoop loop =
                new DecodeLoop(llama, cache, -1, DecodeOptions.DEFAULT.withConcurrency(1), System::nanoTime)) {
            CompletableFuture<DecodeResult> result =
                    loop.submit(DecodeRequest.builder(prompt).maxTokens(1).build());
            loop.run();
            return result.join().samples().getFirst().tokens()[0];
        }
    }

    /**
     * Computes the prompt.
     *
     * @return the token
     */
    @Benchmark
    public int cold() {
        return firstToken(cold);
    }

    /**
     * Finds the prompt in memory.
     *
     * @return the token
     */
    @Benchmark
    public int memory() {
        return firstToken(warm);
    }

    /**
     * Loads the prompt from disk.
     *
     * @return the token
     */
    @Benchmark
    public int disk() {
        return firstToken(restarted);
    }

    /**
     * Loads the prompt from a server.
     *
     * @param elsewhere the server
     * @return the token
     */
    @Benchmark
    public int remote(Elsewhere elsewhere) {
        return firstToken(elsewhere.cache);
    }

    /**
     * Loads the prompt from disk, and does not compute its last token.
     *
     * @return tokens loaded
     */
    @Benchmark
    public int loadOnly() throws InterruptedException {
        try (Sequence sequence = restarted.namespace("default").open(prompt)) {
            sequence.await(PATIENCE);
            if (sequence.cachedTokens("disk") < prompt.length - 1) {
                throw new IllegalStateException("not all came from disk: " + restarted.stats());
            }
            return sequence.length();
        }
    }
}
