package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.CachedEpochClock;
import org.agrona.concurrent.CachedNanoClock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every call to the file system fails in turn. */
class FailingFilesTest {
    private static final long SMALL = 4096;
    private static final long LARGE = 10_000;
    private static final int SLOTS = 4;
    private static final long SEGMENT_BYTES = 4096 + SLOTS * 8192;

    /** What happens to the call. */
    enum Failure {
        NO_SPACE,
        INPUT_OUTPUT,
        SHORT,
        INTERRUPT;

        long apply(long bytes) throws IOException {
            return switch (this) {
                case NO_SPACE -> throw new IOException("errno=28 (no space left on device)");
                case INPUT_OUTPUT -> throw new IOException("errno=5 (input/output error)");
                case SHORT -> (bytes + 2) / 3;
                case INTERRUPT -> {
                    Thread.currentThread().interrupt();
                    yield bytes;
                }
            };
        }
    }

    @TempDir
    Path directory;

    private final CachedNanoClock nanoClock = new CachedNanoClock();
    private boolean systemCalls = true;
    private boolean erased; // namespace a, and nothing of it was stored since
    private int exceptions;

    private interface Step {
        void run() throws IOException;
    }

    private DiskOptions options() {
        return DiskOptions.of(3 * SEGMENT_BYTES)
                .withSegmentBytes(SEGMENT_BYTES)
                .withSync(true)
                .withEpochClock(new CachedEpochClock())
                .withNanoClock(nanoClock);
    }

    @ParameterizedTest
    @EnumSource
    void shouldGoOnAfterAnySystemCallHasFailed(Failure failure) throws IOException {
        failInTurn(failure);
    }

    // An interrupt of a thread that nobody else knows is no case.
    @ParameterizedTest
    @EnumSource(names = {"NO_SPACE", "SHORT"})
    void shouldGoOnAfterAnyChannelHasFailed(Failure failure) throws IOException {
        systemCalls = false;
        failInTurn(failure);
    }

    private FaultyFiles newFiles() {
        return new FaultyFiles(systemCalls ? new NativeFileAccess() : new ChannelFileAccess());
    }

    private void failInTurn(Failure failure) throws IOException {
        int calls = runWithFailureAt(-1, failure, directory.resolve("none"));
        assertTrue(calls > 150, "calls=" + calls);
        for (int i = 0; i < calls; i++) {
            runWithFailureAt(i, failure, directory.resolve("failure-" + i));
            Thread.interrupted();
        }
        assertEquals(failure == Failure.NO_SPACE || failure == Failure.INPUT_OUTPUT, exceptions > 50);
    }

    private int runWithFailureAt(int failing, Failure failure, Path path) throws IOException {
        erased = false;
        FaultyFiles files = newFiles();
        files.behave((call, bytes) -> call.number() == failing ? failure.apply(bytes) : bytes);
        try {
            work(DiskStore.open(path, options(), files));
        } catch (IOException e) {
            exceptions++; // by open
        }
        assertEquals(0, files.openFiles(), "descriptors left open, failing call " + failing);
        int calls = files.calls();
        files = newFiles();
        files.behave((call, bytes) -> call.number() == failing - calls ? failure.apply(bytes) : bytes);
        DiskStore store = null;
        try {
            store = DiskStore.open(path, options(), files);
        } catch (IOException e) {
            exceptions++;
        }
        int more = files.calls();
        if (store != null) {
            checkErased(store);
            work(store);
            assertEquals(0, files.openFiles(), "descriptors left open, failing call " + failing);
        }
        try (DiskStore last = DiskStore.open(path, options(), newFiles())) {
            checkErased(last);
            checkCapacity(last);
        }
        return calls + more;
    }

    /** Once an erase has returned, nothing of the namespace is found any more, whatever happened before. */
    private void checkErased(DiskStore store) {
        for (int i = 0; i < 3; i++) {
            BlockKey key = Blocks.key("a", i);
            boolean[] found = new boolean[1];
            step(() -> found[0] = Blocks.load(store, key, SMALL));
            assertFalse(erased && found[0], "erased, and found again: " + key);
        }
    }

