package io.kvcache;

import java.util.Arrays;
import java.util.List;

/**
 * Finds published blocks by what they hold: a node is a full block, named by its parent (the block before it, or a
 * root) and its own tokens. Two nodes never have the same name, so a path from a root spells a prefix, and equal prefixes
 * are one path.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class PrefixIndex {
    // A hit is exact. The fingerprint of a node is a hash of the fingerprint of its parent and of its tokens; it only
    // finds candidates, and the parent and the tokens themselves are compared on every hit. Fingerprints are seeded,
    // so nobody outside can tell which prompts collide; if they did, look-ups would be slower, not wrong.
    //
    // Parents are named by block numbers. A block number is used again only after its node was removed, and a node is
    // removed before its parent, so the parent's number always means the parent that was meant.
    //
    // The children of a node form a list, newest first. To find one that matches only in its first tokens, the newest
    // few are compared. A root, and a block with more children than that, has a list for each first token besides,
    // found through (parent, first token): a popular node can have thousands of children (6,047 in one public trace).
    static final int NONE = BlockPool.NONE;

    private static final int FIRST_ROOT = -2; // roots count down from here, blocks up from 0
    private static final int FIRST_ROOTS = 4;
    private static final int CANDIDATES = 8;
    private static final int FIRST_CAPACITY = 64;
    private static final int TOKENS_PER_CHUNK = 1 << 16;
    private static final long MULTIPLIER = 0x9E3779B97F4A7C15L; // 2^64 / golden ratio, odd

    private final int tokensPerBlock;
    private final long seed;
    private final long fingerprintMask;
    private final BlockHash byFingerprint = new BlockHash();
    private final BlockHash newestByFirstToken = new BlockHash(); // the head of each list

    // [roots], root r in entry FIRST_ROOT - r
    private long[] rootFingerprints = new long[FIRST_ROOTS];
    private int[] rootChildren = new int[FIRST_ROOTS];
    private int[] spareRoots = new int[FIRST_ROOTS];
    private int spareRootCount;
    private int roots;

    // [blocks] for published ones
    private int[] parents = new int[0]; // NONE: not published
    private int[] firstChild = new int[0];
    private int[] nextSibling = new int[0];
    private int[] previousSibling = new int[0];
    private long[] fingerprints = new long[0];
    private int[] childCounts = new int[0]; // up to CANDIDATES; one more: has lists by first token
    private int[] older = new int[0]; // in the list of those that begin with the same token
    private int[] newer = new int[0];
    private long[] numbers = new long[0]; // never used again
    private long published;
    private int[][] tokens =
            new int[0][]; // [chunks][2^chunkShift blocks][tokensPerBlock]: chunks do not move when it grows
    private final int chunkShift;

    /**
     * Makes an empty index.
     *
     * @param seed of the fingerprints
     * @param fingerprintMask ~0; fewer bits make fingerprints collide, to test that they decide nothing
     */
    PrefixIndex(int tokensPerBlock, long seed, long fingerprintMask) {
        this.tokensPerBlock = tokensPerBlock;
        this.seed = seed;
        this.fingerprintMask = fingerprintMask;
        int blocksPerChunk = Math.max(1, TOKENS_PER_CHUNK / tokensPerBlock);
        this.chunkShift = 31 - Integer.numberOfLeadingZeros(blocksPerChunk);
    }

    /**
     * A root of its own: nothing below it is found from any other root.
     *
     * @param name what it stands for. Equal names have equal fingerprints, so that what has left is recognised when it comes
     *     again below a new root
     */
    int newRoot(List<String> name) {
        int root = FIRST_ROOT - (spareRootCount > 0 ? spareRoots[--spareRootCount] : roots++);
        int entry = rootEntry(root);
        if (entry == rootFingerprints.length) {
            rootFingerprints = Arrays.copyOf(rootFingerprints, entry * 2);
            rootChildren = Arrays.copyOf(rootChildren, entry * 2);
            spareRoots = Arrays.copyOf(spareRoots, entry * 2);
        }
        rootFingerprints[entry] = fingerprint(name);
        rootChildren[entry] = NONE;
        return root;
    }

    /** Roots are numbered densely: the place of one in an array. */
    static int rootEntry(int root) {
        return FIRST_ROOT - root;
    }

    /** Gives back a root that has no children and will not be used any more; its number may return for another. */
    void dropRoot(int root) {
        spareRoots[spareRootCount++] = rootEntry(root);
    }

    /** The number of published blocks. */
    int size() {
        return byFingerprint.size();
    }

    boolean isPublished(int block) {
        return block < parents.length && parents[block] != NONE;
    }

    /** The parent of a published block: a block, or a root (below {@link #NONE}). */
    int parent(int block) {
        return parents[block];
    }

    /** Whether no published block has this published one as its parent. */
    boolean isLeaf(int block) {
        return firstChild[block] == NONE;
    }

    /** A child of a published block or of a root, or {@link #NONE}. */
    int firstChild(int parent) {
        return parent >= 0 ? firstChild[parent] : rootChildren[rootEntry(parent)];
    }

    /** Another child of the same parent, or {@link #NONE}: in turn from the first, each child comes once. */
    int nextSibling(int child) {
        return nextSibling[child];
    }

    /** Whether a published block is the only child of its parent. */
    boolean isOnlyChild(int block) {
        return nextSibling[block] == NONE && previousSibling[block] == NONE;
    }

    /** The number of a published block, which no other has had or will have; 0 for a root. */
    long number(int node) {
        return node >= 0 ? numbers[node] : CacheEvent.NO_PARENT;
    }

    /** The number of the block that was published last. */
    long lastNumber() {
        return published;
    }

    /** 64 bits that stand for a root, or for all tokens up to the end of a published block. */
    long fingerprint(int node) {
        return node >= 0 ? fingerprints[node] : rootFingerprints[rootEntry(node)];
    }

    /**
     * The fingerprint of a child that holds the block of tokens at {@code from}. Whoever follows a path goes from one to the
     * next, without asking the blocks found: then the processor looks for several blocks at once.
     */
    long childFingerprint(long parentFingerprint, int[] source, int from) {
        long hash = parentFingerprint;
        int i = 0;
        for (; i < tokensPerBlock - 1; i += 2) { // two tokens a multiplication: it is on the path of every look-up
            hash = step(hash, pair(source[from + i], source[from + i + 1]));
        }
        if (i < tokensPerBlock) {
            hash = step(hash, source[from + i]);
        }
        return mix(hash) & fingerprintMask;
    }

    /** The child of {@code parent} that holds exactly the block of tokens at {@code from}, or {@link #NONE}. */
    int find(long fingerprint, int parent, int[] source, int from) {
        int tag = tag(fingerprint);
        int entry = byFingerprint.entry(tag);
        int block = byFingerprint.block(entry);
        while (block != NONE
                && !(parents[block] == parent && matching(block, source, from, tokensPerBlock) == tokensPerBlock)) {
            entry = byFingerprint.entryAfter(entry, tag);
            block = byFingerprint.block(entry);
        }
        return block;
    }

    /**
     * A child of {@code parent} that begins with as many as possible of the tokens at {@code from}, among the newest that
     * share the first one, or {@link #NONE}.
     *
     * @param count tokens to match, at most a block
     */
    int findLongest(int parent, int[] source, int from, int count) {
        if (count == 0) {
            return NONE;
        }
        boolean lists = hasLists(parent);
        int candidate = lists ? newestByFirstToken.block(listEntry(parent, source[from])) : firstChild[parent];
        int best = NONE;
        int longest = 0;
        for (int i = 0; i < CANDIDATES && candidate != NONE; i++) {
            int matched = matching(candidate, source, from, count);
            if (matched > longest) {
                best = candidate;
                longest = matched;
            }
            candidate = lists ? older[candidate] : nextSibling[candidate];
        }
        return best;
    }

    /** Copies the tokens of a published block. */
    void copyTokens(int block, int[] destination, int at) {
        System.arraycopy(tokens[block >>> chunkShift], tokensAt(block), destination, at, tokensPerBlock);
    }

    /** How many of the {@code count} tokens at {@code from} a published block begins with. */
    int matching(int block, int[] source, int from, int count) {
        int[] chunk = tokens[block >>> chunkShift];
        int at = tokensAt(block);
        int mismatch = Arrays.mismatch(chunk, at, at + count, source, from, from + count);
        return mismatch < 0 ? count : mismatch;
    }

    /** Publishes a block below a parent that is a root or published; no child with these tokens exists. */
    void publish(long fingerprint, int parent, int block, int[] source, int from) {
        ensureCapacity(block + 1);
        System.arraycopy(source, from, tokens[block >>> chunkShift], tokensAt(block), tokensPerBlock);
        parents[block] = parent;
        firstChild[block] = NONE;
        fingerprints[block] = fingerprint;
        numbers[block] = ++published;
        byFingerprint.add(tag(fingerprint), block);
        childCounts[block] = 0;
        linkChild(parent, block);
        if (hasLists(parent)) {
            linkNewest(parent, block);
        } else if (++childCounts[parent] > CANDIDATES) {
            linkChildrenByFirstToken(parent);
        }
    }

    private boolean hasLists(int parent) {
        return parent < 0 || childCounts[parent] > CANDIDATES;
    }

    private void linkChildrenByFirstToken(int parent) {
        int oldest = firstChild[parent];
        while (nextSibling[oldest] != NONE) {
            oldest = nextSibling[oldest];
        }
        for (int child = oldest; child != NONE; child = previousSibling[child]) {
            linkNewest(parent, child);
        }
    }

    private void linkChild(int parent, int block) {
        int sibling = firstChild(parent);
        nextSibling[block] = sibling;
        previousSibling[block] = NONE;
        if (sibling != NONE) {
            previousSibling[sibling] = block;
        }
        setFirstChild(parent, block);
    }

    private void unlinkChild(int parent, int block) {
        int next = nextSibling[block];
        int previous = previousSibling[block];
        if (next != NONE) {
            previousSibling[next] = previous;
        }
        if (previous != NONE) {
            nextSibling[previous] = next;
        } else {
            setFirstChild(parent, next);
        }
    }

    private void setFirstChild(int parent, int block) {
        if (parent >= 0) {
            firstChild[parent] = block;
        } else {
            rootChildren[rootEntry(parent)] = block;
        }
    }

    /** Takes a leaf out; its block is then private, or free. */
    void remove(int block) {
        if (!isPublished(block) || firstChild[block] != NONE) {
            throw new IllegalStateException("only leaves can be removed: block=" + block + " published="
                    + isPublished(block) + " size=" + size());
        }
        int parent = parents[block];
        if (hasLists(parent)) {
            unlinkFromList(block);
        } else {
            childCounts[parent]--;
        }
        byFingerprint.remove(tag(fingerprints[block]), block);
        unlinkChild(parent, block);
        parents[block] = NONE;
    }

    /** Overwrites the tokens of a block that is not published any more. */
    void overwriteTokens(int block) {
        int at = tokensAt(block);
        Arrays.fill(tokens[block >>> chunkShift], at, at + tokensPerBlock, 0);
    }

    // ---- the list of children that begin with the same token ----

    private void linkNewest(int parent, int block) {
        int firstToken = firstToken(block);
        int entry = listEntry(parent, firstToken);
        int head = newestByFirstToken.block(entry);
        newer[block] = NONE;
        older[block] = head;
        if (head == NONE) {
            newestByFirstToken.add(listTag(parent, firstToken), block);
        } else {
            newer[head] = block;
            newestByFirstToken.replace(entry, block);
        }
    }

    private void unlinkFromList(int block) {
        int before = newer[block];
        int after = older[block];
        if (after != NONE) {
            newer[after] = before;
        }
        if (before != NONE) {
            older[before] = after;
        } else if (after != NONE) {
            newestByFirstToken.replace(listEntry(parents[block], firstToken(block)), after);
        } else {
            newestByFirstToken.remove(listTag(parents[block], firstToken(block)), block);
        }
    }

    private int listEntry(int parent, int firstToken) {
        int tag = listTag(parent, firstToken);
        int entry = newestByFirstToken.entry(tag);
        int head = newestByFirstToken.block(entry);
        while (head != NONE && !(parents[head] == parent && firstToken(head) == firstToken)) {
            entry = newestByFirstToken.entryAfter(entry, tag);
            head = newestByFirstToken.block(entry);
        }
        return entry;
    }

    private int firstToken(int block) {
        return tokens[block >>> chunkShift][tokensAt(block)];
    }

    private int tokensAt(int block) {
        return (block & ((1 << chunkShift) - 1)) * tokensPerBlock;
    }

    // ---- hashing ----

    private long fingerprint(List<String> name) {
        long hash = seed;
        for (String part : name) {
            hash = step(hash, part.length());
            for (int i = 0; i < part.length(); i++) {
                hash = step(hash, part.charAt(i));
            }
        }
        return mix(hash);
    }

    private int listTag(int parent, int firstToken) {
        return tag(mix(seed ^ pair(parent, firstToken)) & fingerprintMask);
    }

    static int tag(long fingerprint) {
        return (int) (fingerprint ^ fingerprint >>> 32);
    }

    private static long pair(int high, int low) {
        return ((long) high << 32) | (low & 0xFFFFFFFFL);
    }

    private static long step(long hash, long next) {
        long product = (hash ^ next) * MULTIPLIER;
        return product ^ product >>> 32;
    }

    /** The finaliser of SplitMix64 (Steele, Lea, Flood, 2014). */
    private static long mix(long value) {
        long mixed = (value ^ value >>> 30) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ mixed >>> 27) * 0x94D049BB133111EBL;
        return mixed ^ mixed >>> 31;
    }

    private void ensureCapacity(int blocks) {
        if (blocks > parents.length) {
            int old = parents.length;
            int capacity =
                    Math.max(blocks, Math.max(FIRST_CAPACITY, (int) Math.min(old * 3L / 2, Integer.MAX_VALUE - 8)));
            parents = Arrays.copyOf(parents, capacity);
            Arrays.fill(parents, old, capacity, NONE);
            firstChild = Arrays.copyOf(firstChild, capacity);
            nextSibling = Arrays.copyOf(nextSibling, capacity);
            previousSibling = Arrays.copyOf(previousSibling, capacity);
            fingerprints = Arrays.copyOf(fingerprints, capacity);
            numbers = Arrays.copyOf(numbers, capacity);
            childCounts = Arrays.copyOf(childCounts, capacity);
            older = Arrays.copyOf(older, capacity);
            newer = Arrays.copyOf(newer, capacity);
        }
        int chunk = (blocks - 1) >>> chunkShift;
        if (chunk >= tokens.length) {
            tokens = Arrays.copyOf(tokens, Math.max(chunk + 1, 2 * tokens.length));
        }
        if (tokens[chunk] == null) {
            tokens[chunk] = new int[tokensPerBlock << chunkShift];
        }
    }

    /** Checks the index against itself and against what else is known of the blocks. */
    void verify() {
        int published = 0;
        for (int block = 0; block < parents.length; block++) {
            if (parents[block] != NONE) {
                published++;
                int parent = parents[block];
                require(parent < 0 || isPublished(parent), "a published block's parent is published", block, parent);
                int[] own = Arrays.copyOfRange(
                        tokens[block >>> chunkShift], tokensAt(block), tokensAt(block) + tokensPerBlock);
                long fingerprint = childFingerprint(fingerprint(parent), own, 0);
                require(fingerprint == fingerprints[block], "fingerprints are chained", block, parent);
                require(
                        find(fingerprint, parent, own, 0) == block,
                        "a published block is found by its tokens",
                        block,
                        parent);
            }
        }
        require(
                published == byFingerprint.size(),
                "every published block is in the table",
                published,
                byFingerprint.size());
        verifyChildren(published);
    }

    private void verifyChildren(int published) {
        int listed = 0;
        for (int parent = FIRST_ROOT - roots + 1; parent < parents.length; parent++) {
            if (parent <= FIRST_ROOT || (parent >= 0 && isPublished(parent))) {
                for (int child = firstChild(parent); child != NONE; child = nextSibling[child]) {
                    require(parents[child] == parent, "children are listed below their parent", child, parent);
                    require(++listed <= published, "the list of children ends", listed, published);
                }
            }
        }
        require(listed == published, "every published block is its parent's child", listed, published);
    }

    private static void require(boolean holds, String rule, int left, int right) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": left=" + left + " right=" + right);
        }
    }
}
