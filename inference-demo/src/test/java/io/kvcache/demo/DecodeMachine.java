package io.kvcache.demo;

import io.kvcache.EventJournal;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.remote.EventPublisher;
import io.kvcache.remote.EventStream;
import io.kvcache.remote.RemoteOptions;
import io.kvcache.remote.RemoteStore;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;

/**
 * A machine that decodes, as a process: a cache of its own, a tier that it shares with others, and a stream that tells what it has. It reads
 * requests from standard input and writes what became of them to standard output.
 *
 * <pre>
 *   run ID TOKEN,...      done ID CACHED EVENT TOKEN,...    prompt tokens cached, number of the last event, tokens generated
 *   flush                 flushed                           all that was published is in the tier
 *   stats                 stats LATE                        loads that got no further within the deadline
 * </pre>
 */
final class DecodeMachine {
    static final int TOKENS_PER_BLOCK = 4;
    static final int GENERATED = 6;
    static final String TIER = "remote";
    static final Duration DEADLINE = Duration.ofSeconds(5);

    private static final long CACHE_BYTES = 64 << 20;
    private static final int JOURNAL = 1 << 16;
    private static final int ROWS = 64;
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final String END = "end";

    private final DecodeLoop loop;
    private final KvCache cache;
    private final EventJournal journal;
    private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private DecodeMachine(DecodeLoop loop, KvCache cache, EventJournal journal) {
        this.loop = loop;
        this.cache = cache;
        this.journal = journal;
    }

    /** Runs until standard input ends: arguments are the address of the servers and the name of the machine. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        RemoteOptions servers = RemoteOptions.of(arguments[0]).withDeadlines(DEADLINE, DEADLINE);
        EventJournal journal = new EventJournal(JOURNAL);
        try (GgufFile file = ShippedModel.open()) {
            KvLayout layout = layout(file);
            try (KvCache cache = KvCache.builder(layout)
                            .maximumBytes(CACHE_BYTES)
                            .model(ModelFingerprint.of(file.path()))
                            .listener(journal, Runnable::run)
                            .tier(RemoteStore.tier(TIER, servers).withMisses(null))
                            .build();
                    EventPublisher _ =
                            EventPublisher.start(EventStream.of(servers, arguments[1]), journal, cache::contents);
                    Llama model = new Llama(file, layout, ROWS);
                    DecodeLoop loop = new DecodeLoop(model, cache, -1, DecodeOptions.DEFAULT, System::nanoTime)) {
                new DecodeMachine(loop, cache, journal).serve();
            }
        }
    }

    static KvLayout layout(GgufFile file) {
        return LlamaShape.of(file.metadata()).kvLayout(KvType.F32, TOKENS_PER_BLOCK);
    }

    static DecodeRequest request(int[] prompt) {
        return DecodeRequest.builder(prompt)
                .maxTokens(GENERATED)
                .ignoreEndOfSequence(true)
                .build();
    }

    static int[] tokens(String text) {
        return Arrays.stream(text.split(",", -1)).mapToInt(Integer::parseInt).toArray();
    }

    static String text(int[] tokens) {
        return Arrays.stream(tokens).mapToObj(Integer::toString).collect(Collectors.joining(","));
    }

    static int[] generated(DecodeResult result) {
        Sample sample = result.samples().getFirst();
        return sample.tokens();
    }

    private void serve() throws InterruptedException {
        BlockingQueue<String> lines = new LinkedBlockingQueue<>();
        Thread.ofPlatform().daemon().start(() -> read(lines));
        boolean busy = false;
        while (true) {
            String line = busy ? lines.poll() : lines.take();
            if (END.equals(line)) {
                return;
            }
            if (line != null) {
                carryOut(line.split(" ", -1));
            }
            busy = loop.step();
        }
    }

    private static void read(BlockingQueue<String> lines) {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            in.lines().forEach(lines::add);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            lines.add(END);
        }
    }

    private void carryOut(String[] words) throws InterruptedException {
        switch (words[0]) {
            case "run" -> {
                CompletionStage<Void> _ = loop.submit(request(tokens(words[2])))
                        .thenAccept(result -> say("done " + words[1] + " " + result.cachedTokens() + " "
                                + journal.last() + " " + text(generated(result))));
            }
            case "flush" -> say(cache.flush(PATIENCE) ? "flushed" : "not flushed");
            case "stats" -> say("stats " + cache.stats().tiers().getFirst().lateLoads());
            default -> throw new IllegalArgumentException("unknown: " + words[0]);
        }
    }

    private void say(String line) {
        out.println(line);
        out.flush();
    }
}
