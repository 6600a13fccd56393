package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Sequence;
import io.kvcache.remote.RemoteOptions;
import io.kvcache.remote.RemoteStore;
import java.time.Duration;

/**
 * What one machine has computed, another one loads from a server between them. Here the machines are two caches; the server's address is the
 * argument: {@code redis://127.0.0.1}.
 */
final class RemoteTier {
    private static final int[] PROMPT = TinyModel.tokens("a system prompt known to all the machines");
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private RemoteTier() {}

    public static void main(String[] arguments) throws InterruptedException {
        RemoteOptions servers = RemoteOptions.of(arguments[0])
                .withKeyPrefix("kvcache-example:")
                .withDeadlines(PATIENCE, PATIENCE); // where it is cheap to compute, less is better
        try (KvCache east = cacheBefore(servers);
                KvCache west = cacheBefore(servers)) {
            ask("east", east);
            east.flush(PATIENCE); // or else what is on its way may come too late for what follows at once
            ask("west", west);
            ask("west again", west); // it is in memory
            east.namespace("chat").erase(); // on the server too, but not in the memory of others
        }
    }

    private static KvCache cacheBefore(RemoteOptions servers) {
        return TinyModel.cacheOf(32)
                .model("tiny model 1") // a hash of the file with the weights, for instance
                .tier(RemoteStore.tier("remote", servers)) // connects when it is needed first
                .build();
    }

    private static void ask(String name, KvCache cache) throws InterruptedException {
        try (Sequence sequence = cache.namespace("chat").open(PROMPT)) {
            sequence.await(PATIENCE);
            System.out.println(name + ": " + sequence.cachedTokens() + " of " + PROMPT.length + " tokens cached, "
                    + sequence.cachedTokens("remote") + " of them came from the server");
            TinyModel.prefill(sequence, PROMPT);
        }
    }
}
