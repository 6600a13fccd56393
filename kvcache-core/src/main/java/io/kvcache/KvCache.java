package io.kvcache;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The keys and values of many sequences of one model, in paged off-heap memory.
 *
 * <pre>{@code
 * try (KvCache cache = KvCache.builder(layout).maximumBytes(4L << 30).build();
 *         Sequence sequence = cache.namespace("tenant-a").open(prompt)) {
 *     sequence.tryReserve(1);
 *     sequence.write(layer, position, key, value);
 *     sequence.commit(token);
 * }
 * }</pre>
 *
 * <p>Two system properties help to find errors in the embedding engine; both are read when a cache is built, and cost
 * time: {@code io.kvcache.guard=true} makes views throw once their sequence has let go of the block behind them (run with
 * {@code --enable-native-access=io.kvcache}, or {@code ALL-UNNAMED} on the class path), and {@code io.kvcache.trace=true}
 * makes {@link #close()} say where a leaked sequence was opened.
 *
 * <p>Thread-safe. A {@link Sequence} belongs to one thread at a time.
 */
public final class KvCache implements AutoCloseable {
    private final KvLayout layout;
    private final SequencePool sequences;
    private final ConcurrentHashMap<String, Namespace> namespaces = new ConcurrentHashMap<>();

    private KvCache(KvLayout layout, BlockMemory memory) {
        this.layout = layout;
        this.sequences = new SequencePool(layout, memory);
    }

    /**
     * Starts a cache for a model.
     *
     * @param layout the shape of the model's keys and values
     * @return a builder
     */
    public static Builder builder(KvLayout layout) {
        return new Builder(layout);
    }

    /**
     * Returns the layout that the cache was built for.
     *
     * @return the layout
     */
    public KvLayout layout() {
        return layout;
    }

    /**
     * Returns the partition with a name; it comes into being with the first call.
     *
     * @param name any string
     * @return the partition, the same for equal names
     */
    public Namespace namespace(String name) {
        return namespaces.computeIfAbsent(name, newName -> new Namespace(newName, sequences));
    }

    /**
     * Returns what the cache holds now.
     *
     * @return a snapshot
     */
    public CacheStats stats() {
        return sequences.stats();
    }

    /**
     * Checks the bookkeeping by counting everything again, for tests and for the hunt after an error. Takes time in
     * proportion to the blocks; no sequence may be in use by another thread meanwhile.
     *
     * @throws IllegalStateException naming the first broken rule and its operands
     */
    public void verify() {
        sequences.verify();
    }

    /**
     * Frees all memory. Sequences still open are a leak: they are closed first, and reported when all is done. Views of a
     * closed cache throw. A second call does nothing.
     *
     * @throws IllegalStateException if sequences were open, saying for each who holds how many blocks, and where it was
     *     opened if {@code io.kvcache.trace} is set
     */
    @Override
    public void close() {
        List<String> leaks = sequences.close();
        if (!leaks.isEmpty()) {
            throw new IllegalStateException(
                    "sequences were open at close: count=" + leaks.size() + " " + String.join(", ", leaks));
        }
    }

    /**
     * Collects what a cache needs.
     *
     * <p>Not thread-safe.
     */
    public static final class Builder {
        private final KvLayout layout;
        private long maximumBytes;

        private Builder(KvLayout layout) {
            this.layout = Objects.requireNonNull(layout, "layout");
        }

        /**
         * Sets the limit of native memory. It is allocated bit by bit, when blocks are needed; must be set.
         *
         * @param bytes at least one block
         * @return this
         */
        public Builder maximumBytes(long bytes) {
            if (bytes <= 0) {
                throw new IllegalArgumentException("must be positive: maximumBytes=" + bytes);
            }
            maximumBytes = bytes;
            return this;
        }

        /**
         * Builds the cache, without allocating memory for blocks yet.
         *
         * @return a cache, to be closed by the caller
         * @throws IllegalArgumentException if {@code maximumBytes} is not set, or does not hold one block, or holds more
         *     than 2<sup>31</sup> blocks
         */
        public KvCache build() {
            return new KvCache(layout, new BlockMemory(layout.blockBytes(), maximumBytes));
        }
    }
}
