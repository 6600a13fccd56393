package io.kvcache;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Something that happened to the blocks that can be found. Events are numbered from 1 without a gap, in the order in which they
 * happened. A block is named by a number that is never used again in the same cache; its parent is the block before it
 * in its path, or 0 where a path begins. {@link KvCache#contents} tells what can be found at one number, and an
 * {@link EventJournal} what has happened since.
 *
 * <p>Thread-safe: immutable.
 */
public sealed interface CacheEvent {
    /** In place of the parent's number where a path begins. */
    long NO_PARENT = 0;

    /**
     * Returns the number of the event.
     *
     * @return from 1
     */
    long number();

    /**
     * A block can be found from now on.
     *
     * @param number of the event
     * @param namespace in which it is found
     * @param identities that a sequence must bring along to find it
     * @param block its number
     * @param parent the number of the block before it, or {@link #NO_PARENT}
     * @param tokens [tokensPerBlock] its tokens
     */
    record Stored(
            long number, String namespace, List<Identity> identities, long block, long parent, List<Integer> tokens)
            implements CacheEvent {}

    /**
     * A block cannot be found any more. Those that continued it were removed before.
     *
     * @param number of the event
     * @param namespace in which it was found
     * @param block its number
     * @param parent the number of the block before it, or {@link #NO_PARENT}
     * @param cause why
     */
    record Removed(long number, String namespace, long block, long parent, RemovalCause cause) implements CacheEvent {}

    /**
     * A block has come from a tier; that it can be found was told just before.
     *
     * @param number of the event
     * @param namespace in which it is found
     * @param block its number
     * @param tier the name of the tier
     */
    record Loaded(long number, String namespace, long block, String tier) implements CacheEvent {}

    /**
     * A tier has got a copy of a block.
     *
     * @param number of the event
     * @param namespace in which it is found
     * @param block its number
     * @param tier the name of the tier
     */
    record Offloaded(long number, String namespace, long block, String tier) implements CacheEvent {}

    /**
     * A tier is left alone because too many of its calls failed, or is used again.
     *
     * @param number of the event
     * @param tier the name of the tier
     * @param loads whether it is asked for blocks from now on
     * @param stores whether it is given blocks from now on
     * @param lastFailure what the last call that failed said; null: none threw, or it is a tier that was only late
     */
    record TierChanged(
            long number,
            String tier,
            boolean loads,
            boolean stores,
            @Nullable String lastFailure) implements CacheEvent {}

    /**
     * The listener was too slow: these events were dropped, and what it knows is out of date.
     *
     * @param first number of the first event that was dropped
     * @param number of the last one
     */
    record Lost(long first, long number) implements CacheEvent {}
}
