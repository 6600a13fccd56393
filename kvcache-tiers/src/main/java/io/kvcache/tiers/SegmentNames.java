package io.kvcache.tiers;

import java.nio.file.Path;
import java.util.Collection;
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

    /** An id that no file has, and after which there are many more: behind the highest one, unless that is a stray. */
    static long firstUnused(Collection<FileAccess.Entry> segments) {
        long[] ids = segments.stream()
                .mapToLong(segment -> id(segment.path()))
                .sorted()
                .toArray();
        if (ids.length == 0) {
            return 0;
        }
        long best = 0;
        long mostFollowing = 0;
        for (int i = -1; i < ids.length; i++) {
            long last = i < 0 ? -1 : ids[i];
            long following = (i + 1 < ids.length ? ids[i + 1] - 1 : Long.MAX_VALUE) - last;
            if (following >= mostFollowing) {
                best = last + 1;
                mostFollowing = following;
            }
        }
        return best;
    }

    private static Matcher matcher(Path path) {
        return NAME.matcher(String.valueOf(path.getFileName()));
    }
}
