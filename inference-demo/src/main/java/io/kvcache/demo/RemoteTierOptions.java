package io.kvcache.demo;

import io.kvcache.BlockStore;
import io.kvcache.TierOptions;
import io.kvcache.remote.RemoteOptions;
import io.kvcache.remote.RemoteStore;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/**
 * The options of a cache that goes on below memory, on servers that many machines share.
 *
 * <p>Not thread-safe.
 */
final class RemoteTierOptions {
    private static final String NAME = "remote";
    private static final Duration CONNECT = Duration.ofSeconds(2);

    @Option(
            names = "--remote",
            paramLabel = "ADDRESS",
            required = true,
            converter = Address.class,
            description = "Share what is computed with other machines by a Valkey or Redis server or cluster:"
                    + " redis://HOST:PORT[,HOST:PORT...], or rediss:// for TLS.")
    private RemoteOptions options = RemoteOptions.of("redis://127.0.0.1");

    @Option(
            names = "--remote-deadline",
            paramLabel = "MILLIS",
            defaultValue = "100",
            description = "How long to wait for a reply before going on without (default: ${DEFAULT-VALUE} ms).")
    private int deadlineMillis;

    /** Reads an address. */
    static final class Address implements ITypeConverter<RemoteOptions> {
        @Override
        public RemoteOptions convert(String value) {
            try {
                return RemoteOptions.of(value);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }

    /**
     * Returns the tier. Connects now, so that the first prompt need not wait for that; servers that do not answer are a warning, and are
     * tried again.
     *
     * @param opened receives a store that must be closed if the cache is not built
     * @throws IllegalArgumentException if the deadline is not positive
     */
    TierOptions tier(List<BlockStore> opened, PrintWriter err) {
        Duration deadline = Duration.ofMillis(deadlineMillis);
        RemoteOptions withDeadline =
                options.withDeadlines(deadline, CONNECT.compareTo(deadline) > 0 ? CONNECT : deadline);
        TierOptions tier = RemoteStore.tier(NAME, withDeadline);
        try {
            RemoteStore store = RemoteStore.connect(withDeadline);
            opened.add(store);
            return tier.withOpener(() -> store);
        } catch (IOException e) {
            err.println(
                    "remote is left alone until it answers: remote=" + options.address() + " cause=" + e.getMessage());
            return tier;
        }
    }
}
