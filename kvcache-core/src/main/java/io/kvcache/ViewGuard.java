package io.kvcache;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Ties views of a sequence to a lifetime shorter than that of the memory behind them: once the sequence lets go of a
 * block, every view handed out before throws {@link IllegalStateException} in place of reading somebody else's block. For
 * debugging: each expiry stops all threads for a moment, and the JVM wants {@code --enable-native-access} for it.
 *
 * <p>Thread-safe but for {@link #expire} and {@link #close}, which belong to the thread that has the sequence.
 */
final class ViewGuard implements AutoCloseable {
    private volatile Arena arena = Arena.ofShared();

    @SuppressWarnings("restricted") // shortens the life of a segment, which is safe
    MemorySegment tie(MemorySegment view) {
        return view.reinterpret(arena, null);
    }

    @SuppressWarnings("MustBeClosedChecker") // the next expire or close closes it
    void expire() {
        Arena old = arena;
        arena = Arena.ofShared();
        old.close();
    }

    @Override
    public void close() {
        arena.close();
    }
}
