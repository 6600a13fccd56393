package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.demo.DecodeLoop;
import io.kvcache.demo.DecodeOptions;
import io.kvcache.demo.DecodeRequest;
import io.kvcache.demo.DecodeResult;
import io.kvcache.demo.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A mix on its way through a decode loop over a cache that is empty at first. Without sharing each request has a namespace of its own,
 * so nothing is found; all else is the same. The cache is large enough that nothing is evicted, nobody waits for memory, and no block
 * passes from one namespace to another, which would cost the run without sharing an overwrite.
 *
 * <p>Not thread-safe.
 */
final class ServingRun {
    private final ServingMix mix;
    private final boolean sharing;
    private final DecodeLoop loop;
    private final List<Caller> calling = new ArrayList<>();
    private final List<List<DecodeResult>> results = new ArrayList<>(); // [scripts][turns]
    private int begun; // scripts
    private int requests;

    /** A script at work. */
    private final class Caller {
        private final ServingScript script;
        private final List<DecodeResult> got;
        private int[] prompt;
        private CompletableFuture<DecodeResult> asked;

        Caller(ServingScript script, List<DecodeResult> got) {
            this.script = script;
            this.got = got;
            this.prompt = script.firstPrompt();
            this.asked = submit(prompt, script.answerTokens());
        }

        /** Goes on where there is an answer; returns whether there is nothing more to ask. */
        boolean hasEnded() {
            if (!asked.isDone()) {
                return false;
            }
            DecodeResult result = asked.join();
            got.add(result);
            if (got.size() == script.turns()) {
                return true;
            }
            prompt = script.nextPrompt(
                    got.size(), prompt, result.samples().getFirst().tokens());
            asked = submit(prompt, script.answerTokens());
            return false;
        }
    }

    private ServingRun(ServingMix mix, boolean sharing, DecodeLoop loop) {
        this.mix = mix;
        this.sharing = sharing;
        this.loop = loop;
    }

    /** Runs a mix to its end; a request that fails or a block that is lost is an exception. */
    static ServingOutcome of(ServingMix mix, boolean sharing, Model model, KvLayout layout) {
        int samples = Math.min(mix.atOnce(), DecodeOptions.DEFAULT.concurrency());
        try (KvCache cache = KvCache.builder(layout)
                        .maximumBytes(mix.blocks(layout) * layout.blockBytes())
                        .build();
                DecodeLoop loop = new DecodeLoop(
                        model, cache, -1, DecodeOptions.DEFAULT.withConcurrency(samples), System::nanoTime)) {
            ServingOutcome outcome = new ServingRun(mix, sharing, loop).run(cache);
            cache.verify();
            if (cache.stats().usedBlocks() > 0) {
                throw new IllegalStateException("blocks are lost: mix=" + mix.name() + " " + cache.stats());
            }
            return outcome;
        }
    }

    private ServingOutcome run(KvCache cache) {
        int peakBlocks = 0;
        long start = System.nanoTime();
        begin();
        while (!calling.isEmpty()) {
            loop.step();
            peakBlocks = Math.max(peakBlocks, cache.stats().usedBlocks());
            calling.removeIf(Caller::hasEnded);
            begin();
        }
        double seconds = (double) (System.nanoTime() - start) / TimeUnit.SECONDS.toNanos(1);
        return new ServingOutcome(results, seconds, peakBlocks);
    }

    private void begin() {
        while (calling.size() < mix.atOnce() && begun < mix.scripts().size()) {
            List<DecodeResult> got = new ArrayList<>();
            results.add(got);
            calling.add(new Caller(mix.scripts().get(begun++), got));
        }
    }

    private CompletableFuture<DecodeResult> submit(int[] prompt, int answerTokens) {
        String namespace = sharing ? "all" : "request-" + requests++;
        return loop.submit(DecodeRequest.builder(prompt)
                .maxTokens(answerTokens)
                .ignoreEndOfSequence(true)
                .namespace(namespace)
                .build());
    }
}
