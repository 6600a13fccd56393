package io.kvcache.examples;

import io.kvcache.CacheEvent;
import io.kvcache.EventJournal;
import io.kvcache.KvCache;
import io.kvcache.Sequence;
import io.kvcache.remote.CacheMirror;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A router sends prompts where their prefix is cached. Here the machines are in one process, and their mirrors read
 * their journals; between processes an {@code EventPublisher} and an {@code EventFollower} do that by way of a server.
 */
final class RoutedMachines {
    private static final int JOURNAL = 1 << 10;
    private static final String NAMESPACE = "chat";
    private static final String GUIDE = "You are a guide. ";
    private static final String CLERK = "Write a letter: ";

    private final PrefixRouter router = new PrefixRouter(0.5);
    private final Map<String, Machine> machines = new HashMap<>();

    /** What runs on a machine, and what the router knows of it. */
    private record Machine(KvCache cache, EventJournal journal, CacheMirror mirror) {
        static Machine start() {
            EventJournal journal = new EventJournal(JOURNAL);
            KvCache cache =
                    TinyModel.cacheOf(64).listener(journal, Runnable::run).build();
            return new Machine(cache, journal, new CacheMirror());
        }

        /** Reads what is new; all that is cached if the journal does not reach back so far. */
        void follow() {
            List<CacheEvent> events = mirror.isUpToDate() ? journal.after(mirror.number(), JOURNAL) : null;
            if (events == null) {
                mirror.apply(cache.contents());
            } else {
                events.forEach(mirror::apply);
            }
        }
    }

    private RoutedMachines() {}

    public static void main(String[] arguments) {
        RoutedMachines routed = new RoutedMachines();
        for (String name : List.of("east", "west")) {
            Machine machine = Machine.start();
            routed.machines.put(name, machine);
            routed.router.add(name, machine.mirror);
        }
        routed.ask(GUIDE + "Where is the zoo?");
        routed.ask(CLERK + "to my aunt");
        routed.ask(GUIDE + "Where is the sea?");
        routed.ask(CLERK + "to my bank");
        routed.askTogether("Tell me of Rome.", "Tell me of Oslo.", "Tell me of Bern.");
        routed.machines.values().forEach(machine -> machine.cache.close());
    }

    private void ask(String text) {
        try (PrefixRouter.Ticket ticket = send(text)) {
            compute(ticket, text);
        }
    }

    /** Sends prompts before any of them is computed. */
    private void askTogether(String... texts) {
        List<PrefixRouter.Ticket> tickets =
                List.of(texts).stream().map(this::send).toList();
        for (int i = 0; i < texts.length; i++) {
            try (PrefixRouter.Ticket ticket = tickets.get(i)) {
                compute(ticket, texts[i]);
            }
        }
    }

    private PrefixRouter.Ticket send(String text) {
        int[] prompt = TinyModel.tokens(text);
        PrefixRouter.Ticket ticket = router.route(NAMESPACE, List.of(), prompt);
        System.out.println(text + " -> " + ticket.machine() + ", which has " + ticket.cachedTokens() + " of "
                + prompt.length + " tokens");
        return ticket;
    }

    private void compute(PrefixRouter.Ticket ticket, String text) {
        Machine machine = machines.get(ticket.machine());
        if (machine == null) {
            throw new IllegalStateException("there is no such machine: name=" + ticket.machine());
        }
        int[] prompt = TinyModel.tokens(text);
        try (Sequence sequence = machine.cache.namespace(NAMESPACE).open(prompt)) {
            TinyModel.prefill(sequence, prompt);
        }
        machine.follow();
    }
}
