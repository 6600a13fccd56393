package io.kvcache.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.kvcache.CacheContents;
import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.Identity;
import io.kvcache.remote.CacheMirror;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class PrefixRouterTest {
    private static final int TOKENS_PER_BLOCK = 10;

    private final PrefixRouter router = new PrefixRouter(0.5);
    private final CacheMirror east = new CacheMirror();
    private final CacheMirror west = new CacheMirror();

    private void addBoth() {
        router.add("east", east);
        router.add("west", west);
    }

    /** Lets a machine hold the first blocks of a prompt. */
    private static void hold(CacheMirror mirror, int seed, int blocks) {
        List<CachedBlock> held = new ArrayList<>();
        for (int block = 0; block < blocks; block++) {
            List<Integer> tokens = IntStream.range(block * TOKENS_PER_BLOCK, (block + 1) * TOKENS_PER_BLOCK)
                    .mapToObj(position -> prompt(seed, 100)[position])
                    .toList();
            held.add(new CachedBlock("chat", List.of(), block + 1, block, tokens));
        }
        mirror.apply(new CacheContents(0, held));
    }

    private static int[] prompt(int seed, int length) {
        return IntStream.range(0, length).map(i -> seed * 1000 + i).toArray();
    }

    /** A prompt that begins like that of seed 1, and goes on otherwise. */
    private static int[] fork(int shared, int own) {
        return IntStream.concat(Arrays.stream(prompt(1, shared)), Arrays.stream(prompt(9, own)))
                .toArray();
    }

    private PrefixRouter.Ticket route(int... prompt) {
        return router.route("chat", List.of(), prompt);
    }

    private static String describe(PrefixRouter.Ticket ticket) {
        return ticket.machine() + " " + ticket.cachedTokens();
    }

    @Test
    void shouldSendAPromptWhereItsLongestPrefixIs() {
        addBoth();
        hold(east, 1, 2);
        hold(west, 1, 5);
        try (PrefixRouter.Ticket ticket = route(prompt(1, 100))) {
            assertEquals("west 50", describe(ticket));
        }
        west.apply(new CacheEvent.Lost(1, 9)); // out of date
        try (PrefixRouter.Ticket ticket = route(prompt(1, 100))) {
            assertEquals("east 20", describe(ticket));
        }
        router.remove("east");
        try (PrefixRouter.Ticket ticket = route(prompt(1, 100))) {
            assertEquals("west 0", describe(ticket));
        }
    }

    @Test
    void shouldSendElsewhereWhatWouldWaitTooLong() {
        addBoth();
        hold(east, 1, 5);
        int[] fork = fork(50, 30);
        try (PrefixRouter.Ticket first = route(prompt(1, 100)); // 50 to compute
                PrefixRouter.Ticket busy = route(prompt(1, 160))) { // 60 more, behind the first
            assertEquals("east 50", describe(first));
            assertEquals("east 100", describe(busy));
            try (PrefixRouter.Ticket third = route(fork)) { // 30 + 110 / 2 there, 80 elsewhere
                assertEquals("west 0", describe(third));
            }
            try (PrefixRouter.Ticket fourth = route(prompt(1, 100))) { // 1 + 110 / 2 there, 100 elsewhere
                assertEquals("east 99", describe(fourth));
            }
        }
        try (PrefixRouter.Ticket ticket = route(fork)) {
            assertEquals("east 50", describe(ticket));
        }
    }

    @Test
    void shouldSendPromptsWithOnePrefixThatComeTogetherToOneMachine() {
        addBoth();
        try (PrefixRouter.Ticket first = route(prompt(1, 100));
                PrefixRouter.Ticket other = route(prompt(2, 100));
                PrefixRouter.Ticket again = route(prompt(1, 100));
                PrefixRouter.Ticket longer = route(prompt(2, 120))) {
            assertEquals("east 0", describe(first));
            assertEquals("west 0", describe(other));
            assertEquals("east 99", describe(again), "one token is left to compute");
            assertEquals("west 100", describe(longer));
        }
        try (PrefixRouter.Ticket ticket = route(prompt(1, 100))) {
            assertEquals(0, ticket.cachedTokens(), "nothing was cached of it after all");
        }
    }

    @Test
    void shouldKeepNamespacesAndIdentitiesApart() {
        addBoth();
        hold(east, 1, 5);
        List<Identity> adapter = List.of(new Identity("adapter", "x"));
        try (PrefixRouter.Ticket first = router.route("other", List.of(), prompt(1, 100));
                PrefixRouter.Ticket second = router.route("other", adapter, prompt(1, 100));
                PrefixRouter.Ticket third = router.route("chat", adapter, prompt(1, 100))) {
            assertEquals(0, first.cachedTokens());
            assertEquals(0, second.cachedTokens());
            assertEquals(0, third.cachedTokens());
        }
    }

    @Test
    void shouldSpreadWhatIsCachedNowhere() {
        addBoth();
        List<String> chosen = new ArrayList<>();
        for (int seed = 0; seed < 4; seed++) {
            try (PrefixRouter.Ticket ticket = route(prompt(seed, 100))) {
                chosen.add(ticket.machine());
            }
        }
        assertEquals(List.of("east", "west", "east", "west"), chosen);
    }

    @Test
    void shouldCountATicketOnce() {
        addBoth();
        hold(east, 1, 5);
        int[] other = fork(10, 20);
        PrefixRouter.Ticket ticket = route(prompt(1, 100));
        ticket.close();
        try (PrefixRouter.Ticket free = route(other)) { // 20 there, 30 elsewhere
            assertEquals("east 10", describe(free));
        }
        ticket.close();
        try (PrefixRouter.Ticket first = route(prompt(1, 100));
                PrefixRouter.Ticket second = route(other)) { // 20 + 50 / 2 there, 30 elsewhere
            assertEquals("east 50", describe(first));
            assertEquals("west 0", describe(second));
        }
    }

    @Test
    void shouldSayThatThereIsNoMachine() {
        assertEquals(
                "there is no machine",
                assertThrows(IllegalStateException.class, () -> route(1, 2)).getMessage());
    }
}
