package io.kvcache.examples;

import io.kvcache.Identity;
import io.kvcache.remote.CacheMirror;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Sends a prompt to the machine where it is cheapest: the fewest tokens to compute, and few being computed already.
 * What was sent and is not done counts as cached where it was sent, so that prompts with one prefix that come together
 * go together.
 *
 * <p>A mirror that is out of date counts as an empty cache. Where two machines are equal, the one goes first that was
 * given less so far.
 *
 * <p>Thread-safe.
 */
public final class PrefixRouter {
    private static final Comparator<Offer> CHEAPEST =
            Comparator.comparingDouble(Offer::cost).thenComparingLong(offer -> offer.machine.computedTokens);

    private final double loadWeight;
    private final Map<String, Machine> machines = new LinkedHashMap<>(); // guarded by this

    /** A machine, what is cached there, and what was sent there. */
    private static final class Machine {
        final String name;
        final CacheMirror mirror;
        final Set<Ticket> inFlight = new LinkedHashSet<>();
        long inFlightTokens; // to compute
        long computedTokens; // those in flight included

        Machine(String name, CacheMirror mirror) {
            this.name = name;
            this.mirror = mirror;
        }

        /** How many tokens of a prompt are cached here, or are going to be. */
        int cachedTokens(String namespace, List<Identity> identities, int[] prompt) {
            int cached = mirror.cachedTokens(namespace, identities, prompt);
            for (Ticket ticket : inFlight) {
                cached = Math.max(cached, ticket.sharedTokens(namespace, identities, prompt));
            }
            return cached;
        }
    }

    private record Offer(Machine machine, int cachedTokens, double cost) {}

    /**
     * Makes a router without machines.
     *
     * @param loadWeight what a token costs that a machine has to compute for others, beside one of the prompt itself: 0
     *     looks at prefixes only; 1 takes a machine for busy until all that was sent there is done
     */
    public PrefixRouter(double loadWeight) {
        this.loadWeight = loadWeight;
    }

    /**
     * Takes a machine in, in place of one with its name.
     *
     * @param mirror of its cache, kept up to date by somebody else
     */
    public synchronized void add(String machine, CacheMirror mirror) {
        machines.put(machine, new Machine(machine, mirror));
    }

    /** Sends nothing to a machine any more; what is in flight there ends as it may. */
    public synchronized void remove(String machine) {
        machines.remove(machine);
    }

    /**
     * Chooses a machine.
     *
     * @param prompt [tokens] not copied, and not to be changed until the ticket is closed
     * @return the choice, to be closed when the request has ended
     * @throws IllegalStateException if there is no machine
     */
    public synchronized Ticket route(String namespace, List<Identity> identities, int[] prompt) {
        Offer best = machines.values().stream()
                .map(machine -> offer(machine, namespace, identities, prompt))
                .min(CHEAPEST)
                .orElseThrow(() -> new IllegalStateException("there is no machine"));
        Ticket ticket = new Ticket(best, namespace, identities, prompt);
        best.machine.inFlight.add(ticket);
        best.machine.inFlightTokens += ticket.tokensToCompute();
        best.machine.computedTokens += ticket.tokensToCompute();
        return ticket;
    }

    private Offer offer(Machine machine, String namespace, List<Identity> identities, int[] prompt) {
        int cached = machine.cachedTokens(namespace, identities, prompt);
        return new Offer(machine, cached, prompt.length - cached + loadWeight * machine.inFlightTokens);
    }

    private synchronized void end(Ticket ticket) {
        if (ticket.machine.inFlight.remove(ticket)) {
            ticket.machine.inFlightTokens -= ticket.tokensToCompute();
        }
    }

    /**
     * A prompt on its way, or at work.
     *
     * <p>Thread-safe.
     */
    public final class Ticket implements AutoCloseable {
        private final Machine machine;
        private final int cachedTokens;
        private final String namespace;
        private final List<Identity> identities;
        private final int[] prompt;

        private Ticket(Offer offer, String namespace, List<Identity> identities, int[] prompt) {
            this.machine = offer.machine;
            this.cachedTokens = offer.cachedTokens;
            this.namespace = namespace;
            this.identities = identities;
            this.prompt = prompt;
        }

        /** Where to send the prompt. */
        public String machine() {
            return machine.name;
        }

        /** How many of its tokens are expected to be cached there. */
        public int cachedTokens() {
            return cachedTokens;
        }

        private int tokensToCompute() {
            return prompt.length - cachedTokens;
        }

        /** How many first tokens another prompt has in common with this one, fewer than it has. */
        private int sharedTokens(String otherNamespace, List<Identity> otherIdentities, int[] other) {
            if (!namespace.equals(otherNamespace) || !identities.equals(otherIdentities)) {
                return 0;
            }
            int mismatch = Arrays.mismatch(prompt, other);
            return Math.max(0, Math.min(mismatch < 0 ? other.length : mismatch, other.length - 1));
        }

        /** Says that the request has ended. A second call does nothing. */
        @Override
        public void close() {
            end(this);
        }
    }
}
