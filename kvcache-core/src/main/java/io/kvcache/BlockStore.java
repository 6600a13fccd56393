package io.kvcache;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * A tier below memory, where blocks go that leave memory or should outlive the process: a disk, or a store that many machines
 * share. Implement it to add one, and give it to a cache by {@link TierOptions}.
 *
 * <p><b>A store can only ever turn into a miss.</b> It may lose, drop or decline blocks as it likes, and may fail; what it must not do
 * is say that a block is there and hand out other bytes than were stored under an equal key. So a store compares the whole key, namespace and
 * tokens included, and checks the bytes against damage. A block that is there but cannot be trusted is a miss too.
 *
 * <p><b>Time.</b> A call may take long, and ends when the work is done: whoever cannot wait calls from a thread of its own. A cache
 * never calls a store under its lock. An interrupt may end a call by an exception, but harms no other call.
 *
 * <p><b>Memory.</b> A segment holds {@link KvLayout#blockBytes()} of the layout that is in the key, and belongs to the caller. It may
 * be used during the call only, by any thread, and not after the call has returned or thrown.
 *
 * <p><b>Errors.</b> An {@link IOException} says that the store could not do it; the cache counts it and goes on as after a miss, and
 * does the same for a {@link RuntimeException}. Neither must leave the store in a state in which it serves wrong bytes.
 *
 * <p><b>Order.</b> What a call has done is seen by every call that begins after it has returned, in any thread. Of calls for one
 * key that overlap, either may come first.
 *
 * <p>Thread-safe: any number of threads call at once.
 */
public interface BlockStore extends AutoCloseable {
    /** Opens a store, where that may take time or fail. */
    @FunctionalInterface
    interface Opener {
        /**
         * Opens it.
         *
         * @return a store, closed by whoever has called
         * @throws IOException if it cannot be opened now
         */
        BlockStore open() throws IOException;
    }

    /**
     * Remembers for a short time which blocks a store has not got, so that requests for what nobody has computed do not ask a
     * slow store again and again. A block stored through the result is found at once, also if a look-up of it was under way;
     * one that others bring into the store is found when the time is over, at the latest. What failed is not remembered.
     *
     * <p>Collisions of 64-bit fingerprints cost a miss. Callers that ask for the same block at the same time all reach the
     * store.
     *
     * @param store to be asked; closed by the result
     * @param options for how long, and for how many blocks
     * @param clock nanoseconds from any origin
     * @return a store, thread-safe like the other, that holds no lock while it calls the other or the clock
     */
    static BlockStore rememberingMisses(BlockStore store, MissOptions options, NanoClock clock) {
        return new MissMemory(store, options, clock);
    }

    /**
     * Says how far a store could serve a path, so that a cache makes room for no more: how many of its blocks, from the first one on,
     * seem to be there. A hint, which may be wrong in both directions: a store that cannot tell without reading
     * returns the length of the path.
     *
     * @param path keys of consecutive blocks, each the child of the one before
     * @return 0 to the length of the path
     * @throws IOException if the store could not tell
     */
    int held(List<BlockKey> path) throws IOException;

    /**
     * Looks a block up and reads it.
     *
     * @param key of a block, not a root
     * @param target [blockBytes] receives the block; undefined unless the result says that it is there
     * @return what was stored along with the block, all of which is in {@code target}; null is a miss
     * @throws IOException if the store could not tell
     */
    @Nullable
    BlockNote load(BlockKey key, MemorySegment target) throws IOException;

    /**
     * Takes a copy of a block. A block that is there already may be kept or replaced: equal keys have equal bytes, or bytes
     * that are as good.
     *
     * @param key of a block, not a root
     * @param note to be handed out with it. A store may forget a block once {@link BlockNote#isExpired}; the cache looks itself
     * @param block [blockBytes] to be read only
     * @return whether the store took it; false is no error, but the answer of a store that is full or busy
     * @throws IOException if the store could not take it; it may be there or not
     */
    boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException;

    /**
     * Forgets a block, if it is there.
     *
     * @param key of a block, not a root
     * @throws IOException if the block may still be there
     */
    void remove(BlockKey key) throws IOException;

    /**
     * Forgets all blocks of a namespace, whatever their model and layout, beyond recovery by the means of the store.
     *
     * @param namespace its name
     * @throws IOException if blocks may still be there, saying where
     */
    void erase(String namespace) throws IOException;

    /**
     * Lets go of what the store has in this process, in bounded time; what is meant to outlive the process stays. Calls that are
     * under way may go on, or fail; calls that follow fail with an {@link IOException}. A second call does nothing.
     *
     * @throws IOException if what was taken may be lost
     */
    @Override
    void close() throws IOException;
}
