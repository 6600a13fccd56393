package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.agrona.concurrent.CachedNanoClock;
import org.junit.jupiter.api.Test;

final class CaffeineIndexTest {
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int BLOCKS = 4;

    private final int[] table = new int[BLOCKS];

    @Test
    void shouldFindTheLongestPrefixOfWholeBlocks() {
        CaffeineIndex index = CaffeineIndex.bounded(100_000);
        Set<List<Integer>> added = new HashSet<>();
        Random random = new Random(1);
        int hits = 0;
        for (int i = 0; i < 1000; i++) {
            int tokens = random.nextInt(1, BLOCKS * TOKENS_PER_BLOCK + 1);
            int[] prompt = random.ints(tokens, 0, 16)
                    .map(number -> number == 0 ? 1 : 0)
                    .toArray();
            int expected = longestPrefix(added, prompt);
            assertEquals(expected, index.find(prompt, table));
            hits += expected > 0 ? 1 : 0;
            index.add(prompt);
            addPrefixes(added, prompt);
        }
        assertTrue(hits > 100 && hits < 900, "hits=" + hits);
    }

    private static int longestPrefix(Set<List<Integer>> added, int[] prompt) {
        int found = 0;
        while (found + TOKENS_PER_BLOCK < prompt.length && added.contains(prefix(prompt, found + TOKENS_PER_BLOCK))) {
            found += TOKENS_PER_BLOCK;
        }
        return found;
    }

    private static void addPrefixes(Set<List<Integer>> added, int[] prompt) {
        for (int end = TOKENS_PER_BLOCK; end <= prompt.length; end += TOKENS_PER_BLOCK) {
            added.add(prefix(prompt, end));
        }
    }

    private static List<Integer> prefix(int[] prompt, int end) {
        return Arrays.stream(prompt, 0, end).boxed().toList();
    }

    @Test
    void shouldSayWhichBlocksItFinds() {
        CaffeineIndex index = CaffeineIndex.bounded(100);
        int[] prompt = TinyBlocks.prompt(new SplittableRandom(1), BLOCKS);
        index.add(prompt);
        index.find(prompt, table);
        assertArrayEquals(IntStream.range(0, BLOCKS).toArray(), table);
    }

    @Test
    void shouldHoldNoMoreThanItsBound() {
        CaffeineIndex index = CaffeineIndex.bounded(100);
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 100; i++) {
            index.add(TinyBlocks.prompt(random, BLOCKS));
        }
        assertEquals(100, index.size());
    }

    @Test
    void shouldLoseWhatHasExpiredWhenItCleansUp() {
        CachedNanoClock clock = new CachedNanoClock();
        Expiry<CaffeineIndex.Key, CaffeineIndex.Block> expiry = Expiry.creating((key, block) -> Duration.ofSeconds(10));
        CaffeineIndex index =
                new CaffeineIndex(Caffeine.newBuilder().ticker(clock::nanoTime).expireAfter(expiry));
        index.add(TinyBlocks.prompt(new SplittableRandom(1), BLOCKS));
        clock.update(Duration.ofSeconds(9).toNanos());
        index.cleanUp();
        assertEquals(BLOCKS, index.size());
        clock.update(Duration.ofSeconds(12).toNanos());
        index.cleanUp();
        assertEquals(0, index.size());
    }
}
