package io.kvcache;

import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.stream.Collectors;
import org.agrona.concurrent.Agent;
import org.agrona.concurrent.EpochClock;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemEpochClock;
import org.agrona.concurrent.SystemNanoClock;
import org.jspecify.annotations.Nullable;

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
    private static final int MAINTENANCE_LIMIT = 256;

    private final KvLayout layout;
    private final @Nullable String model;
    private final SequencePool sequences;
    private final @Nullable String sharedAs;
    private final ConcurrentHashMap<String, Namespace> namespaces = new ConcurrentHashMap<>();

    private KvCache(KvLayout layout, @Nullable String model, SequencePool sequences, @Nullable String sharedAs) {
        this.layout = layout;
        this.model = model;
        this.sequences = sequences;
        this.sharedAs = sharedAs;
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
     * Returns the partition with a name; it comes into being with the first call, and stays as long as the cache.
     *
     * @param name any string
     * @return the partition, the same for equal names
     */
    public Namespace namespace(String name) {
        Namespace present = namespaces.get(name);
        return present != null ? present : make(name, NamespaceOptions.DEFAULT);
    }

    /**
     * Returns the partition with a name; it comes into being with the first call, which fixes its options.
     *
     * @param name any string
     * @param options floor, ceiling, budget for pins and default retention
     * @return the partition, the same for equal names
     * @throws IllegalArgumentException if the cache is too small for the floor beside those of other namespaces, or the ceiling
     *     for one block
     * @throws IllegalStateException if the partition is there with other options
     */
    public Namespace namespace(String name, NamespaceOptions options) {
        Namespace namespace = make(name, options);
        if (!namespace.options().equals(options)) {
            throw new IllegalStateException("namespace is there with other options: namespace=" + name + " has="
                    + namespace.options() + " wanted=" + options);
        }
        return namespace;
    }

    private Namespace make(String name, NamespaceOptions options) {
        return namespaces.computeIfAbsent(name, newName -> new Namespace(newName, options, sequences));
    }

    /**
     * Reserves slots for several sequences, for all of them or for none: what a scheduler needs before a batched step.
     *
     * @param sequences [sequences] open sequences of this cache, each of them once
     * @param tokens [at least sequences] slots beyond the length of each; what is reserved already counts
     * @return whether there was memory for all; if not, nothing has changed
     * @throws IllegalArgumentException if there are fewer counts than sequences, a sequence comes twice or belongs to another cache, or a count is
     *     negative
     * @throws IllegalStateException if a sequence is closed
     * @throws BlockMemoryException if the operating system refuses memory that the cache's limit allows
     */
    public boolean tryReserve(List<Sequence> sequences, int[] tokens) {
        int count = sequences.size();
        if (count > tokens.length) {
            throw new IllegalArgumentException(
                    "a count for each sequence: sequences=" + count + " tokens=" + tokens.length);
        }
        BlockTable[] batch = this.sequences.takeBatch(count);
        try {
            for (int i = 0; i < count; i++) {
                Sequence sequence = sequences.get(i);
                if (!sequence.isOf(this.sequences)) {
                    throw new IllegalArgumentException("sequence belongs to another cache: " + sequence);
                }
                batch[i] = sequence.checkReserve(tokens[i]);
                batch[i].wantedSlots = tokens[i];
            }
            boolean reserved = this.sequences.reserve(batch, count);
            for (int i = 0; reserved && i < count; i++) {
                if (batch[i].wantsMore()) {
                    sequences.get(i).reserved(batch[i], tokens[i]);
                }
            }
            return reserved;
        } finally {
            this.sequences.giveBatch(batch);
        }
    }

    /**
     * Takes one step of maintenance: blocks whose time to live is over leave, and priorities whose duration is over fall back
     * to the default of their namespace; sessions end; opens that have waited to their deadline give up. An expired block is never found anyway; maintenance gives its memory back. Due blocks
     * wait for the end of the current tick of an eighth of a second.
     *
     * @param limit blocks and sessions to look at, at most; a block that expires takes those that continue it along
     * @return how many were looked at; fewer than {@code limit} when no more are due
     * @throws IllegalArgumentException if the limit is not positive
     * @throws IllegalStateException if the cache is closed
     */
    public int maintain(int limit) {
        if (limit <= 0) {
            throw new IllegalArgumentException("must be positive: limit=" + limit);
        }
        return sequences.maintain(limit);
    }

    // ---- below memory ----

    /**
     * Adds a tier below those that are there already; see {@link Builder#tier}. From then on it is asked for what is not in memory,
     * and gets what its rule says of the blocks published or used from then on.
     *
     * @param tier a store and how to use it; the cache closes the store
     * @throws IllegalArgumentException if there is a tier with its name, or no more may be added
     * @throws IllegalStateException if the cache was built without a model, or is closed
     */
    public void addTier(TierOptions tier) {
        checkModel(model, tier);
        sequences.addTier(tier);
    }

    private static void checkModel(@Nullable String model, TierOptions tier) {
        if (model == null) {
            throw new IllegalStateException(
                    "a cache with tiers must know its model, say Builder.model: tier=" + tier.name());
        }
    }

    /**
     * Waits until what was published is copied to the tiers that want it, and nothing is being loaded: before a process ends, or in
     * a test. {@link #close()} does it too, for two seconds at most.
     *
     * @param patience how long to wait at most
     * @return whether nothing is on its way any more; not while a tier that takes no blocks has some waiting
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public boolean flush(Duration patience) throws InterruptedException {
        return sequences.flush(SequencePool.nanos(patience));
    }

    /**
     * Copies every block that can be found in some namespaces now to a store, in the calling thread, each block before those that
     * continue it. Sequences go on meanwhile; blocks that leave before their turn are not copied.
     *
     * @param store takes the blocks; not closed
     * @param chosen namespaces of this cache
     * @return how many blocks the store took
     * @throws IOException if the store fails; what it took until then is there
     * @throws IllegalStateException if the cache was built without a model, or is closed
     */
    public int copyTo(BlockStore store, Collection<Namespace> chosen) throws IOException {
        if (model == null) {
            throw new IllegalStateException("a cache whose blocks are stored must know its model, say Builder.model");
        }
        return sequences.copyTo(store, chosen.stream().map(Namespace::name).collect(Collectors.toSet()));
    }

    /**
     * Returns what it was told of its model.
     *
     * @return the text given to {@link Builder#model}; null: none
     */
    public @Nullable String model() {
        return model;
    }

    /**
     * Returns {@link #maintain} as an agent, in steps of {@value #MAINTENANCE_LIMIT} blocks, to be run by an Agrona
     * {@code AgentRunner} or an invoker beside other agents.
     *
     * @return an agent; it does not close the cache
     */
    public Agent maintenance() {
        return new Agent() {
            @Override
            public int doWork() {
                return maintain(MAINTENANCE_LIMIT);
            }

            @Override
            public String roleName() {
                return "kvcache-maintenance";
            }
        };
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
     * Returns what can be found now, exactly as the listener's events up to a number tell it: a mirror begins with these
     * blocks and goes on with the events behind that number, out of an {@link EventJournal}. What is expired is among
     * them until an event says that it has left. The lock of the cache is held for about 100 ns a block of 64 tokens, to
     * copy the tokens; the rest is done without it.
     *
     * @return a snapshot of numbers and tokens; keys and values are not in it
     * @throws IllegalStateException if the cache was built without a listener, as nobody numbers its events; or is closed
     */
    public CacheContents contents() {
        return sequences.contents();
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
     *     opened if {@code io.kvcache.trace} is set; or if native code is reading or writing a view (a channel, for instance),
     *     in which case nothing is freed until another call; or if the cache is shared, in which case nothing happens: close
     *     its {@link SharedKvCache}
     */
    @Override
    public void close() {
        if (sharedAs != null) {
            throw new IllegalStateException("cache is shared, close the SharedKvCache: name=" + sharedAs);
        }
        refuseLeaks(free());
    }

    /** Frees all memory, or throws and frees nothing. Returns the sequences that were open. */
    List<String> free() {
        return sequences.close();
    }

    /** Reports sequences that were open at close. */
    static void refuseLeaks(List<String> leaks) {
        if (!leaks.isEmpty()) {
            throw new IllegalStateException(
                    "sequences were open at close: count=" + leaks.size() + " " + String.join(", ", leaks));
        }
    }

    /** What a builder was told; the components are named like its methods, and compared by {@code equals}. */
    record Configuration(
            KvLayout layout,
            long maximumBytes,
            int minimumPartialHit,
            int maximumSequences,
            EvictionPolicy.Factory evictionPolicy,
            @Nullable CacheListener listener,
            @Nullable Executor listenerExecutor,
            NanoClock clock,
            EpochClock epochClock,
            @Nullable String model,
            List<TierOptions> tiers,
            OptionalLong seed,
            long fingerprintMask) {
        /** Names each component that is another in a wanted configuration, with both values. */
        String differencesTo(Configuration wanted) {
            return Arrays.stream(getClass().getRecordComponents())
                    .filter(component -> !Objects.equals(valueOf(component), wanted.valueOf(component)))
                    .map(component -> component.getName() + ": has=" + valueOf(component) + " wanted="
                            + wanted.valueOf(component))
                    .collect(Collectors.joining(", "));
        }

        private @Nullable Object valueOf(RecordComponent component) {
            try {
                return component.getAccessor().invoke(this);
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException("component cannot be read: " + component, e);
            }
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
        private int minimumPartialHit = 1;
        private EvictionPolicy.Factory evictionPolicy = EvictionPolicy.lru();
        private NanoClock clock = SystemNanoClock.INSTANCE;
        private EpochClock epochClock = SystemEpochClock.INSTANCE;
        private @Nullable String model;
        private final List<TierOptions> tiers = new ArrayList<>();
        private int maximumSequences = Integer.MAX_VALUE;
        private @Nullable CacheListener listener;
        private @Nullable Executor listenerExecutor;
        private OptionalLong seed = OptionalLong.empty();
        private long fingerprintMask = ~0L;

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
         * Sets how many first tokens of a cached block must match to be copied where the rest of it does not. Such a hit saves
         * computing these tokens and costs the copy of their keys and values.
         *
         * @param tokens at least 1, which is the default; {@code tokensPerBlock} or more turns partial hits off
         * @return this
         */
        public Builder minimumPartialHit(int tokens) {
            if (tokens <= 0) {
                throw new IllegalArgumentException("must be positive: minimumPartialHit=" + tokens);
            }
            minimumPartialHit = tokens;
            return this;
        }

        /**
         * Sets which cached blocks go first when memory is needed.
         *
         * @param factory {@link EvictionPolicy#lru}, which is the default, {@link EvictionPolicy#hde}, or one of your own
         * @return this
         */
        public Builder evictionPolicy(EvictionPolicy.Factory factory) {
            evictionPolicy = Objects.requireNonNull(factory, "factory");
            return this;
        }

        /**
         * Bounds how many sequences may be open at a time, forks included. When all slots are taken, {@link Namespace#open(int[],
         * OpenOptions, Duration)} waits, and what does not wait throws.
         *
         * @param sequences positive; no bound by default
         * @return this
         */
        public Builder maximumSequences(int sequences) {
            if (sequences <= 0) {
                throw new IllegalArgumentException("must be positive: maximumSequences=" + sequences);
            }
            maximumSequences = sequences;
            return this;
        }

        /**
         * Tells somebody what can be found and what cannot any more.
         *
         * @param newListener is called by one thread at a time, never under the lock of the cache
         * @param executor runs the calls: a thread of the listener's own, or {@code Runnable::run} for a quick listener, which
         *     then runs in whatever thread has caused an event
         * @return this
         */
        public Builder listener(CacheListener newListener, Executor executor) {
            listener = Objects.requireNonNull(newListener, "listener");
            listenerExecutor = Objects.requireNonNull(executor, "executor");
            return this;
        }

        /**
         * Sets the clock by which blocks expire and policies measure ages. It is never read under the lock of the cache.
         *
         * @param newClock nanoseconds from any origin; the system's by default
         * @return this
         */
        public Builder clock(NanoClock newClock) {
            clock = Objects.requireNonNull(newClock, "clock");
            return this;
        }

        /**
         * Sets the wall clock, by which blocks below memory grow old.
         *
         * @param newClock milliseconds since 1970
         * @return this
         */
        public Builder epochClock(EpochClock newClock) {
            epochClock = Objects.requireNonNull(newClock, "clock");
            return this;
        }

        /**
         * Says which model computes the keys and values; needed with tiers. Blocks below memory are found by caches that were told the same,
         * and have the same layout.
         *
         * @param newModel any text that differs where weights differ, for example a hash of the file that they come from
         * @return this
         */
        public Builder model(String newModel) {
            model = Objects.requireNonNull(newModel, "model");
            return this;
        }

        /**
         * Adds a tier below memory, and below the tiers added before. What is not in memory is looked for there, from the first tier on,
         * while the sequence that was opened may start with what memory has: see {@link Sequence#adopt()} and
         * {@link Sequence#await}.
         *
         * @param tier a store and how to use it; the cache closes the store
         * @return this
         */
        public Builder tier(TierOptions tier) {
            tiers.add(Objects.requireNonNull(tier, "tier"));
            return this;
        }

        /**
         * Makes the cache deterministic: equal calls at equal times lead to equal decisions. For tests and replays; without a
         * seed, fingerprints and jitter come from a secure random number, and nobody can tell which prompts collide.
         *
         * @param newSeed any number
         * @return this
         */
        public Builder seed(long newSeed) {
            seed = OptionalLong.of(newSeed);
            return this;
        }

        /** Makes fingerprints collide, for tests: they must decide nothing. */
        Builder fingerprintMask(long mask) {
            fingerprintMask = mask;
            return this;
        }

        /**
         * Builds the cache, without allocating memory for blocks yet.
         *
         * @return a cache, to be closed by the caller
         * @throws IllegalArgumentException if {@code maximumBytes} is not set, or does not hold one block, or holds more
         *     than 2<sup>31</sup> - 9 blocks; or if two tiers have one name
         * @throws IllegalStateException if there are tiers and no model
         */
        public KvCache build() {
            return build(null);
        }

        /** Builds a cache that is shared under a name: it refuses to be closed, {@link #free} is for the one who shares it. */
        KvCache build(@Nullable String sharedAs) {
            tiers.forEach(tier -> checkModel(model, tier));
            BlockMemory memory = new BlockMemory(layout.blockBytes(), maximumBytes);
            return new KvCache(layout, model, sequencesOver(memory), sharedAs);
        }

        /** What it was told so far. */
        Configuration configuration() {
            return new Configuration(
                    layout,
                    maximumBytes,
                    minimumPartialHit,
                    maximumSequences,
                    evictionPolicy,
                    listener,
                    listenerExecutor,
                    clock,
                    epochClock,
                    model,
                    List.copyOf(tiers),
                    seed,
                    fingerprintMask);
        }

        /** Builds what works over some memory. */
        SequencePool sequencesOver(BlockMemory memory) {
            long chosen = seed.orElseGet(() -> new SecureRandom().nextLong());
            BlockPool blocks = new BlockPool(memory);
            EventQueue events =
                    listener == null || listenerExecutor == null ? null : new EventQueue(listener, listenerExecutor);
            PrefixCache prefixes = new PrefixCache(
                    layout.tokensPerBlock(),
                    minimumPartialHit,
                    memory,
                    blocks,
                    new PrefixIndex(layout.tokensPerBlock(), chosen, fingerprintMask),
                    evictionPolicy.create(memory.maximumBlocks()),
                    events,
                    chosen);
            SequencePool sequences = new SequencePool(
                    layout,
                    memory,
                    blocks,
                    prefixes,
                    maximumSequences,
                    events,
                    clock,
                    epochClock,
                    Objects.requireNonNullElse(model, ""));
            try {
                tiers.forEach(sequences::addTier);
            } catch (RuntimeException e) {
                sequences.close();
                throw e;
            }
            return sequences;
        }
    }
}
