package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Retention;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whatever goes wrong with one file, the others are found. */
@Timeout(60)
class RecoveryTest {
    private static final long BLOCK_BYTES = 4096;
    private static final int FILES = 6;
    private static final int SLOTS = 2;
    private static final long SEGMENT_BYTES = 4096 + SLOTS * 8192;
    private static final DiskOptions OPTIONS = DiskOptions.of(FILES * SEGMENT_BYTES)
            .withSegmentBytes(SEGMENT_BYTES)
            .withRecoveryDeadline(Duration.ofSeconds(5));
    private static final BlockKey KEY = Blocks.key("a", 1);

    @TempDir
    Path directory;

    private final FaultyFiles files = new FaultyFiles(new NativeFileAccess());

    @Test
    void shouldFindOtherFilesWhateverOneThrows() throws IOException {
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            for (int i = 0; i < FILES * SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES));
            }
        }
        int bad = FILES - 1;
        files.behave((call, bytes) -> {
            boolean isBad = SegmentNames.isOurs(call.path()) && SegmentNames.id(call.path()) < bad;
            if (call.kind() == FaultyFiles.Kind.READ && call.position() > 0 && isBad) {
                throw new IllegalStateException("what nobody has thought of");
            }
            return bytes;
        });
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            files.behave(FaultyFiles.Behaviour.WELL);
            assertEquals(0, store.stats().recoveringSegments());
            assertEquals(bad, store.stats().corrupt());
            assertEquals(SLOTS, store.stats().blocks());
            store.verify();
            store.erase("a");
            assertEquals(SEGMENT_BYTES, store.stats().usedBytes());
            assertFalse(Blocks.isInFiles(directory, Blocks.key("a", 0)));
        }
        assertEquals(0, files.openFiles());
    }

    @Test
    void shouldKeepAFileThatIsServedWhateverComesAfter() throws IOException {
        BlockNote newer = new BlockNote(false, Retention.DEFAULT.withTtl(Duration.ofDays(9)), 1L << 42);
        Path file = directory.resolve(SegmentNames.of(0));
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            byte[] before = Files.readAllBytes(file);
            store.store(KEY, newer, Blocks.block(KEY, BLOCK_BYTES));
            byte[] after = Files.readAllBytes(file);
            System.arraycopy(before, 4096, after, 4096, 8192); // as if killed before the older one was overwritten
            Files.write(file, after);
        }
        files.behave((call, bytes) -> {
            if (call.kind() == FaultyFiles.Kind.WRITE) {
                throw new IllegalStateException("what nobody has thought of");
            }
            return bytes;
        });
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            files.behave(FaultyFiles.Behaviour.WELL);
            assertEquals(1, store.stats().blocks());
            assertTrue(Blocks.store(store, Blocks.key("b", 1), BLOCK_BYTES));
            assertTrue(Files.exists(file));
            assertEquals(newer, Blocks.loadNote(store, KEY, BLOCK_BYTES));
            store.verify();
            store.erase("a");
            assertFalse(Blocks.isInFiles(directory, KEY));
        }
    }
}
