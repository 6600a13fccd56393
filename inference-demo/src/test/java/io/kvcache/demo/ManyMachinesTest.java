package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.examples.PrefixRouter;
import io.kvcache.localredis.LocalCluster;
import io.kvcache.remote.CacheMirror;
import io.kvcache.remote.EventFollower;
import io.kvcache.remote.EventStream;
import io.kvcache.remote.RemoteOptions;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Three processes that decode, a router before them, and a cluster of three nodes behind: fifty prefixes are computed once
 * in all, whoever dies on the way.
 */
@Timeout(240)
final class ManyMachinesTest {
    private static final int PREFIXES = 50;
    private static final int BLOCKS = 6; // of a prefix
    private static final int PREFIX_TOKENS = BLOCKS * DecodeMachine.TOKENS_PER_BLOCK;
    private static final int SUFFIX_TOKENS = 5;
    private static final int IN_FLIGHT = 9;
    private static final double LOAD_WEIGHT = 0.05; // so that those in flight do not outweigh a prefix
    private static final String NAMESPACE = "default";
    private static final long PATIENCE_SECONDS = 60;

    private final BlockingQueue<String> said = new LinkedBlockingQueue<>();
    private final Map<String, Machine> machines = new LinkedHashMap<>();
    private final Map<Integer, Sent> inFlight = new LinkedHashMap<>();
    private final List<Ended> ended = new ArrayList<>(); // whose events the router has not seen yet
    private final Map<Integer, int[]> outputs = new HashMap<>();
    private final Random random = new Random(17);
    private final int[] text = ShippedModel.heldOutTokens();

    private PrefixRouter router = new PrefixRouter(LOAD_WEIGHT);
    private int computed; // tokens of prefixes

    /** A process, and what the router knows of it. */
    private record Machine(MachineProcess process, CacheMirror mirror, EventFollower follower) {}

    private static final class Request {
        final int id;
        final int prefix;
        final int[] prompt;

        Request(int id, int prefix, int[] prompt) {
            this.id = id;
            this.prefix = prefix;
            this.prompt = prompt;
        }
    }

    private record Sent(Request request, PrefixRouter.Ticket ticket) {}

    private record Ended(PrefixRouter.Ticket ticket, CacheMirror mirror, long event) {}

    @AfterEach
    void stop() {
        machines.values().forEach(machine -> {
            machine.follower.close();
            machine.process.close();
        });
    }

    private void start(String name, LocalCluster cluster) throws IOException {
        CacheMirror mirror = new CacheMirror();
        EventStream stream = EventStream.of(RemoteOptions.of(cluster.uri()), name);
        machines.put(
                name,
                new Machine(
                        MachineProcess.start(name, cluster.uri(), said), mirror, EventFollower.start(stream, mirror)));
        router.add(name, mirror);
    }

    /** The first token of a prefix is its number: no two have anything in common. */
    private Request request(int round, int prefix) {
        int[] prompt = new int[PREFIX_TOKENS + SUFFIX_TOKENS];
        System.arraycopy(text, prefix * 11, prompt, 0, PREFIX_TOKENS);
        prompt[0] = 10 + prefix;
        for (int i = PREFIX_TOKENS; i < prompt.length; i++) {
            prompt[i] = 10 + random.nextInt(200);
        }
        return new Request(round * PREFIXES + prefix, prefix, prompt);
    }

    private List<Request> requests(int... rounds) {
        List<Request> requests = new ArrayList<>();
        for (int round : rounds) {
            for (int prefix = 0; prefix < PREFIXES; prefix++) {
                requests.add(request(round, prefix));
            }
        }
        Collections.shuffle(requests, random);
        return requests;
    }

    @Test
    void shouldComputeEachPrefixOnceInAll() throws IOException, InterruptedException {
        List<Request> before = requests(0, 1);
        List<Request> during = requests(2, 3);
        List<Request> after = requests(4);
        try (LocalCluster cluster = LocalCluster.start(3)) {
            for (String name : List.of("m0", "m1", "m2")) {
                start(name, cluster);
            }
            serve(before, 0, "");
            assertEquals(PREFIXES * PREFIX_TOKENS, computed, "each once in all");
            flush();

            computed = 0;
            serve(during, 20, "m0"); // dies behind the twentieth answer
            assertEquals(0, computed, "what the dead one has computed is on the cluster");
            assertEquals(List.of("m1", "m2"), List.copyOf(machines.keySet()));
            flush();

            int dead = 1;
            cluster.node(dead).kill();
            router = new PrefixRouter(LOAD_WEIGHT);
            start("m3", cluster); // has nothing in memory
            computed = 0;
            serve(after, 0, "");
            int lost = 0;
            for (int prefix = 0; prefix < PREFIXES; prefix++) {
                lost += PREFIX_TOKENS - reach(after, prefix, cluster, dead);
            }
            assertTrue(lost > 0 && lost < PREFIXES * PREFIX_TOKENS * 2 / 3, "lost=" + lost);
            assertEquals(lost, computed, "only the share of the dead node");
            assertEquals(0, lateLoads(), "nobody waited to the deadline");
        }
        assertOutputs(before);
        assertOutputs(during);
        assertOutputs(after);
    }

    // ---- what the router does ----

