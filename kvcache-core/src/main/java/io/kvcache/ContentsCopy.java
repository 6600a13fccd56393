package io.kvcache;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.agrona.collections.Long2ObjectHashMap;
import org.jspecify.annotations.Nullable;

/**
 * What can be found at one moment: taken under the lock of the {@link SequencePool} into arrays that are there before,
 * and made into objects without it.
 *
 * <p>Not thread-safe.
 */
final class ContentsCopy {
    // [room], the first count of them in use
    private final long[] numbers;
    private final long[] parents;
    private final @Nullable PrefixRoot[] roots; // of blocks without a parent
    private final int[][] tokens; // [room][tokensPerBlock]
    private int count;

    ContentsCopy(int room, int tokensPerBlock) {
        numbers = new long[room];
        parents = new long[room];
        roots = new PrefixRoot[room];
        tokens = new int[room][tokensPerBlock];
    }

    /** How many blocks it has room for. */
    int room() {
        return numbers.length;
    }

    /**
     * Takes a block in.
     *
     * @param root where its path begins, if it has no parent; else null
     * @return [tokensPerBlock] takes its tokens
     */
    int[] add(long number, long parent, @Nullable PrefixRoot root) {
        numbers[count] = number;
        parents[count] = parent;
        roots[count] = root;
        return tokens[count++];
    }

    /** The blocks, by number. */
    List<CachedBlock> blocks() {
        Long2ObjectHashMap<PrefixRoot> rootOf = new Long2ObjectHashMap<>();
        CachedBlock[] blocks = new CachedBlock[count];
        int at = 0;
        for (int place : placesByNumber()) { // a parent has the smaller number
            PrefixRoot own = roots[place];
            PrefixRoot root = own != null ? own : Objects.requireNonNull(rootOf.get(parents[place]));
            rootOf.put(numbers[place], root);
            blocks[at++] = new CachedBlock(
                    root.partition.name, root.identities, numbers[place], parents[place], new TokenList(tokens[place]));
        }
        return Arrays.asList(blocks);
    }

    private int[] placesByNumber() {
        return IntStream.range(0, count)
                .boxed()
                .sorted(Comparator.comparingLong(place -> numbers[place]))
                .mapToInt(Integer::intValue)
                .toArray();
    }
}