    private void work(DiskStore store) throws IOException {
        erased = false;
        for (int i = 0; i < 3; i++) {
            store(store, "a", i, SMALL);
            store(store, "b", i, LARGE);
        }
        step(() -> store.remove(Blocks.key("a", 0)));
        for (int i = 0; i < 3; i++) {
            load(store, "a", i, SMALL);
            load(store, "b", i, LARGE);
        }
        step(() -> {
            store.erase("a");
            erased = true;
        });
        checkErased(store);
        for (int i = 0; i < 3 * SLOTS; i++) {
            store(store, "c", i, SMALL); // evicts
        }
        checkErased(store);
        load(store, "c", 3 * SLOTS - 1, SMALL);
        store(store, "d", 1, 3 * LARGE); // takes the place of a segment
        nanoClock.advance(TimeUnit.SECONDS.toNanos(2));
        checkCapacity(store);
        step(store::close);
    }

    private void store(DiskStore store, String namespace, int number, long bytes) {
        step(() -> Blocks.store(store, Blocks.key(namespace, number), bytes));
    }

    private void load(DiskStore store, String namespace, int number, long bytes) {
        step(() -> Blocks.load(store, Blocks.key(namespace, number), bytes));
    }

    private void step(Step step) {
        try {
            step.run();
        } catch (IOException e) {
            exceptions++;
        }
    }

    /**
     * All slots that there are room for can be used, when nothing fails any more (or once, where the failure is due
     * just then).
     */
    private void checkCapacity(DiskStore store) throws IOException {
        boolean full = fill(store);
        if (!full) {
            nanoClock.advance(TimeUnit.SECONDS.toNanos(2));
            full = fill(store);
        }
        assertTrue(full, "slots were lost: " + store.stats());
        assertTrue(store.stats().usedBytes() <= store.stats().capacityBytes());
        store.verify();
    }

    private boolean fill(DiskStore store) {
        for (int i = 0; i < 3 * SLOTS; i++) {
            store(store, "full", i, SMALL);
        }
        int before = exceptions;
        int[] found = new int[1];
        for (int i = 0; i < 3 * SLOTS; i++) {
            BlockKey key = Blocks.key("full", i);
            step(() -> found[0] += Blocks.load(store, key, SMALL) ? 1 : 0);
        }
        return before == exceptions && found[0] >= SLOTS;
    }

