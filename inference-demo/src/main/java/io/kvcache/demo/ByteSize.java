package io.kvcache.demo;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Reads sizes such as 256MiB, and writes them for people.
 *
 * <p>Thread-safe: stateless.
 */
public final class ByteSize implements ITypeConverter<Long> {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,18})\\s*(B|KiB|MiB|GiB|TiB)?");
    private static final List<String> UNITS = List.of("B", "KiB", "MiB", "GiB", "TiB");

    /** Makes a reader of sizes. */
    public ByteSize() {}

    @Override
    public Long convert(String text) {
        Matcher matcher = SIZE.matcher(text.strip());
        if (matcher.matches()) {
            String unit = matcher.group(2) == null ? "B" : matcher.group(2);
            long bytes = Long.parseLong(matcher.group(1));
            int shift = 10 * UNITS.indexOf(unit);
            if (bytes > 0 && bytes <= Long.MAX_VALUE >> shift) {
                return bytes << shift;
            }
        }
        throw new TypeConversionException(
                "'" + text + "' is not a size: a positive number with B, KiB, MiB, GiB or TiB, for example 256MiB");
    }

    /** Writes a size in the largest unit of which there is at least one. */
    public static String text(long bytes) {
        int unit = 0;
        double value = bytes;
        while (value >= 1024 && unit < UNITS.size() - 1) {
            value /= 1024;
            unit++;
        }
        return unit == 0 ? bytes + " B" : String.format("%.1f %s", value, UNITS.get(unit));
    }
}
