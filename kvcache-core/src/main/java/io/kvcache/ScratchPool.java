package io.kvcache;

import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Scratch memory for whoever converts elements: as many as convert at the same time, up to a number that is kept.
 *
 * <p>Thread-safe: claiming and releasing are single atomic steps.
 */
final class ScratchPool {
    // Not one for each thread: engines may run thousands of virtual ones. A thread looks first where it looked last.
    private static final int SLOTS = 16;

    private final AtomicReferenceArray<@Nullable CodecScratch> slots = new AtomicReferenceArray<>(SLOTS);
    private final KvLayout layout;

    ScratchPool(KvLayout layout) {
        this.layout = layout;
    }

    CodecScratch claim() {
        int first = firstSlot();
        for (int i = 0; i < SLOTS; i++) {
            int slot = (first + i) & (SLOTS - 1);
            CodecScratch found = slots.get(slot) == null ? null : slots.getAndSet(slot, null);
            if (found != null) {
                return found;
            }
        }
        return new CodecScratch(layout);
    }

    /** Gives back; one that finds no place is left to the garbage collector. */
    void release(CodecScratch scratch) {
        int first = firstSlot();
        for (int i = 0; i < SLOTS; i++) {
            int slot = (first + i) & (SLOTS - 1);
            if (slots.get(slot) == null && slots.compareAndSet(slot, null, scratch)) {
                return;
            }
        }
    }

    private static int firstSlot() {
        return (int) Thread.currentThread().threadId();
    }
}
