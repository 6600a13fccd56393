package io.kvcache;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.agrona.concurrent.NanoClock;

/**
 * A tier below memory, where blocks go that leave memory or should outlive the process: a disk, or a store that many machines
 * share. Implement it to add one; a tier above another is a store that asks the other. No cache uses a store yet.
 *
 * <p><b>A store can only ever turn into a miss.</b> It may lose, drop or decline blocks as it likes, and may fail; what it must not do
 * is say true and hand out other bytes than were stored under an equal key. So a store compares the whole key, namespace and
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
     * Looks a block up and reads it.
     *
     * @param key of a block, not a root
     * @param target [blockBytes] receives the block; undefined unless the result is true
     * @return whether the store had the block, and all of it is in {@code target}; false is a miss
     * @throws IOException if the store could not tell
     */
    boolean load(BlockKey key, MemorySegment target) throws IOException;

    /**
     * Takes a copy of a block. A block that is there already may be kept or replaced: equal keys have equal bytes, or bytes
     * that are as good.
     *
     * @param key of a block, not a root
     * @param block [blockBytes] to be read only
     * @return whether the store took it; false is no error, but the answer of a store that is full or busy
     * @throws IOException if the store could not take it; it may be there or not
     */
    boolean store(BlockKey key, MemorySegment block) throws IOException;

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
     * Lets go of what the store has in this process, in bounded time; what is meant to outlive the process stays. No other
     * call is under way or follows, but a second call to this method, which does nothing.
     *
     * @throws IOException if what was taken may be lost
     */
    @Override
    void close() throws IOException;
}
