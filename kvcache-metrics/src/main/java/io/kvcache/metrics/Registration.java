package io.kvcache.metrics;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * The meters that a binder has in a registry; some come while others are being read.
 *
 * <p>Thread-safe.
 */
final class Registration implements AutoCloseable {
    private final MeterRegistry registry;
    private final List<Meter> meters = new ArrayList<>();
    private boolean closed;

    Registration(MeterRegistry registry) {
        this.registry = registry;
    }

    /** Registers a meter; not any more when it is closed. */
    synchronized void add(Function<MeterRegistry, Meter> registering) {
        if (!closed) {
            meters.add(registering.apply(registry));
        }
    }

    /** Removes the meters. A second call does nothing. */
    @Override
    public synchronized void close() {
        closed = true;
        meters.forEach(registry::remove);
        meters.clear();
    }
}
