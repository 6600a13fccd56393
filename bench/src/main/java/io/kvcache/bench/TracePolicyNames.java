package io.kvcache.bench;

import java.util.Iterator;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * The names of policies on the command line, in upper or lower case.
 *
 * <p>Thread-safe: stateless.
 */
final class TracePolicyNames implements ITypeConverter<TracePolicy>, Iterable<String> {
    static final List<TracePolicy> ALL = Stream.<TracePolicy>concat(
                    Stream.of(ReplayPolicy.values()), Stream.of(OfflinePolicy.values()))
            .toList();

    @Override
    public TracePolicy convert(String text) {
        return ALL.stream()
                .filter(policy -> policy.name().equalsIgnoreCase(text))
                .findFirst()
                .orElseThrow(() -> new TypeConversionException("'" + text + "' is none of " + names()));
    }

    @Override
    public Iterator<String> iterator() {
        return names().iterator();
    }

    private static List<String> names() {
        return ALL.stream().map(TracePolicy::name).toList();
    }
}
