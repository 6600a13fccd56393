package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** One store writes; others may read. */
@Timeout(60)
class DirectoryOwnershipTest {
    private static final long BLOCK_BYTES = 4096;
    private static final DiskOptions OPTIONS = DiskOptions.of(4096 + 16 * 8192);
    private static final BlockKey KEY = Blocks.key("a", 1);

    @TempDir
    Path directory;

    @Test
    void shouldRefuseASecondStoreInTheProcess() throws IOException {
        Path link = Files.createSymbolicLink(directory.resolve("link"), Files.createDirectory(directory.resolve("d")));
        try (DiskStore store = DiskStore.open(directory.resolve("d"), OPTIONS)) {
            for (int i = 0; i < 2; i++) { // the first refusal must not take the lock away
                String message = assertThrows(IOException.class, () -> DiskStore.open(link, OPTIONS))
                        .getMessage();
                assertEquals(
                        inUse(directory.resolve("d"), ProcessHandle.current().pid()), message);
            }
            assertTrue(Blocks.store(store, KEY, BLOCK_BYTES));
        }
        DiskStore.open(link, OPTIONS).close();
    }

    private static String inUse(Path path, long pid) throws IOException {
        return "directory is in use by another store: directory=" + path.toRealPath() + " pid=" + pid;
    }

    @Test
    void shouldRefuseAnotherProcess() throws Exception {
        Process holder = start(true, "hold");
        try {
            assertEquals('1', holder.getInputStream().read());
            String message = assertThrows(IOException.class, () -> DiskStore.open(directory, OPTIONS))
                    .getMessage();
            assertEquals(inUse(directory, holder.pid()), message);
            try (DiskStore reader = DiskStore.open(directory, OPTIONS.withReadOnly(true))) {
                assertTrue(Blocks.load(reader, KEY, BLOCK_BYTES));
            }
        } finally {
            holder.destroyForcibly().waitFor();
        }
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            assertTrue(Blocks.load(store, KEY, BLOCK_BYTES));
        }
    }

    @Test
    void shouldPrintNothingWhereNativeAccessIsNotEnabled() throws Exception {
        for (boolean enabled : new boolean[] {false, true}) {
            Process process = start(enabled, "end");
            String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            String errors = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(0, process.waitFor(), errors);
            assertEquals("", errors);
            assertEquals(enabled ? "1 system calls" : "1 channels", printed);
        }
    }

    private Process start(boolean nativeAccess, String mode) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Holder.class.getName(),
                directory.toString(),
                mode));
        if (nativeAccess) {
            command.add(1, "--enable-native-access=ALL-UNNAMED");
        }
        return new ProcessBuilder(command).start();
    }

    /** Holds a directory, in a process of its own. */
    static final class Holder {
        private Holder() {}

        /** Stores a block, says so, and ends or waits. */
        public static void main(String[] arguments) throws IOException {
            DiskStore store = DiskStore.open(Path.of(arguments[0]), OPTIONS);
            Blocks.store(store, KEY, BLOCK_BYTES);
            System.out.print(Blocks.load(store, KEY, BLOCK_BYTES) ? "1" : "0");
            System.out.flush();
            if (arguments[1].equals("hold")) {
                System.in.read();
            }
            store.close();
            System.out.print(NativeFileAccess.isEnabled() ? " system calls" : " channels");
        }
    }

    @Test
    void shouldWriteNothingWhenReadOnly() throws IOException {
        DiskOptions readOnly = OPTIONS.withReadOnly(true);
        assertThrows(IOException.class, () -> DiskStore.open(directory.resolve("missing"), readOnly));
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
        }
        Path file = directory.resolve(SegmentNames.of(0));
        Path damaged = Files.write(directory.resolve(SegmentNames.of(1)), new byte[5000]);
        byte[] before = Files.readAllBytes(file);
        try (DiskStore store = DiskStore.open(directory, readOnly)) {
            assertTrue(Blocks.load(store, KEY, BLOCK_BYTES));
            assertEquals(1, store.held(List.of(KEY)));
            assertFalse(Blocks.store(store, Blocks.key("a", 2), BLOCK_BYTES));
            String message = "store is read-only: directory=" + directory;
            assertEquals(
                    message,
                    assertThrows(IOException.class, () -> store.erase("a")).getMessage());
            assertEquals(
                    message,
                    assertThrows(IOException.class, () -> store.remove(KEY)).getMessage());
            assertEquals(1, store.stats().corrupt());
        }
        assertEquals(-1, java.util.Arrays.mismatch(before, Files.readAllBytes(file)));
        assertTrue(Files.exists(damaged));
    }

    @Test
    void shouldReadOnlyRightBlocksWhileTheOwnerWrites() throws Exception {
        AtomicBoolean done = new AtomicBoolean();
        try (ExecutorService threads = Executors.newFixedThreadPool(2);
                DiskStore owner = DiskStore.open(directory, OPTIONS)) {
            for (int i = 0; i < 16; i++) {
                Blocks.store(owner, Blocks.key("a", i), BLOCK_BYTES);
            }
            Future<Integer> reader = threads.submit(() -> {
                int found = 0;
                for (int i = 0; i < 300; i++) {
                    try (DiskStore store = DiskStore.open(directory, OPTIONS.withReadOnly(true))) {
                        for (int number = 0; number < 40; number++) {
                            found += Blocks.load(store, Blocks.key("a", number), BLOCK_BYTES) ? 1 : 0;
                        }
                    }
                }
                done.set(true);
                return found;
            });
            SplittableRandom random = new SplittableRandom(3);
            while (!done.get()) {
                Blocks.store(owner, Blocks.key("a", random.nextInt(40)), BLOCK_BYTES);
            }
            assertTrue(reader.get() > 300, "found=" + reader.get());
            assertEquals(0, owner.stats().corrupt());
        }
    }
}
