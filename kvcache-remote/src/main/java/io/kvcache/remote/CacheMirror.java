package io.kvcache.remote;

import io.kvcache.CacheContents;
import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.Identity;
import io.kvcache.KvCache;
import io.kvcache.Namespace;
import java.security.SecureRandom;
import java.util.List;

/**
 * What can be found in another cache, as its contents and its events tell: for a router, which asks where most of a
 * prompt is cached.
 *
 * <p>It begins with {@link KvCache#contents} and goes on with the events behind their number; those up to it may come
 * as well, and say nothing new. Where an event is missing, or does not fit what is there, it is out of date: it forgets
 * what it knew, and answers like an empty cache until it gets contents again.
 *
 * <pre>{@code
 * mirror.apply(cache.contents());
 * journal.after(mirror.number(), 1000).forEach(mirror::apply);
 * }</pre>
 *
 * <p>Thread-safe.
 */
public final class CacheMirror {
    private final long seed;
    private final int hashMask;

    // guarded by this
    private MirrorBlocks blocks;
    private long number;
    private boolean complete; // no event is missing since the contents
    private boolean suspended;

    /** Makes a mirror that is out of date until it gets contents. */
    public CacheMirror() {
        this(new SecureRandom().nextLong(), ~0);
    }

    /** Makes a mirror whose hashes have fewer bits, for tests: they must decide nothing. */
    CacheMirror(long seed, int hashMask) {
        this.seed = seed;
        this.hashMask = hashMask;
        this.blocks = new MirrorBlocks(seed, hashMask);
    }

    private MirrorBlocks empty() {
        return new MirrorBlocks(seed, hashMask);
    }

    /**
     * Begins again.
     *
     * @param contents take the place of all that it knew, whatever their number
     * @throws IllegalArgumentException if a block does not fit those before it; nothing has changed then
     */
    public void apply(CacheContents contents) {
        MirrorBlocks fresh = empty();
        for (CachedBlock block : contents.blocks()) {
            if (!fresh.store(block)) {
                throw new IllegalArgumentException("contents are parents first, each block once: block=" + block.block()
                        + " parent=" + block.parent() + " tokens="
                        + block.tokens().size());
            }
        }
        synchronized (this) {
            blocks = fresh;
            number = contents.number();
            complete = true;
            suspended = false;
        }
    }

    /**
     * Goes on with the next event.
     *
     * @param event of the cache; one that it knows already changes nothing
     * @return whether nothing is missing up to this event: if not, it is out of date until it gets contents
     */
    public synchronized boolean apply(CacheEvent event) {
        if (complete && event.number() > number) {
            complete = event.number() == number + 1 && fits(event);
            number = event.number();
            if (!complete) {
                blocks = empty();
            }
        }
        return complete;
    }

    private boolean fits(CacheEvent event) {
        return switch (event) {
            case CacheEvent.Stored stored ->
                blocks.store(new CachedBlock(
                        stored.namespace(), stored.identities(), stored.block(), stored.parent(), stored.tokens()));
            case CacheEvent.Removed removed -> blocks.remove(removed.block());
            case CacheEvent.Loaded loaded -> true;
            case CacheEvent.Offloaded offloaded -> true;
            case CacheEvent.TierChanged changed -> true;
            case CacheEvent.Lost lost -> false;
        };
    }

    /**
     * Says that events are on their way that cannot be had at present: until {@link #resume}, or new contents, it
     * answers like an empty cache. It keeps what it knows, and goes on with events.
     */
    public synchronized void suspend() {
        suspended = true;
    }

    /** Says that events can be had again. */
    public synchronized void resume() {
        suspended = false;
    }

    /**
     * Returns whether it answers for the cache as it was at {@link #number}.
     *
     * @return false before the first contents, where an event was missing since, and while it is suspended
     */
    public synchronized boolean isUpToDate() {
        return complete && !suspended;
    }

    /**
     * Returns the number of the last event that it knows of.
     *
     * @return a number; 0: none
     */
    public synchronized long number() {
        return number;
    }

    /**
     * Returns how many tokens of a prompt full blocks of the cache hold, by comparing the tokens themselves: what
     * {@link Namespace#probe} finds there, were it not for a block that matches in part, one that is expired and not
     * gone yet, and memory guaranteed to others.
     *
     * @param namespace the name of the namespace
     * @param identities that the sequence would bring along
     * @param prompt [tokens] any number of token ids
     * @return tokens, fewer than the prompt has; 0 while it is out of date
     */
    public synchronized int cachedTokens(String namespace, List<Identity> identities, int[] prompt) {
        return isUpToDate() ? blocks.cachedTokens(namespace, identities, prompt) : 0;
    }

    /**
     * Returns how many blocks can be found in the cache.
     *
     * @return blocks; 0 while it is out of date
     */
    public synchronized int blocks() {
        return isUpToDate() ? blocks.size() : 0;
    }

    /**
     * Returns what it knows, as the cache itself would tell it.
     *
     * @return a copy
     * @throws IllegalStateException if it is out of date
     */
    public synchronized CacheContents contents() {
        if (!isUpToDate()) {
            throw new IllegalStateException("mirror is out of date: number=" + number + " suspended=" + suspended);
        }
        return new CacheContents(number, blocks.blocks());
    }
}
