package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.kvcache.BlockOrder;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Writing and gathering make no garbage in any type and order; in the core, modules hide the counter that says so. */
final class WriteGarbageTest {
    private static final int TOKENS = 32;

    static Stream<Arguments> typesAndOrders() {
        return Stream.of(KvType.values())
                .flatMap(type -> Stream.of(BlockOrder.values()).map(order -> Arguments.of(type, order)));
    }

    @ParameterizedTest
    @MethodSource("typesAndOrders")
    void shouldWriteAndGatherWithoutGarbage(KvType type, BlockOrder order) {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(2)
                .headSizes(70, 64)
                .type(type)
                .order(order)
                .tokensPerBlock(16)
                .build();
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().threadId();
        try (Arena arena = Arena.ofConfined();
                KvCache cache = KvCache.builder(layout)
                        .maximumBytes(4 * layout.blockBytes())
                        .build();
                Sequence sequence = cache.namespace("test").open(new int[1])) {
            assertTrue(sequence.tryReserve(TOKENS));
            float[] keys = new float[TOKENS * layout.keyWidth(0)];
            float[] values = new float[TOKENS * layout.valueWidth(0)];
            MemorySegment keyMemory = arena.allocate(4L * keys.length);
            MemorySegment valueMemory = arena.allocate(4L * values.length);
            // Nothing may rely on the JIT to remove objects; but classes load, and the JIT works, at first.
            long least = Long.MAX_VALUE;
            for (int round = 0; round < 20 && least > 0; round++) {
                long before = threads.getThreadAllocatedBytes(thread);
                for (int i = 0; i < 20; i++) {
                    sequence.write(0, i, 1, keys, 0, values, 0);
                    sequence.write(0, 0, TOKENS, keys, 0, values, 0);
                    sequence.write(0, 0, TOKENS, keyMemory, 0, valueMemory, 0);
                    sequence.gather(0, 0, TOKENS, keys, 0, values, 0);
                    sequence.gather(0, 0, TOKENS, keyMemory, 0, valueMemory, 0);
                }
                least = Math.min(least, threads.getThreadAllocatedBytes(thread) - before);
            }
            assertEquals(0, least);
        }
    }
}
