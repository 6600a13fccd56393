package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** In steady state a call allocates nothing: no scratch memory, and no vector that the JIT failed to keep in a register. */
final class AllocationTest {
    private static final int CALLS = 1_000;
    private static final int CALLS_AT_ONCE = 250;
    private static final int WARMING_CALLS =
            600_000; // at most: the JIT compiles in the background, and shares the machine
    private static final int HEAD_SIZE = 64;
    private static final int KV_HEADS = 2;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private static Stream<Arguments> shapes() {
        List<Arguments> shapes = new ArrayList<>();
        for (KvType type : KvType.values()) {
            shapes.add(Arguments.of(type, BlockOrder.TILES, 1));
            shapes.add(Arguments.of(type, BlockOrder.TILES, 4));
            shapes.add(Arguments.of(type, BlockOrder.ROWS, 1));
        }
        return shapes.stream();
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void shouldAllocateNothingInSteadyState(KvType type, BlockOrder order, int group) {
        KvLayout layout = Filled.layout(type, order, KV_HEADS, HEAD_SIZE, 16);
        int queryHeads = group * KV_HEADS;
        try (Filled filled = new Filled(layout, new Random(1))) {
            AttentionBatch batch = new AttentionBatch();
            Sequence first = filled.open(40);
            batch.add(first).add(filled.fork(first, 9)).add(filled.open(21));
            float[] queries = filled.gaussian(3 * queryHeads * HEAD_SIZE);
            float[] output = new float[queries.length];
            PagedAttention attention = PagedAttention.builder(layout, queryHeads)
                    .options(AttentionOptions.DEFAULT.withSoftCap(group == 1 ? 0 : 30))
                    .build();
            Runnable calls = () -> {
                for (int call = 0; call < CALLS_AT_ONCE; call++) {
                    attention.attend(batch, 0, queries, 0, output, 0);
                }
            };
            int clean = 0;
            long allocated = 0;
            for (int call = 0; call < WARMING_CALLS && clean < CALLS; call += CALLS_AT_ONCE) {
                allocated = allocatedBy(calls);
                clean = allocated == 0 ? clean + CALLS_AT_ONCE : 0;
            }
            long left = allocated;
            assertEquals(CALLS, clean, () -> "bytes of each call=" + left / CALLS_AT_ONCE);
        }
    }

    private long allocatedBy(Runnable calls) {
        long thread = Thread.currentThread().threadId();
        long before = threads.getThreadAllocatedBytes(thread);
        calls.run();
        return threads.getThreadAllocatedBytes(thread) - before;
    }
}
