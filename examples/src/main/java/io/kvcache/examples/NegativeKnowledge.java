package io.kvcache.examples;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import io.kvcache.MissOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** A slow store is asked once for what it has not got: the answer is remembered for a short time, or until it is stored. */
final class NegativeKnowledge {
    private NegativeKnowledge() {}

    public static void main(String[] arguments) throws IOException {
        AtomicLong clock = new AtomicLong();
        HeapStore slow = new HeapStore();
        MissOptions aMinute =
                MissOptions.DEFAULT.withTime(Duration.ofMinutes(1)).withJitter(0);
        BlockKey root = BlockKey.root("tiny model 1", TinyModel.LAYOUT, "chat", List.of());
        BlockKey key = root.child(TinyModel.tokens("ever"), 0, 4);
        try (Arena arena = Arena.ofConfined();
                BlockStore store = BlockStore.rememberingMisses(slow, aMinute, clock::get)) {
            MemorySegment block = arena.allocate(TinyModel.LAYOUT.blockBytes());
            for (int i = 0; i < 1000; i++) {
                store.load(key, block);
            }
            System.out.println("asked 1000 times for what is not there, the store was asked: " + slow.loads);

            clock.addAndGet(Duration.ofMinutes(2).toNanos());
            store.load(key, block);
            System.out.println("when the time is over it is asked again: " + slow.loads);

            store.store(key, BlockNote.DEFAULT, block);
            System.out.println("what was stored is found at once: " + (store.load(key, block) != null));
        }
    }
}
