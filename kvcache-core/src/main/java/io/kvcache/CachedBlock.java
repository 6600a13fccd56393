package io.kvcache;

import java.util.List;

/**
 * A block that can be found, as {@link CacheEvent.Stored} has told it.
 *
 * <p>Thread-safe: immutable.
 *
 * @param namespace in which it is found
 * @param identities that a sequence must bring along to find it
 * @param block its number
 * @param parent the number of the block before it, or {@link CacheEvent#NO_PARENT}
 * @param tokens [tokensPerBlock] its tokens
 */
public record CachedBlock(String namespace, List<Identity> identities, long block, long parent, List<Integer> tokens) {}
