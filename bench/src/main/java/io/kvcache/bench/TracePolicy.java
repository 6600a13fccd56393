package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import java.util.Locale;

/**
 * What can decide who goes while a trace is replayed: a policy that a cache can have, or one that has to know the trace.
 *
 * <p>Thread-safe: implementations are immutable.
 */
sealed interface TracePolicy permits ReplayPolicy, OfflinePolicy {
    /** In upper case. */
    String name();

    /** As it is written on the command line. */
    default String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Makes policies, each for one replay of the trace; keep it, since it may have gone through the whole trace. */
    EvictionPolicy.Factory factory(Trace trace);
}
