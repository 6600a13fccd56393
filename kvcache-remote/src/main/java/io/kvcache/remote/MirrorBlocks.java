package io.kvcache.remote;

import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.Identity;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.agrona.collections.Long2ObjectHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The blocks of another cache, by number and by (parent, tokens). A block takes about 80 bytes of heap, and four for
 * each of its tokens.
 *
 * <p>Not thread-safe.
 */
final class MirrorBlocks {
    private static final int FIRST_BUCKETS = 64;
    private static final long MULTIPLIER = 0x9E3779B97F4A7C15L; // 2^64 / golden ratio, odd

    private final long seed; // nobody outside can tell which prompts collide
    private final int hashMask;
    private final Map<RootName, Root> roots = new HashMap<>();
    private final Long2ObjectHashMap<Block> byNumber = new Long2ObjectHashMap<>();
    private @Nullable Block[] buckets = new Block[FIRST_BUCKETS]; // by hash, a power of two of them
    private int tokensPerBlock; // 0: no block has told it

    private record RootName(String namespace, List<Identity> identities) {}

    /** Where paths begin. */
    private static final class Root {
        final RootName name;
        int blocks;

        Root(RootName name) {
            this.name = name;
        }
    }

    private static final class Block {
        final Root root;
        final @Nullable Block parent;
        final long number;
        final int hash;
        final int[] tokens;
        int children;

        @Nullable
        Block nextInBucket;

        Block(Root root, @Nullable Block parent, long number, int hash, int[] tokens) {
            this.root = root;
            this.parent = parent;
            this.number = number;
            this.hash = hash;
            this.tokens = tokens;
        }

        boolean is(Root otherRoot, @Nullable Block otherParent, int otherHash, int[] source, int from) {
            return hash == otherHash
                    && root == otherRoot
                    && parent == otherParent
                    && Arrays.equals(tokens, 0, tokens.length, source, from, from + tokens.length);
        }

        long parentNumber() {
            return parent == null ? CacheEvent.NO_PARENT : parent.number;
        }
    }

    /**
     * Makes it empty.
     *
     * @param seed of hashes
     * @param hashMask ~0; fewer bits make hashes collide, to test that they decide nothing
     */
    MirrorBlocks(long seed, int hashMask) {
        this.seed = seed;
        this.hashMask = hashMask;
    }

    int size() {
        return byNumber.size();
    }

    /**
     * Takes a block in.
     *
     * @return whether it fits what is there: its number is new, its parent is there, on the same path, and it has as
     *     many tokens as the others
     */
    boolean store(CachedBlock block) {
        int[] tokens = block.tokens().stream().mapToInt(Integer::intValue).toArray();
        RootName name = new RootName(block.namespace(), block.identities());
        Root root = roots.get(name);
        Block parent = byNumber.get(block.parent());
        boolean fits = tokens.length > 0
                && (tokensPerBlock == 0 || tokens.length == tokensPerBlock)
                && !byNumber.containsKey(block.block())
                && (parent == null ? block.parent() == CacheEvent.NO_PARENT : parent.root == root);
        if (fits) {
            tokensPerBlock = tokens.length;
            link(root != null ? root : newRoot(name), parent, block.block(), tokens);
        }
        return fits;
    }

    private Root newRoot(RootName name) {
        Root root = new Root(name);
        roots.put(name, root);
        return root;
    }

    private void link(Root root, @Nullable Block parent, long number, int[] tokens) {
        Block block = new Block(root, parent, number, hash(root, parent, tokens, 0), tokens);
        root.blocks++;
        if (parent != null) {
            parent.children++;
        }
        byNumber.put(number, block);
        if (byNumber.size() > buckets.length) {
            growBuckets();
        }
        addToBucket(block);
    }

    /**
     * Takes a block out.
     *
     * @return whether that fits what is there: the block is there, and nothing continues it
     */
    boolean remove(long number) {
        Block block = byNumber.get(number);
        boolean fits = block != null && block.children == 0;
        if (fits) {
            byNumber.remove(number);
            removeFromBucket(block);
            if (block.parent != null) {
                block.parent.children--;
            }
            if (--block.root.blocks == 0) {
                roots.remove(block.root.name);
            }
        }
        return fits;
    }

    /** How many tokens of a prompt full blocks hold, fewer than the prompt has. */
    int cachedTokens(String namespace, List<Identity> identities, int[] prompt) {
        Root root = roots.get(new RootName(namespace, identities));
        Block block = null;
        int position = 0;
        while (root != null && position + tokensPerBlock < prompt.length) {
            Block next = find(root, block, prompt, position);
            if (next == null) {
                break;
            }
            block = next;
            position += tokensPerBlock;
        }
        return position;
    }

    private @Nullable Block find(Root root, @Nullable Block parent, int[] source, int from) {
        int hash = hash(root, parent, source, from);
        Block block = buckets[bucket(hash)];
        while (block != null && !block.is(root, parent, hash, source, from)) {
            block = block.nextInBucket;
        }
        return block;
    }

    /** The blocks by number. */
    List<CachedBlock> blocks() {
        return byNumber.values().stream()
                .map(block -> new CachedBlock(
                        block.root.name.namespace,
                        block.root.name.identities,
                        block.number,
                        block.parentNumber(),
                        Arrays.stream(block.tokens).boxed().toList()))
                .sorted(Comparator.comparingLong(CachedBlock::block))
                .toList();
    }

    // ---- buckets ----

    private int bucket(int hash) {
        return hash & (buckets.length - 1);
    }

    private void addToBucket(Block block) {
        int bucket = bucket(block.hash);
        block.nextInBucket = buckets[bucket];
        buckets[bucket] = block;
    }

    private void removeFromBucket(Block block) {
        int bucket = bucket(block.hash);
        Block before = null;
        for (Block other = buckets[bucket]; other != null && other != block; other = other.nextInBucket) {
            before = other;
        }
        if (before == null) {
            buckets[bucket] = block.nextInBucket;
        } else {
            before.nextInBucket = block.nextInBucket;
        }
    }

    private void growBuckets() {
        @Nullable Block[] old = buckets;
        buckets = new Block[2 * old.length];
        for (Block first : old) {
            for (Block block = first; block != null; ) {
                Block next = block.nextInBucket;
                addToBucket(block);
                block = next;
            }
        }
    }

    private int hash(Root root, @Nullable Block parent, int[] source, int from) {
        long hash = seed ^ (parent == null ? root.name.hashCode() : parent.number);
        for (int i = from; i < from + tokensPerBlock; i++) {
            hash = (hash ^ source[i]) * MULTIPLIER;
            hash ^= hash >>> 32;
        }
        return (int) (hash ^ hash >>> 32) & hashMask;
    }
}
