package io.kvcache.tiers;

import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the files of a store are called.
 *
 * <p>Thread-safe: has no state.
 */
final class SegmentNames {
    private static final Pattern NAME = Pattern.compile("segment-([0-7][0-9a-f]{15})\\.kv");

    private SegmentNames() {}

    static String of(long id) {
        return String.format("segment-%016x.kv", id);
    }

    static boolean isOurs(Path path) {
        return matcher(path).matches();
    }

    /** The id in a name that is ours. */
    static long id(Path path) {
        Matcher matcher = matcher(path);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("not the name of a segment: file=" + path);
        }
        return Long.parseLong(matcher.group(1), 16);
    }

    private static Matcher matcher(Path path) {
        return NAME.matcher(String.valueOf(path.getFileName()));
    }
}
