package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.NamespaceOptions;
import io.kvcache.Retention;
import io.kvcache.WarmedPrompt;
import io.kvcache.WarmupOptions;
import io.kvcache.WarmupReport;
import java.util.List;

/** System prompts that are computed and pinned when an engine starts; one that fails does not stop the others. */
final class WarmUp {
    private WarmUp() {}

    public static void main(String[] arguments) {
        List<int[]> prompts = List.of(
                TinyModel.tokens("You are a helpful assistant."),
                TinyModel.tokens("You are a helpful assistant. Answer in French."), // begins with the first
                TinyModel.tokens("A prompt with which the model fails"),
                TinyModel.tokens("You are a helpful assistant."));
        try (KvCache cache = TinyModel.cacheOf(32).build()) {
            long budget = 16 * TinyModel.LAYOUT.blockBytes();
            Namespace namespace = cache.namespace("chat", NamespaceOptions.DEFAULT.withPinnedBytes(budget));
            WarmupOptions options = WarmupOptions.DEFAULT
                    .withRetention(Retention.DEFAULT.withPin())
                    .withProgress(progress -> System.out.println(
                            progress.done() + " of " + progress.total() + ": " + describe(progress.last())));
            WarmupReport report = namespace.warm(
                    prompts,
                    (sequence, prompt) -> {
                        if (prompt[0] == 'A') {
                            throw new IllegalStateException("the model fails");
                        }
                        TinyModel.prefill(sequence, prompt);
                    },
                    options);
            System.out.println("computed " + report.computedTokens() + " tokens, failed: "
                    + report.count(WarmedPrompt.Status.FAILED) + ", pinned blocks: "
                    + cache.stats().pinnedBlocks());
        }
    }

    private static String describe(WarmedPrompt prompt) {
        String text =
                prompt.status() + ", " + prompt.cachedTokens() + " cached, " + prompt.computedTokens() + " computed";
        return prompt.failure() == null ? text : text + ", " + prompt.failure().getMessage();
    }
}
