package io.kvcache.metrics;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Tags;
import java.util.function.ToDoubleFunction;

/**
 * Registers meters that are read from snapshots of one source. The registry refers to the source weakly, and to nothing that
 * would keep it alive: meters of a source that is gone count no further.
 *
 * <p>Not thread-safe; the meters are.
 *
 * @param <T> the source
 * @param <S> a snapshot of it
 */
final class SnapshotMeters<T, S> {
    private final Registration registration;
    private final String prefix;
    private final Tags tags;
    private final T source;
    private final Snapshots<T, S> snapshots;

    /**
     * Makes meters.
     *
     * @param registration takes them
     * @param prefix of their names
     * @param tags of all of them
     */
    SnapshotMeters(Registration registration, String prefix, Tags tags, T source, Snapshots<T, S> snapshots) {
        this.registration = registration;
        this.prefix = prefix;
        this.tags = tags;
        this.source = source;
        this.snapshots = snapshots;
    }

    /**
     * Registers what only grows.
     *
     * @param unit plural, the end of the name
     * @param more tags: key, value, ...
     */
    void counter(String name, String unit, String description, ToDoubleFunction<S> value, String... more) {
        registration.add(registry -> FunctionCounter.builder(prefix + name, source, next(value))
                .tags(tags.and(more))
                .baseUnit(unit)
                .description(description)
                .register(registry));
    }

    /**
     * Registers what goes up and down.
     *
     * @param unit plural, the end of the name
     * @param more tags: key, value, ...
     */
    void gauge(String name, String unit, String description, ToDoubleFunction<S> value, String... more) {
        registration.add(registry -> Gauge.builder(prefix + name, source, next(value))
                .tags(tags.and(more))
                .baseUnit(unit)
                .description(description)
                .register(registry));
    }

    private ToDoubleFunction<T> next(ToDoubleFunction<S> value) {
        int reader = snapshots.newReader();
        Snapshots<T, S> from = snapshots; // not this, which refers to the source
        return present -> value.applyAsDouble(from.next(present, reader));
    }
}
