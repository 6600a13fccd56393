package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Retention;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.CachedEpochClock;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class SnapshotTest {
    private static final long BLOCK_BYTES = 5000;
    private static final int BLOCKS = 6;
    private static final String MODEL = "model \u00e4";
    private static final String LAYOUT = "layers=2 ".repeat(400); // a head of two pages

    @TempDir
    Path directory;

    private final CachedEpochClock epochClock = new CachedEpochClock();
    private Path path = Path.of("");

    @BeforeEach
    void setPath() {
        path = directory.resolve("snapshot");
    }

    private SnapshotWriter create() throws IOException {
        return SnapshotWriter.create(path, MODEL, LAYOUT, BLOCK_BYTES, Blocks.TOKENS, BLOCKS);
    }

    private SnapshotReader open() throws IOException {
        return SnapshotReader.open(path, MODEL, LAYOUT, epochClock);
    }

    /** Four blocks of a, one of b. */
    private void write() throws IOException {
        try (SnapshotWriter writer = create()) {
            for (int i = 0; i < 4; i++) {
                assertTrue(store(writer, Blocks.key("a", i)));
            }
            assertTrue(store(writer, Blocks.key("b", 0)));
            assertTrue(names().stream().anyMatch(name -> name.matches("snapshot\\.[0-9a-f]{16}\\.tmp")));
            writer.finish();
        }
        assertEquals(List.of("snapshot"), names());
    }

    private static boolean store(SnapshotWriter writer, BlockKey key) throws IOException {
        return writer.store(key, BlockNote.DEFAULT, Blocks.block(key, BLOCK_BYTES));
    }

    private List<String> names() throws IOException {
        try (var paths = Files.list(directory)) {
            return paths.map(each -> each.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void shouldFindWhatWasWritten() throws IOException {
        write();
        try (SnapshotReader reader = open()) {
            assertEquals(5, reader.size());
            for (int i = 0; i < 5; i++) {
                assertEquals(i < 4, Blocks.load(reader, Blocks.key("a", i), BLOCK_BYTES));
                assertEquals(i < 1, Blocks.load(reader, Blocks.key("b", i), BLOCK_BYTES));
            }
            List<BlockKey> keys = List.of(Blocks.key("a", 0), Blocks.key("a", 1), Blocks.key("b", 1));
            assertEquals(2, reader.held(keys));
            BlockKey key = Blocks.key("c", 1);
            assertFalse(reader.store(key, BlockNote.DEFAULT, Blocks.block(key, BLOCK_BYTES)));
        }
    }

    @Test
    void shouldReplaceAnOlderSnapshotAsAWhole() throws IOException {
        write();
        try (SnapshotWriter abandoned = create()) {
            store(abandoned, Blocks.key("c", 0));
        }
        try (SnapshotReader reader = open()) {
            assertEquals(5, reader.size());
        }
        try (SnapshotWriter writer = create()) {
            writer.finish();
            assertThrows(IOException.class, writer::finish);
            assertThrows(IOException.class, () -> store(writer, Blocks.key("c", 0)));
        }
        assertEquals(List.of("snapshot"), names());
        try (SnapshotReader reader = open()) {
            assertEquals(0, reader.size());
        }
    }

    @Test
    void shouldTakeAsManyBlocksAsWereAnnounced() throws IOException {
        try (SnapshotWriter writer = create()) {
            assertFalse(store(writer, Blocks.key("n".repeat(5000), 1)));
            for (int i = 0; i < BLOCKS + 1; i++) {
                assertEquals(i < BLOCKS, store(writer, Blocks.key("a", i)));
            }
            BlockKey key = Blocks.key("a", 9);
            assertEquals(
                    "block has another size: bytes=8 blockBytes=5000",
                    assertThrows(
                                    IllegalArgumentException.class,
                                    () -> writer.store(key, BlockNote.DEFAULT, Blocks.block(key, 8)))
                            .getMessage());
            writer.finish();
        }
        try (SnapshotReader reader = open()) {
            assertEquals(BLOCKS, reader.size());
        }
    }

    @Test
    void shouldKeepNotesAndForgetWhatIsExpired() throws IOException {
        BlockNote note = new BlockNote(true, Retention.DEFAULT.withTtl(Duration.ofMillis(5)), 10);
        BlockKey key = Blocks.key("a", 1);
        try (SnapshotWriter writer = create()) {
            writer.store(key, note, Blocks.block(key, BLOCK_BYTES));
            writer.finish();
        }
        try (SnapshotReader reader = open()) {
            epochClock.update(14);
            assertEquals(note, Blocks.loadNote(reader, key, BLOCK_BYTES));
            epochClock.update(15);
            assertFalse(Blocks.load(reader, key, BLOCK_BYTES));
        }
    }

    @Test
    void shouldRefuseWhatItIsNotFor() throws IOException {
        write();
        assertEquals(
                "snapshot has another model: file=" + path + " model=" + MODEL + " wanted=other",
                message(() -> SnapshotReader.open(path, "other", LAYOUT, epochClock)));
        assertEquals(
                "snapshot has another layout: file=" + path + " layout=" + LAYOUT + " wanted=",
                message(() -> SnapshotReader.open(path, MODEL, "", epochClock)));
        byte[] bytes = Files.readAllBytes(path);
        change(bytes, 8, 2);
        assertEquals(
                "no snapshot that can be read: file=" + path + ": page has another version: version=2 wanted=1",
                message(this::open));
        change(bytes, 5000, 99);
        assertTrue(message(this::open).contains("page is damaged: checksum="));
        change(bytes, 0, 0);
        assertTrue(message(this::open).contains("page is none of ours: magic="));
        Files.write(path, new byte[17]);
        assertTrue(message(this::open).contains("file ends early"));
    }

    private void change(byte[] bytes, int at, int value) throws IOException {
        byte[] changed = bytes.clone();
        changed[at] = (byte) value;
        Files.write(path, changed);
    }

    private interface Opening {
        AutoCloseable open() throws IOException;
    }

    private static String message(Opening opening) {
        return String.valueOf(assertThrows(IOException.class, opening::open).getMessage());
    }

    @Test
    void shouldEraseForGood() throws IOException {
        write();
        try (SnapshotReader reader = open()) {
            reader.remove(Blocks.key("a", 3));
            assertFalse(Blocks.load(reader, Blocks.key("a", 3), BLOCK_BYTES));
            reader.erase("a");
            assertEquals(1, reader.size());
        }
        try (SnapshotReader reader = open()) {
            assertEquals(1, reader.size());
            assertTrue(Blocks.load(reader, Blocks.key("b", 0), BLOCK_BYTES));
        }
        byte[] bytes = Files.readAllBytes(path);
        for (int i = 8192; i < 8192 + 4 * 3 * 4096; i++) {
            assertEquals(0, bytes[i]);
        }
    }

    @Test
    void shouldMissWhatIsDamaged() throws IOException {
        write();
        byte[] bytes = Files.readAllBytes(path);
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < 200; i++) {
            int slot = random.nextInt(5);
            int at = random.nextBoolean() ? random.nextInt(5000) : 8192 + random.nextInt(4096);
            byte[] changed = bytes.clone();
            changed[8192 + slot * 12288 + at] ^= (byte) (1 << random.nextInt(8));
            Files.write(path, changed);
            try (SnapshotReader reader = open()) {
                for (int j = 0; j < 4; j++) {
                    assertEquals(j != slot, Blocks.load(reader, Blocks.key("a", j), BLOCK_BYTES));
                }
            }
        }
    }

    @Test
    void shouldLeaveNothingBehindWhateverCallFails() throws IOException {
        SegmentHead head = new SegmentHead(0, 1, SlotShape.of(BLOCK_BYTES, Blocks.TOKENS), BLOCKS, MODEL, LAYOUT);
        int failures = 0;
        for (int failing = 0; ; failing++) {
            int number = failing;
            FaultyFiles files = new FaultyFiles(new NativeFileAccess());
            files.behave((call, bytes) -> {
                if (call.number() == number) {
                    throw new IOException("errno=28");
                }
                return bytes;
            });
            try (SnapshotWriter writer = SnapshotWriter.create(path, head, files)) {
                for (int i = 0; i < 3; i++) {
                    store(writer, Blocks.key("a", i));
                }
                writer.finish();
            } catch (IOException e) {
                failures++;
            }
            assertEquals(0, files.openFiles());
            assertFalse(names().contains("snapshot.0000000000000001.tmp"), "left behind after call " + number);
            if (files.calls() <= number) {
                break;
            }
            Files.deleteIfExists(path);
        }
        assertTrue(failures > 8, "failures=" + failures);
    }

    @Test
    void shouldLetTwoWriteTheSameSnapshotAtOnce() throws IOException {
        write();
        try (SnapshotWriter first = create();
                SnapshotWriter second = create()) {
            SnapshotWriter abandoned = create();
            store(first, Blocks.key("a", 0));
            store(second, Blocks.key("b", 0));
            store(second, Blocks.key("b", 1));
            store(abandoned, Blocks.key("c", 0));
            abandoned.close();
            first.finish();
            try (SnapshotReader reader = open()) {
                assertEquals(1, reader.size());
                assertTrue(Blocks.load(reader, Blocks.key("a", 0), BLOCK_BYTES));
            }
            second.finish();
        }
        try (SnapshotReader reader = open()) {
            assertEquals(2, reader.size());
            assertTrue(Blocks.load(reader, Blocks.key("b", 1), BLOCK_BYTES));
        }
        assertEquals(List.of("snapshot"), names());
    }

    @Test
    void shouldEraseWhatAnEraseThatWasCutShortHasLeft() throws IOException {
        write();
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        files.behave((call, bytes) -> {
            if (call.kind() == FaultyFiles.Kind.WRITE && call.position() == 8192) {
                throw new IOException("errno=5"); // after the header, before the block
            }
            return bytes;
        });
        try (SnapshotReader reader = SnapshotReader.open(path, MODEL, LAYOUT, epochClock, files)) {
            assertEquals(
                    "blocks may still be there: file=" + path + " slots=[0]: errno=5",
                    assertThrows(IOException.class, () -> reader.remove(Blocks.key("a", 0)))
                            .getMessage());
        }
        try (SnapshotReader reader = open()) {
            assertEquals(4, reader.size());
            reader.erase("a");
        }
        byte[] bytes = Files.readAllBytes(path);
        for (int i = 8192; i < 8192 + 4 * 3 * 4096; i++) {
            assertEquals(0, bytes[i]);
        }
    }

    @Test
    void shouldNotEraseInAFileThatHasTakenItsPlace() throws IOException {
        write();
        try (SnapshotReader reader = open()) {
            write();
            byte[] before = Files.readAllBytes(path);
            String message = String.valueOf(
                    assertThrows(IOException.class, () -> reader.erase("a")).getMessage());
            assertTrue(message.contains(": snapshot was replaced by another: file=" + path + " incarnation="), message);
            assertEquals(-1, Arrays.mismatch(before, Files.readAllBytes(path)));
            assertFalse(Blocks.load(reader, Blocks.key("a", 0), BLOCK_BYTES));
            assertTrue(Blocks.load(reader, Blocks.key("b", 0), BLOCK_BYTES));
        }
    }

    @Test
    @Timeout(60)
    void shouldNotWaitForTheFile() throws Exception {
        write();
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        SnapshotReader reader = SnapshotReader.open(path, MODEL, LAYOUT, epochClock, files);
        CountDownLatch reached = new CountDownLatch(2);
        CountDownLatch opened = new CountDownLatch(1);
        files.behave((call, bytes) -> {
            boolean block = call.kind() == FaultyFiles.Kind.READ && call.position() >= 8192;
            if (block || call.kind() == FaultyFiles.Kind.WRITE) {
                reached.countDown();
                awaitUninterruptibly(opened);
            }
            return bytes;
        });
        try (ExecutorService threads = Executors.newCachedThreadPool()) {
            Future<Boolean> load = threads.submit(() -> Blocks.load(reader, Blocks.key("b", 0), BLOCK_BYTES));
            Future<Boolean> erase = threads.submit(() -> {
                reader.erase("a");
                return true;
            });
            Future<Boolean> others = threads.submit(() -> {
                reached.await();
                assertEquals(1, reader.held(List.of(Blocks.key("b", 0))));
                assertEquals(0, reader.held(List.of(Blocks.key("a", 0))));
                reader.close();
                reader.close();
                assertThrows(IOException.class, () -> reader.held(List.of()));
                return true;
            });
            try {
                assertTrue(others.get(20, TimeUnit.SECONDS));
                assertEquals(2, files.openFiles());
            } finally {
                opened.countDown();
            }
            assertTrue(load.get() && erase.get());
        }
        assertEquals(0, files.openFiles());
        assertFalse(Blocks.isInFiles(directory, Blocks.key("a", 0)));
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