    /** Has requests served, a few at a time; a machine may be killed behind a number of answers. */
    private void serve(List<Request> requests, int killAfter, String victim) throws InterruptedException {
        Queue<Request> waiting = new ArrayDeque<>(requests);
        int answers = 0;
        while (!waiting.isEmpty() || !inFlight.isEmpty()) {
            while (!waiting.isEmpty() && inFlight.size() < IN_FLIGHT) {
                send(waiting.remove());
            }
            String[] words = hear();
            switch (words[1]) {
                case "done" -> {
                    done(words);
                    answers++;
                    if (answers == killAfter) {
                        machine(victim).process.kill();
                    }
                }
                case "gone" -> waiting.addAll(bury(words[0]));
                default -> throw new AssertionError(String.join(" ", words));
            }
        }
    }

    private void send(Request request) {
        closeSeen();
        PrefixRouter.Ticket ticket = router.route(NAMESPACE, List.of(), request.prompt);
        inFlight.put(request.id, new Sent(request, ticket));
        machine(ticket.machine()).process.say("run " + request.id + " " + DecodeMachine.text(request.prompt));
    }

    /** A ticket is closed when the mirror has heard what its request left behind; until then it tells the router. */
    private void closeSeen() {
        ended.removeIf(each -> {
            boolean seen = each.mirror.number() >= each.event;
            if (seen) {
                each.ticket.close();
            }
            return seen;
        });
    }

    private void done(String[] words) {
        Sent sent = Objects.requireNonNull(inFlight.remove(Integer.parseInt(words[2])));
        int cached = Integer.parseInt(words[3]);
        computed += Math.max(0, PREFIX_TOKENS - cached);
        outputs.put(sent.request.id, DecodeMachine.tokens(words[5]));
        ended.add(new Ended(sent.ticket, machine(words[0]).mirror, Long.parseLong(words[4])));
    }

    /** Takes a machine out, and returns what was in flight there. */
    private List<Request> bury(String name) {
        machine(name).follower.close();
        machines.remove(name);
        router.remove(name);
        List<Request> lost = inFlight.values().stream()
                .filter(sent -> sent.ticket.machine().equals(name))
                .map(Sent::request)
                .toList();
        lost.forEach(request -> inFlight.remove(request.id));
        return lost;
    }

    private Machine machine(String name) {
        return Objects.requireNonNull(machines.get(name), name);
    }

    private String[] hear() throws InterruptedException {
        String line = said.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
        return Objects.requireNonNull(line, "no machine says anything").split(" ", -1);
    }

    private void flush() throws InterruptedException {
        ask("flush", words -> words[1].equals("flushed"));
    }

    private int lateLoads() throws InterruptedException {
        int[] late = new int[1];
        ask("stats", words -> {
            late[0] += Integer.parseInt(words[2]);
            return words[1].equals("stats");
        });
        return late[0];
    }

    private void ask(String question, Predicate<String[]> isAnswer) throws InterruptedException {
        machines.values().forEach(machine -> machine.process.say(question));
        for (int i = 0; i < machines.size(); i++) {
            assertTrue(isAnswer.test(hear()));
        }
    }

    // ---- what must come of it ----

    /** How many tokens of a prefix are on nodes that live, without a gap: by the names of keys and the slots of nodes. */
    private static int reach(List<Request> requests, int prefix, LocalCluster cluster, int dead) {
        int[] prompt = requests.stream()
                .filter(request -> request.prefix == prefix)
                .findFirst()
                .orElseThrow()
                .prompt;
        int blocks = 0;
        try (GgufFile file = ShippedModel.open()) {
            KvLayout layout = DecodeMachine.layout(file);
            BlockKey key = BlockKey.root(ModelFingerprint.of(file.path()), layout, NAMESPACE, List.of());
            while (blocks < BLOCKS) {
                key = key.child(prompt, blocks * DecodeMachine.TOKENS_PER_BLOCK, DecodeMachine.TOKENS_PER_BLOCK);
                String tag = HexFormat.of().toHexDigits(key.run());
                int slot = Integer.parseInt(cluster.node(0).command("CLUSTER", "KEYSLOT", tag));
                if (slot >= cluster.firstSlot(dead) && slot <= cluster.lastSlot(dead)) {
                    break;
                }
                blocks++;
            }
        }
        return blocks * DecodeMachine.TOKENS_PER_BLOCK;
    }

    /** One process and one cache, without a tier, says the same. */
    private void assertOutputs(List<Request> requests) {
        try (GgufFile file = ShippedModel.open()) {
            KvLayout layout = DecodeMachine.layout(file);
            try (KvCache cache = KvCache.builder(layout).maximumBytes(64 << 20).build();
                    Llama model = new Llama(file, layout, 64);
                    DecodeLoop loop = new DecodeLoop(model, cache, -1, DecodeOptions.DEFAULT, System::nanoTime)) {
                for (Request request : requests) {
                    CompletableFuture<DecodeResult> result = loop.submit(DecodeMachine.request(request.prompt));
                    loop.run();
                    assertArrayEquals(
                            DecodeMachine.generated(result.join()),
                            outputs.get(request.id),
                            () -> "request " + request.id + ": " + Arrays.toString(request.prompt));
                }
            }
        }
    }
}
