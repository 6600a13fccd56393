package io.kvcache.tiers;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Counts the bytes that files of a store take, and says whether there is room for another segment.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SlotLedger}.
 */
final class DiskSpace {
    /** How long what failed is left alone, if there is another way. */
    static final long PAUSE_NANOS = 1_000_000_000;

    private final long maximumBytes;
    private final long segmentBytes;
    private final Map<Path, Long> recovering = new HashMap<>(); // files not looked through yet, and their bytes
    private final Map<Path, Long> orphans = new LinkedHashMap<>(); // files still to be deleted, and their bytes
    private final Map<Path, Long> kept = new LinkedHashMap<>(); // files that stay, though not served, and their bytes
    private long usedBytes; // of segments, of those that are being created, and of the files above
    private final Pause creating = new Pause();
    private final Pause deleting = new Pause();

    /** What became of a file that was there. */
    enum Fate {
        SERVED,
        /** Deleted. */
        GONE,
        /** Of no use, and still to be deleted. */
        ORPHAN,
        /** Of no use to this program, but perhaps to another one: never deleted. */
        KEPT
    }

    /** Whether something failed a moment ago, and should not be tried again yet. */
    private static final class Pause {
        private boolean begun;
        private long begunAt;

        void begin(long nowNanos) {
            begun = true;
            begunAt = nowNanos;
        }

        boolean isOver(long nowNanos) {
            return !begun || nowNanos - begunAt >= PAUSE_NANOS;
        }
    }

    DiskSpace(long maximumBytes, long segmentBytes) {
        this.maximumBytes = maximumBytes;
        this.segmentBytes = segmentBytes;
    }

    long maximumBytes() {
        return maximumBytes;
    }

    long usedBytes() {
        return usedBytes;
    }

    /** Whether segments have to go. What cannot be deleted does not count: no other file makes up for it. */
    boolean isExceeded() {
        return usedBytes - sum(orphans) > maximumBytes;
    }

    private static long sum(Map<Path, Long> files) {
        return files.values().stream().mapToLong(Long::longValue).sum();
    }

    /** How many slots a new segment would have; 0 if there is no room for one. */
    int room(SlotShape shape) {
        long wanted = Math.max(1, (segmentBytes - SegmentHead.storeHeadBytes()) / shape.slotBytes());
        long fitting = Math.max(0, maximumBytes - usedBytes - SegmentHead.storeHeadBytes()) / shape.slotBytes();
        return (int) Math.min(Math.min(wanted, fitting), Integer.MAX_VALUE);
    }

    /** Whether there would be room for a slot if all segments were deleted. */
    boolean couldHold(SlotShape shape) {
        return bytes(shape, 1) + sum(orphans) + sum(kept) <= maximumBytes;
    }

    /** Counts a segment that is going to be created. */
    void reserve(SlotShape shape, int slots) {
        usedBytes += bytes(shape, slots);
    }

    /** Says that a segment could not be created; the path is that of a part of it that is still there. */
    void creatingFailed(SlotShape shape, int slots, @Nullable Path left, long nowNanos) {
        creating.begin(nowNanos);
        if (left != null) {
            orphans.put(left, bytes(shape, slots));
        } else {
            usedBytes -= bytes(shape, slots);
        }
    }

    private static long bytes(SlotShape shape, int slots) {
        return SegmentHead.storeHeadBytes() + slots * shape.slotBytes();
    }

    boolean isPaused(long nowNanos) {
        return !creating.isOver(nowNanos);
    }

    /** Whether deleting has not failed just now: what cannot be deleted makes no room, but is lost all the same. */
    boolean mayDelete(long nowNanos) {
        return deleting.isOver(nowNanos);
    }

    /** Says that a segment was deleted, or could not be, so that its file is still there. */
    void deleted(Segment segment, boolean gone, long nowNanos) {
        long bytes = segment.file.head().fileBytes();
        if (gone) {
            usedBytes -= bytes;
        } else {
            orphans.put(segment.file.path(), bytes);
            deleting.begin(nowNanos);
        }
    }

    List<Path> keptFiles() {
        return List.copyOf(kept.keySet());
    }

    List<Path> orphans() {
        return List.copyOf(orphans.keySet());
    }

    void orphanDeleted(Path path) {
        Long bytes = orphans.remove(path);
        usedBytes -= bytes == null ? 0 : bytes;
    }

    /** Counts a file that was there and is to be looked through. */
    void recover(FileAccess.Entry file) {
        recovering.put(file.path(), file.bytes());
        usedBytes += file.bytes();
    }

    int recoveringFiles() {
        return recovering.size();
    }

    /** Says that a file is a segment, which may be longer than the file is. */
    void recovered(Segment segment) {
        Long listedBytes = recovering.put(segment.file.path(), 0L);
        usedBytes += segment.file.head().fileBytes() - (listedBytes == null ? 0 : listedBytes);
    }

    /** Says what has become of a file that is being looked through. */
    void settle(Path path, Fate fate) {
        Long bytes = recovering.put(path, 0L);
        if (bytes == null) {
            throw new IllegalArgumentException("not being looked through: file=" + path);
        }
        switch (fate) {
            case SERVED, GONE -> usedBytes -= bytes; // a segment that is served was counted
            case ORPHAN -> orphans.put(path, bytes);
            case KEPT -> kept.put(path, bytes);
        }
    }

    /** Says that everything has been done about a file that was there. */
    void endRecovery(Path path) {
        recovering.remove(path);
    }

    /** Checks that all bytes are somebody's, those of segments among them. */
    void verify(long bytesOfSegments) {
        long bytes = bytesOfSegments + sum(orphans) + sum(kept) + sum(recovering);
        if (bytes != usedBytes) {
            throw new IllegalStateException(
                    "invariant broken: bytes are those of files: bytes=" + bytes + " usedBytes=" + usedBytes);
        }
    }
}
