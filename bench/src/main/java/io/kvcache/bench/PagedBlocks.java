package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import org.jspecify.annotations.Nullable;

/**
 * Sequences in a real cache, with tiny keys and values: what counts is which blocks are taken. Nothing is looked up, published or
 * written.
 *
 * <p>Not thread-safe.
 */
final class PagedBlocks implements TokenStorage {
    private static final OpenOptions ALONE = OpenOptions.DEFAULT.withoutLookup().withoutPublish();
    private static final int[] NO_PROMPT = {0}; // must not be empty; nothing is looked up

    private final KvCache cache;
    private final Namespace namespace;
    private final int tokensPerBlock;
    private final int[] anyTokens; // [longest]
    private long peak;

    PagedBlocks(long memorySlots, int longest, int tokensPerBlock) {
        this.tokensPerBlock = tokensPerBlock;
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .type(KvType.F32)
                .tokensPerBlock(tokensPerBlock)
                .build();
        this.cache = KvCache.builder(layout)
                .maximumBytes(memorySlots / tokensPerBlock * layout.blockBytes())
                .build();
        this.namespace = cache.namespace("bench");
        this.anyTokens = new int[longest];
    }

    @Override
    public @Nullable Stored start(int tokens) {
        Sequence sequence = namespace.open(NO_PROMPT, ALONE);
        if (!sequence.tryReserve(Math.min(anyTokens.length, tokens + 1))) {
            sequence.close();
            return null;
        }
        sequence.commit(anyTokens, 0, tokens);
        note();
        return new Paged(sequence);
    }

    private void note() {
        peak = Math.max(peak, reservedSlots());
    }

    @Override
    public long reservedSlots() {
        return (long) cache.stats().usedBlocks() * tokensPerBlock;
    }

    @Override
    public long peakReservedSlots() {
        return peak;
    }

    /** Frees the memory; a sequence that was not released is a leak. */
    @Override
    public void close() {
        cache.verify();
        cache.close();
    }

    private final class Paged implements Stored {
        private final Sequence sequence;

        Paged(Sequence sequence) {
            this.sequence = sequence;
        }

        @Override
        public int tokens() {
            return sequence.length();
        }

        @Override
        public boolean tryGrow() {
            int blocks = sequence.blocks();
            if (!sequence.tryReserve(1)) {
                return false;
            }
            sequence.commit(0);
            if (sequence.blocks() > blocks) {
                note();
            }
            return true;
        }

        @Override
        public void release() {
            sequence.close();
        }
    }
}
