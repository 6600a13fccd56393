package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.Sequence;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The limit of what reads all keys and values of a layer: vector loads and additions of exactly these bytes, scales and padding
 * included, block after block in the order of the sequence. Integers, so that no value is slow to add.
 *
 * <p>Threads share the work as those of an attention do: some runs of blocks for each, taken as they come.
 *
 * <p>Not thread-safe: one caller.
 */
final class PlainRead {
    private static final int TASKS_PER_THREAD = 4;
    private static final VectorSpecies<Integer> SPECIES = IntVector.SPECIES_PREFERRED;
    private static final long VECTOR_BYTES = SPECIES.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private final MemorySegment[] segments; // [blocks]
    private final long[] offsets; // [blocks]
    private final long layerBytes;
    private final Helpers helpers;
    private final int threads;
    private final int tasks;
    private final AtomicInteger nextTask = new AtomicInteger();
    private final AtomicInteger done = new AtomicInteger();
    private final AtomicInteger sum = new AtomicInteger();
    private final Runnable takeTasks = this::takeTasks;
    private int layer;

    /** Of a sequence that will not change; all layers are alike. */
    PlainRead(KvLayout layout, Sequence sequence, Helpers helpers, int threads) {
        int blocks = sequence.blocks();
        this.segments = new MemorySegment[blocks];
        this.offsets = new long[blocks];
        for (int block = 0; block < blocks; block++) {
            segments[block] = sequence.segment(block);
            offsets[block] = sequence.blockOffset(block);
        }
        this.layerBytes = layout.blockBytes() / layout.layers();
        this.helpers = helpers;
        this.threads = threads;
        this.tasks = threads == 1 ? 1 : Math.min(blocks, threads * TASKS_PER_THREAD);
    }

    /** Bytes of a layer. */
    long bytes() {
        return layerBytes * segments.length;
    }

    /** Reads a layer; returns a number that depends on every byte. */
    int read(int ofLayer) {
        layer = ofLayer;
        done.set(0);
        nextTask.set(0);
        for (int helper = 1; helper < threads; helper++) {
            callHelper();
        }
        takeTasks();
        while (done.get() < tasks) {
            Thread.onSpinWait();
        }
        return sum.get();
    }

    private void callHelper() {
        try {
            helpers.execute(takeTasks);
        } catch (RejectedExecutionException e) {
            // It has not even begun with the last read: this one goes on without it.
        }
    }

    private void takeTasks() {
        for (int task = nextTask.getAndIncrement(); task < tasks; task = nextTask.getAndIncrement()) {
            int end = (int) ((long) segments.length * (task + 1) / tasks);
            int total = 0;
            for (int block = (int) ((long) segments.length * task / tasks); block < end; block++) {
                total += block(segments[block], offsets[block] + layer * layerBytes, layerBytes);
            }
            sum.addAndGet(total);
            done.incrementAndGet();
        }
    }

    private static int block(MemorySegment segment, long from, long bytes) {
        IntVector a = IntVector.zero(SPECIES);
        IntVector b = a;
        IntVector c = a;
        IntVector d = a;
        IntVector e = a;
        IntVector f = a;
        IntVector g = a;
        IntVector h = a;
        long end = from + bytes;
        long at = from;
        for (; at <= end - 8 * VECTOR_BYTES; at += 8 * VECTOR_BYTES) {
            // One check of bounds for eight loads; the JIT removes the object, as nobody else sees it.
            MemorySegment memory = segment.asSlice(at, 8 * VECTOR_BYTES);
            a = add(a, memory, 0);
            b = add(b, memory, VECTOR_BYTES);
            c = add(c, memory, 2 * VECTOR_BYTES);
            d = add(d, memory, 3 * VECTOR_BYTES);
            e = add(e, memory, 4 * VECTOR_BYTES);
            f = add(f, memory, 5 * VECTOR_BYTES);
            g = add(g, memory, 6 * VECTOR_BYTES);
            h = add(h, memory, 7 * VECTOR_BYTES);
        }
        // Parts of a block are multiples of 64 bytes, the widest vector.
        for (; at < end; at += VECTOR_BYTES) {
            a = add(a, segment, at);
        }
        return a.add(b).add(c.add(d)).add(e.add(f).add(g.add(h))).reduceLanes(VectorOperators.ADD);
    }

    private static IntVector add(IntVector sum, MemorySegment memory, long at) {
        return sum.add(IntVector.fromMemorySegment(SPECIES, memory, at, ORDER));
    }
}
