package io.kvcache.remote;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import io.kvcache.TierOptions;
import io.lettuce.core.KeyScanCursor;
import io.lettuce.core.ScanCursor;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.output.IntegerOutput;
import io.lettuce.core.output.KeyScanOutput;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * A store on a Valkey or Redis server or cluster, of version 6.2 or later, which many machines share: what one has computed, all
 * others load.
 *
 * <pre>{@code
 * KvCache cache = KvCache.builder(layout).maximumBytes(4L << 30).model(fingerprint)
 *         .tier(RemoteStore.tier("remote", RemoteOptions.of("redis://10.0.0.1:6379,10.0.0.2:6379")))
 *         .build();
 * }</pre>
 *
 * <p><b>On the server</b> a block is a value, or several values if it is larger than {@link RemoteOptions#partBytes}: its bytes behind a header
 * with the whole key and a checksum. Nothing that was damaged, cut, mixed up or put there by others is ever handed out. A
 * block with a time to live expires on the server; what else leaves when memory is short is up to the server
 * ({@code maxmemory-policy}), and is a miss.
 *
 * <p><b>Deadlines.</b> A call ends within {@link RemoteOptions#deadlineNanos}, by an exception if need be; only {@link #erase} takes
 * as long as it takes to look at all keys. A connection whose reply is late or garbled is dropped, and made again by one of the
 * next calls. No call is sent twice, except to where a cluster says that a slot has moved.
 *
 * <p><b>Clusters.</b> A node that cannot be reached turns its blocks into misses, at once, while the other nodes go on; there is
 * one warning, by {@link System.Logger}. Blocks of a {@link BlockKey#run run} are on one node. Blocks of a slot that is on its way
 * from one node to another are misses.
 *
 * <p><b>Erasing</b> deletes the blocks of a namespace from all nodes that have slots. It does not reach what another machine stores at the same
 * time, or what a server has written to files.
 *
 * <p><b>Interrupts.</b> An interrupt ends a call by an exception. If it hits while a block is being written to the connection, other
 * calls under way on that connection fail too.
 *
 * <p>Thread-safe. Memory of a caller is never touched after its call has ended.
 */
public final class RemoteStore implements BlockStore {
    private static final int LOADS_AT_ONCE = 4;
    private static final int MOST_REDIRECTIONS = 1;
    private static final int KEYS_AT_ONCE = 1000;
    private static final int PARTS_AT_ONCE = 64;

    private final RemoteOptions options;
    private final BlockNames names;
    private final Servers servers;
    private final NanoClock clock;
    private final RemoteCounters counters = new RemoteCounters();
    private volatile boolean closed;

    private RemoteStore(RemoteOptions options, Servers servers) {
        this.options = options;
        this.names = new BlockNames(options.keyPrefix());
        this.servers = servers;
        this.clock = options.nanoClock();
    }

    /**
     * Connects to servers.
     *
     * @param options where they are, and how to use them
     * @return a store, to be closed
     * @throws IOException if no server answers in time, or none accepts us, or several are named and do not belong to a cluster
     */
    public static RemoteStore connect(RemoteOptions options) throws IOException {
        return new RemoteStore(options, Servers.connect(options));
    }

    /**
     * Returns options for a tier with such a store, which the cache opens: the deadline of a call, and as many loads at
     * once as it takes to hide the time to a server and back.
     *
     * @param name unique in a cache
     * @param options where the servers are, and how to use them
     * @return options
     */
    public static TierOptions tier(String name, RemoteOptions options) {
        Objects.requireNonNull(options, "options");
        return TierOptions.of(name, () -> connect(options))
                .withDeadline(Duration.ofNanos(options.deadlineNanos()))
                .withThreads(LOADS_AT_ONCE);
    }

    private long deadline() throws IOException {
        if (closed) {
            throw new IOException("store is closed: " + this);
        }
        return clock.nanoTime() + options.deadlineNanos();
    }

    /** What a call does while its failures are counted. */
    @FunctionalInterface
    private interface Call<T extends @Nullable Object> {
        T run(long deadline) throws IOException;
    }

    private <T extends @Nullable Object> T counted(Call<T> call) throws IOException {
        try {
            return call.run(deadline());
        } catch (IOException e) {
            counters.failures.increment();
            throw e;
        }
    }

    /**
     * {@inheritDoc}
     *
     * <p>Asks for all blocks at once: one message to each node concerned.
     */
    @Override
    public int held(List<BlockKey> path) throws IOException {
        List<String> keys =
                path.stream().map(key -> BlockNames.part(names.of(key), 0)).toList();
        return counted(new PathQuestion(servers, keys)::ask);
    }

    /** Commands that are done, and the exchange that did them. */
    private record Done<C>(List<C> commands, Exchange exchange) {}

    /**
     * Has commands for the keys of one block carried out.
     *
     * @param commands makes them, for each attempt anew
     * @return them; null if they can only be a miss
     */
    private <C extends Command<String, PartValue, ?>> @Nullable Done<C> carryOut(
            String block, long deadline, Supplier<List<C>> commands) throws IOException {
        int slot = SlotHash.getSlot(block);
        for (int redirections = 0; ; redirections++) {
            List<C> made = commands.get();
            Exchange exchange = servers.begin(slot, made, deadline);
            if (exchange == null) {
                counters.unreachable.increment();
                return null;
            }
            try {
                exchange.await(deadline);
                return new Done<>(made, exchange);
            } catch (RefusedException e) {
                boolean knowsBetter = servers.learnFrom(e);
                if (!knowsBetter && !e.isMoving()) {
                    throw e;
                }
                if (!knowsBetter || redirections == MOST_REDIRECTIONS) {
                    return null;
                }
                counters.redirected.increment();
            } catch (IOException e) {
                servers.refreshSoon(); // perhaps another server has taken over
                throw e;
            }
        }
    }

    private List<Part> parts(BlockKey key, long blockBytes) {
        return Part.of(blockBytes, PartHeader.bytes(key), options.partBytes());
    }

    private static CommandArgs<String, PartValue> args() {
        return new CommandArgs<>(PartCodec.INSTANCE);
    }

    private static void checkBlock(BlockKey key) {
        if (key.tokens().length == 0) {
            throw new IllegalArgumentException("a root is no block: " + key);
        }
    }

    // ---- load ----

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
        checkBlock(key);
        LentMemory memory = new LentMemory(target);
        try {
            BlockNote note = this.<@Nullable BlockNote>counted(deadline -> load(key, target, memory, deadline));
            (note == null ? counters.misses : counters.hits).increment();
            counters.bytesRead.add(note == null ? 0 : target.byteSize());
            return note;
        } finally {
            memory.giveBack();
        }
    }

    private @Nullable BlockNote load(BlockKey key, MemorySegment target, LentMemory memory, long deadline)
            throws IOException {
        String block = names.of(key);
        List<Part> parts = parts(key, target.byteSize());
        Done<PartQuestion> done = carryOut(
                block,
                deadline,
                () -> parts.stream()
                        .map(part -> new PartQuestion(block, part, memory))
                        .toList());
        if (done == null || !done.commands().stream().allMatch(PartQuestion::isThere)) {
            return null;
        }
        memory.giveBack();
        List<PartHeader> headers = new ArrayList<>();
        try {
            for (PartQuestion question : done.commands()) {
                headers.add(question.header(key, target.byteSize()));
            }
        } catch (DamagedPartException e) {
            counters.corrupt.increment();
            if (e.isMisplaced()) {
                done.exchange().drop(String.valueOf(e.getMessage()));
            }
            return null;
        }
        PartHeader first = headers.getFirst();
        for (PartHeader header : headers) {
            MemorySegment part =
                    target.asSlice(header.part().from(), header.part().bytes());
            if (header.stamp() != first.stamp() || header.checksum() != PartHeader.checksum(part)) {
                counters.corrupt.increment();
                return null;
            }
        }
        return first.note();
    }

    // ---- store ----

    /**
     * {@inheritDoc}
     *
     * <p>Replaces what is there, so that a damaged block is mended once it was computed again.
     */
    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        checkBlock(key);
        LentMemory memory = new LentMemory(block);
        try {
            boolean stored = counted(deadline -> store(key, note, block, memory, deadline));
            (stored ? counters.stored : counters.declined).increment();
            counters.bytesWritten.add(stored ? block.byteSize() : 0);
            return stored;
        } finally {
            memory.giveBack();
        }
    }

    private boolean store(BlockKey key, BlockNote note, MemorySegment block, LentMemory memory, long deadline)
            throws IOException {
        long lifeMillis = lifeMillis(note);
        if (lifeMillis <= 0) {
            return false;
        }
        String name = names.of(key);
        long stamp = ThreadLocalRandom.current().nextLong();
        List<Part> parts = parts(key, block.byteSize()).reversed(); // the first one says that all are there
        List<PartValue> values = new ArrayList<>();
        for (Part part : parts) {
            int checksum = PartHeader.checksum(block.asSlice(part.from(), part.bytes()));
            PartHeader header = new PartHeader(key, note, stamp, part, block.byteSize(), checksum);
            values.add(new PartValue(header.toBytes(), memory, part.from(), part.bytes()));
        }
        return carryOut(
                        name,
                        deadline,
                        () -> IntStream.range(0, parts.size())
                                .mapToObj(i ->
                                        set(BlockNames.part(name, parts.get(i).number()), values.get(i), lifeMillis))
                                .toList())
                != null;
    }

    /** What is left of a time to live; without one, the largest number. */
    private long lifeMillis(BlockNote note) {
        long ttlNanos = note.retention().ttlNanos();
        if (ttlNanos == 0) {
            return Long.MAX_VALUE;
        }
        long millis = TimeUnit.NANOSECONDS.toMillis(ttlNanos - 1) + 1; // rounded up
        return millis - Math.max(0, options.epochClock().time() - note.storedAtMillis());
    }

    private static Command<String, PartValue, String> set(String key, PartValue value, long lifeMillis) {
        CommandArgs<String, PartValue> args = args().addKey(key).addValue(value);
        if (lifeMillis < Long.MAX_VALUE) {
            args.add("PX").add(lifeMillis);
        }
        return new Command<>(CommandType.SET, new TextReply(), args);
    }

    // ---- remove, erase ----

    @Override
    public void remove(BlockKey key) throws IOException {
        checkBlock(key);
        String name = names.of(key);
        counted(deadline -> {
            long removed = PARTS_AT_ONCE;
            for (int from = 0; removed == PARTS_AT_ONCE; from += PARTS_AT_ONCE) {
                List<String> keys = IntStream.range(from, from + PARTS_AT_ONCE)
                        .mapToObj(part -> BlockNames.part(name, part))
                        .toList();
                Done<Command<String, PartValue, Long>> done = carryOut(name, deadline, () -> List.of(unlink(keys)));
                if (done == null) {
                    throw new IOException("server cannot be reached: key=" + key);
                }
                removed = done.commands().getFirst().get();
            }
            return removed;
        });
    }

    private static Command<String, PartValue, Long> unlink(List<String> keys) {
        return new Command<>(CommandType.UNLINK, new IntegerOutput<>(PartCodec.INSTANCE), args().addKeys(keys));
    }

    @Override
    public void erase(String namespace) throws IOException {
        Objects.requireNonNull(namespace, "namespace");
        counted(deadline -> {
            List<String> failures = new ArrayList<>();
            try {
                servers.refresh(patience());
            } catch (IOException e) {
                failures.add(String.valueOf(e.getMessage()));
            }
            for (Node node : servers.nodes()) {
                try {
                    erase(node, names.pattern(namespace));
                } catch (IOException e) {
                    failures.add(String.valueOf(e.getMessage()));
                }
            }
            if (servers.uncovered() > 0) {
                failures.add("slots that no server has: " + servers.uncovered());
            }
            if (!failures.isEmpty()) {
                throw new IOException("namespace may still be there: namespace=" + namespace + " in " + failures);
            }
            return true;
        });
    }

    /** When a call that looks at many keys gives up. */
    private long patience() {
        return clock.nanoTime() + options.connectNanos();
    }

    private void erase(Node node, String pattern) throws IOException {
        String cursor = ScanCursor.INITIAL.getCursor();
        do {
            Command<String, PartValue, KeyScanCursor<String>> scan = new Command<>(
                    CommandType.SCAN,
                    new KeyScanOutput<>(PartCodec.INSTANCE),
                    args().add(cursor).add("MATCH").add(pattern).add("COUNT").add(KEYS_AT_ONCE));
            carryOut(node, scan);
            List<Command<String, PartValue, Long>> unlinks = scan.get().getKeys().stream()
                    .map(key -> unlink(List.of(key)))
                    .toList();
            if (!unlinks.isEmpty()) {
                node.begin(unlinks, patience()).await(patience());
            }
            cursor = scan.get().getCursor();
        } while (!cursor.equals(ScanCursor.INITIAL.getCursor()));
    }

    private void carryOut(Node node, Command<String, PartValue, ?> command) throws IOException {
        node.begin(List.of(command), patience()).await(patience());
    }

    // ---- facts and end ----

    /**
     * Returns what the store has done, and how it is connected.
     *
     * @return a snapshot
     */
    public RemoteStats stats() {
        return counters.stats(servers);
    }

    @Override
    public void close() {
        closed = true;
        servers.close();
    }

    @Override
    public String toString() {
        return "RemoteStore[" + options.address() + "]";
    }
}
