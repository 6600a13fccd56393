package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files are damaged, below a store that is open and before one is opened. */
class DamagedFilesTest {
    private static final int FILES = 500;
    private static final int SLOTS = 8;
    private static final int BLOCK_BYTES = 5000; // and 3192 bytes of padding
    private static final int SLOT_BYTES = 3 * 4096;
    private static final int HEADER = 2 * 4096; // in a slot
    private static final int FILE_BYTES = 4096 + SLOTS * SLOT_BYTES;

    @TempDir
    Path directory;

    private SplittableRandom random = new SplittableRandom();

    private static DiskOptions options() {
        return DiskOptions.of(FILE_BYTES);
    }

    private Path file() {
        return directory.resolve(SegmentNames.of(0));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void shouldMissWhatIsDamaged(boolean whileOpen) throws IOException {
        random = new SplittableRandom(whileOpen ? 1 : 2);
        byte[] older;
        byte[] newer;
        try (DiskStore store = DiskStore.open(directory, options())) {
            store("old", store);
            older = Files.readAllBytes(file());
            store("new", store);
            newer = Files.readAllBytes(file());
        }
        assertEquals(FILE_BYTES, newer.length);
        long met = 0;
        for (int i = 0; i < FILES / 2; i++) {
            byte[] damaged = newer.clone();
            int length = damage(damaged, older);
            met += whileOpen ? damageWhileOpen(newer, damaged, length) : damageBefore(newer, damaged, length);
        }
        assertTrue(met > FILES / 3, "met=" + met);
    }

    private void store(String namespace, DiskStore store) throws IOException {
        for (int i = 0; i < SLOTS; i++) {
            assertTrue(Blocks.store(store, Blocks.key(namespace, i), BLOCK_BYTES));
        }
    }

    /** Damages a file in one of many ways and returns its new length. */
    private int damage(byte[] file, byte[] older) {
        int from = random.nextInt(file.length);
        int to = Math.min(file.length, from + 1 + random.nextInt(SLOT_BYTES * 2));
        switch (random.nextInt(8)) {
            case 0 -> file[from] ^= (byte) (1 << random.nextInt(8));
            case 1 -> { // a bit of a header
                int at = 4096 + random.nextInt(SLOTS) * SLOT_BYTES + HEADER + random.nextInt(200);
                file[at] ^= (byte) (1 << random.nextInt(8));
            }
            case 2 -> Arrays.fill(file, from, to, (byte) 0);
            case 3 -> System.arraycopy(older, from, file, from, to - from);
            case 4 -> { // a slot as it was before
                int at = 4096 + random.nextInt(SLOTS) * SLOT_BYTES;
                System.arraycopy(older, at, file, at, SLOT_BYTES);
            }
            case 5 -> {
                byte[] garbage = new byte[to - from];
                random.nextBytes(garbage);
                System.arraycopy(garbage, 0, file, from, garbage.length);
            }
            case 6 -> { // two slots change places
                int one = 4096 + random.nextInt(SLOTS) * SLOT_BYTES;
                int other = 4096 + random.nextInt(SLOTS) * SLOT_BYTES;
                byte[] kept = Arrays.copyOfRange(file, one, one + SLOT_BYTES);
                System.arraycopy(file, other, file, one, SLOT_BYTES);
                System.arraycopy(kept, 0, file, other, SLOT_BYTES);
            }
            default -> {
                return from;
            }
        }
        return file.length;
    }

    private long damageWhileOpen(byte[] file, byte[] damaged, int length) throws IOException {
        Files.write(file(), file);
        try (DiskStore store = DiskStore.open(directory, options())) {
            write(damaged, length);
            int lost = 0;
            for (int i = 0; i < SLOTS; i++) {
                boolean intact = isIntact(file, damaged, length, i);
                assertEquals(intact, Blocks.load(store, Blocks.key("new", i), BLOCK_BYTES), "block " + i);
                assertFalse(Blocks.load(store, Blocks.key("old", i), BLOCK_BYTES));
                lost += intact ? 0 : 1;
            }
            assertEquals(lost, store.stats().corrupt());
            assertEquals(SLOTS - lost, store.stats().blocks());
            store("next", store);
            for (int i = 0; i < SLOTS; i++) {
                assertTrue(Blocks.load(store, Blocks.key("next", i), BLOCK_BYTES));
            }
            store.verify();
            return lost;
        }
    }

    private long damageBefore(byte[] file, byte[] damaged, int length) throws IOException {
        Files.deleteIfExists(directory.resolve(SegmentNames.of(1))); // made when the other one was of no use
        write(damaged, length);
        boolean headIntact = Arrays.equals(file, 0, 4096, damaged, 0, 4096) && length >= 4096;
        try (DiskStore store = DiskStore.open(directory, options())) {
            assertEquals(headIntact ? 1 : 0, store.stats().segments());
            for (int i = 0; i < SLOTS; i++) {
                boolean intact = headIntact && isIntact(file, damaged, length, i);
                assertEquals(intact, Blocks.load(store, Blocks.key("new", i), BLOCK_BYTES), "block " + i);
                Blocks.load(store, Blocks.key("old", i), BLOCK_BYTES); // as it was written once, or not at all
            }
            long met = store.stats().corrupt();
            store("next", store);
            for (int i = 0; i < SLOTS; i++) {
                assertTrue(Blocks.load(store, Blocks.key("next", i), BLOCK_BYTES));
            }
            store.verify();
            return met;
        }
    }

    /** Writes into the file that is there, as a fault would. */
    private void write(byte[] bytes, int length) throws IOException {
        try (var channel = Files.newByteChannel(file(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            channel.write(java.nio.ByteBuffer.wrap(bytes));
            channel.truncate(length);
        }
    }

    /** Whether block and header are as they were; nobody reads the padding between them. */
    private static boolean isIntact(byte[] file, byte[] damaged, int length, int slot) {
        int at = 4096 + slot * SLOT_BYTES;
        return at + SLOT_BYTES <= length
                && Arrays.equals(file, at, at + BLOCK_BYTES, damaged, at, at + BLOCK_BYTES)
                && Arrays.equals(file, at + HEADER, at + SLOT_BYTES, damaged, at + HEADER, at + SLOT_BYTES);
    }

    @Test
    void shouldLeaveFilesOfOthersAlone() throws IOException {
        Path other = Files.writeString(directory.resolve("segment-1.kv"), "not ours by name");
        Path named = Files.writeString(directory.resolve(SegmentNames.of(5)), "ours by name only");
        try (DiskStore store = DiskStore.open(directory, options())) {
            assertEquals(1, store.stats().corrupt());
            assertEquals(0, store.stats().usedBytes());
            assertTrue(Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES));
        }
        assertTrue(Files.exists(other));
        assertFalse(Files.exists(named));
        assertTrue(Files.exists(directory.resolve(SegmentNames.of(6))));
    }

    @Test
    void shouldNotServeASegmentUnderAnotherName() throws IOException {
        try (DiskStore store = DiskStore.open(directory, options())) {
            store("new", store);
        }
        Files.move(file(), directory.resolve(SegmentNames.of(1)));
        try (DiskStore store = DiskStore.open(directory, options())) {
            assertEquals(1, store.stats().corrupt());
            assertFalse(Blocks.load(store, Blocks.key("new", 1), BLOCK_BYTES));
        }
    }

    @Test
    void shouldEraseWhatIsUnderADamagedBlock() throws IOException {
        DiskOptions one = DiskOptions.of(4096 + SLOT_BYTES);
        try (DiskStore store = DiskStore.open(directory, one)) {
            Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES);
            byte[] before = Files.readAllBytes(file());
            Blocks.store(store, Blocks.key("b", 1), BLOCK_BYTES);
            byte[] after = Files.readAllBytes(file());
            System.arraycopy(before, 4096, after, 4096, HEADER); // as if the second write had been lost
            write(after, after.length);
            assertFalse(Blocks.load(store, Blocks.key("b", 1), BLOCK_BYTES));
            store.erase("a");
            byte[] erased = Files.readAllBytes(file());
            assertEquals(-1, Arrays.mismatch(new byte[HEADER], Arrays.copyOfRange(erased, 4096, 4096 + HEADER)));
            store.verify();
        }
    }

    @Test
    void shouldLeaveFilesOfALaterVersionAlone() throws IOException {
        try (DiskStore store = DiskStore.open(directory, options())) {
            store("new", store);
        }
        byte[] known = Files.readAllBytes(file());
        byte[] later = known.clone();
        later[8]++;
        write(later, later.length);
        try (DiskStore store = DiskStore.open(directory, options())) {
            assertEquals(1, store.stats().corrupt());
            assertEquals(FILE_BYTES, store.stats().usedBytes());
            assertFalse(Blocks.load(store, Blocks.key("new", 1), BLOCK_BYTES));
            assertFalse(Blocks.store(store, Blocks.key("new", 1), BLOCK_BYTES), "there is no room");
            String message =
                    assertThrows(IOException.class, () -> store.erase("new")).getMessage();
            assertEquals("namespace may still be there: namespace=new in [file=" + file() + "]", message);
            store.verify();
        }
        try (DiskStore store = DiskStore.open(directory, DiskOptions.of(2L * FILE_BYTES))) {
            store("next", store);
        }
        assertEquals(-1, Arrays.mismatch(later, Files.readAllBytes(file())));
        write(known, known.length);
        try (DiskStore store = DiskStore.open(directory, DiskOptions.of(2L * FILE_BYTES))) {
            assertTrue(Blocks.load(store, Blocks.key("new", 1), BLOCK_BYTES));
            assertTrue(Blocks.load(store, Blocks.key("next", 1), BLOCK_BYTES));
        }
    }
}