    @Test
    void shouldGoOnWithWhatThereIsWhileTheDiskIsFull() throws IOException {
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store = DiskStore.open(directory, options(), files)) {
            for (int i = 0; i < SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), SMALL));
            }
            files.behave((call, bytes) ->
                    call.kind() == FaultyFiles.Kind.WRITE && call.path().endsWith(SegmentNames.of(1))
                            ? Failure.NO_SPACE.apply(bytes)
                            : bytes);
            assertTrue(Blocks.store(store, Blocks.key("a", SLOTS), SMALL));
            assertTrue(Blocks.store(store, Blocks.key("a", SLOTS + 1), SMALL));
            assertEquals(1, store.stats().growthFailures());
            assertEquals(2, store.stats().evicted());
            assertEquals(SEGMENT_BYTES, store.stats().usedBytes());
            assertFalse(Files.exists(directory.resolve(SegmentNames.of(1))));
            String message =
                    String.valueOf(assertThrows(IOException.class, () -> Blocks.store(store, Blocks.key("b", 0), LARGE))
                            .getMessage());
            assertTrue(message.startsWith("no segment could be created a moment ago: directory="), message);

            files.behave(FaultyFiles.Behaviour.WELL);
            assertTrue(Blocks.store(store, Blocks.key("a", SLOTS + 2), SMALL));
            assertEquals(3, store.stats().evicted());
            nanoClock.advance(TimeUnit.SECONDS.toNanos(1));
            assertTrue(Blocks.store(store, Blocks.key("a", SLOTS + 3), SMALL));
            assertTrue(Blocks.store(store, Blocks.key("b", 0), LARGE));
            assertEquals(3, store.stats().evicted());
            assertEquals(3, store.stats().segments());
        }
    }

    @Test
    void shouldUseOtherSlotsWhileOneCannotBeWritten() throws IOException {
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store =
                DiskStore.open(directory, DiskOptions.of(SEGMENT_BYTES).withNanoClock(nanoClock), files)) {
            for (int i = 0; i < SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), SMALL));
            }
            long bad = 4096; // the first slot, that of the least recently used block
            files.behave((call, bytes) -> call.kind() == FaultyFiles.Kind.WRITE && call.position() == bad
                    ? Failure.INPUT_OUTPUT.apply(bytes)
                    : bytes);
            assertThrows(IOException.class, () -> Blocks.store(store, Blocks.key("b", 0), SMALL));
            for (int i = 1; i < 2 * SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("b", i), SMALL));
            }
            nanoClock.advance(TimeUnit.SECONDS.toNanos(1));
            assertThrows(IOException.class, () -> Blocks.store(store, Blocks.key("b", 0), SMALL));
            files.behave(FaultyFiles.Behaviour.WELL);
            nanoClock.advance(TimeUnit.SECONDS.toNanos(1));
            assertTrue(Blocks.store(store, Blocks.key("b", 0), SMALL));
            assertEquals(SLOTS, store.stats().blocks());
            store.verify();
        }
    }

    @Test
    void shouldGoOnWhereAShortTransferHasEnded() throws IOException {
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        files.behave((call, bytes) -> Failure.SHORT.apply(bytes));
        for (int run = 0; run < 2; run++) {
            try (DiskStore store = DiskStore.open(directory, options(), files)) {
                assertEquals(run == 1, Blocks.load(store, Blocks.key("a", 0), LARGE));
                assertTrue(Blocks.store(store, Blocks.key("a", 0), LARGE));
                assertTrue(Blocks.load(store, Blocks.key("a", 0), LARGE));
                assertEquals(0, store.stats().corrupt());
            }
        }
    }

    @Test
    void shouldSayWhyThereIsNoFirstSegment() throws IOException {
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store = DiskStore.open(directory, options(), files)) {
            files.behave(
                    (call, bytes) -> call.kind() == FaultyFiles.Kind.WRITE ? Failure.NO_SPACE.apply(bytes) : bytes);
            String message = assertThrows(IOException.class, () -> Blocks.store(store, Blocks.key("a", 0), SMALL))
                    .getMessage();
            assertEquals("errno=28 (no space left on device)", message);
            assertEquals(0, store.stats().usedBytes());
        }
    }

    private static FaultyFiles.Behaviour failing(FaultyFiles.Kind kind) {
        return (call, bytes) -> call.kind() == kind ? Failure.INPUT_OUTPUT.apply(bytes) : bytes;
    }

    @Test
    void shouldLoseOneSegmentOnlyWhenFilesCannotBeDeletedAtTheStart() throws IOException {
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store = DiskStore.open(directory, options(), files)) {
            for (int i = 0; i < 3 * SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), SMALL));
            }
        }
        DiskOptions smaller = DiskOptions.of(2 * SEGMENT_BYTES)
                .withSegmentBytes(SEGMENT_BYTES)
                .withNanoClock(nanoClock);
        files.behave(failing(FaultyFiles.Kind.DELETE));
        try (DiskStore store = DiskStore.open(directory, smaller, files)) {
            assertEquals(2, store.stats().segments());
            assertEquals(3 * SEGMENT_BYTES, store.stats().usedBytes());
            files.behave(FaultyFiles.Behaviour.WELL);
            assertTrue(Blocks.store(store, Blocks.key("b", 0), SMALL));
            assertEquals(2 * SEGMENT_BYTES, store.stats().usedBytes());
            assertEquals(SLOTS + 1, store.stats().evicted());
            store.verify();
        }
    }

    @Test
    void shouldLoseOneSegmentAtATimeWhileFilesCannotBeDeleted() throws IOException {
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store = DiskStore.open(directory, options(), files)) {
            for (int i = 0; i < 3 * SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), SMALL));
            }
            files.behave(failing(FaultyFiles.Kind.DELETE));
            for (int second = 0; second < 2; second++) {
                for (int i = 0; i < 3; i++) {
                    assertThrows(IOException.class, () -> Blocks.store(store, Blocks.key("b", 0), LARGE));
                }
                assertEquals(2 - second, store.stats().segments());
                assertEquals(3 * SEGMENT_BYTES, store.stats().usedBytes());
                nanoClock.advance(TimeUnit.SECONDS.toNanos(1));
            }
            files.behave(FaultyFiles.Behaviour.WELL);
            assertTrue(Blocks.store(store, Blocks.key("b", 0), LARGE));
            assertTrue(Blocks.load(store, Blocks.key("a", 3 * SLOTS - 1), SMALL));
            store.verify();
        }
    }

    @Test
    void shouldLoseNothingForAFileThatCannotBeDeleted() throws IOException {
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store = DiskStore.open(directory, options(), files)) {
            for (int i = 0; i < 3 * SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), SMALL));
            }
        }
        Files.write(directory.resolve(SegmentNames.of(9)), new byte[5000]); // damaged
        files.behave(failing(FaultyFiles.Kind.DELETE));
        try (DiskStore store = DiskStore.open(directory, options(), files)) {
            assertEquals(3 * SLOTS, store.stats().blocks());
            assertEquals(3 * SEGMENT_BYTES + 5000, store.stats().usedBytes());
        }
    }
}
