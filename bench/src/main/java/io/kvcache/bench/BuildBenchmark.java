package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Building and closing a cache of 64 GiB, in a JVM that has done nothing else: the first one that an engine builds. It has no
 * rival; a cache that allocates in advance would have to find 64 GiB.
 *
 * <pre>./kvcache jmh Build</pre>
 *
 * <p>Not thread-safe: one thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(10)
@Warmup(iterations = 0)
@Measurement(iterations = 1)
public class BuildBenchmark {
    /**
     * A cache for a model of 32 layers, 8 K/V heads of 128.
     *
     * @return its blocks
     */
    @Benchmark
    public int build() {
        KvLayout layout = KvLayout.builder()
                .layers(32)
                .kvHeads(8)
                .headSize(128)
                .tokensPerBlock(16)
                .build();
        try (KvCache cache = KvCache.builder(layout).maximumBytes(64L << 30).build()) {
            return cache.stats().maximumBlocks();
        }
    }
}
