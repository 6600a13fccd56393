package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.kvcache.BlockKey;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void shouldLetNobodyElseReadItsFiles(boolean systemCalls) throws IOException {
        FileAccess access = systemCalls ? new NativeFileAccess() : new ChannelFileAccess();
        try (DiskStore store = DiskStore.open(directory, OPTIONS, access)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
        }
        assertEquals(
                "rw-------",
                PosixFilePermissions.toString(Files.getPosixFilePermissions(directory.resolve(SegmentNames.of(0)))));
    }

    @Test
    void shouldFailToReadWhatItMayNotOpen() throws IOException {
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
        }
        Files.copy(directory.resolve(SegmentNames.of(0)), directory.resolve(SegmentNames.of(1)));
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        files.behave((call, bytes) -> {
            if (call.kind() == FaultyFiles.Kind.OPEN) {
                throw new AccessDeniedException(call.path().toString());
            }
            return bytes;
        });
        DiskOptions readOnly = OPTIONS.withReadOnly(true);
        assertThrows(AccessDeniedException.class, () -> DiskStore.open(directory, readOnly, files));
        files.behave((call, bytes) -> {
            if (call.kind() == FaultyFiles.Kind.OPEN && call.path().endsWith(SegmentNames.of(1))) {
                throw new AccessDeniedException(call.path().toString());
            }
            return bytes;
        });
        try (DiskStore store = DiskStore.open(directory, readOnly, files)) {
            assertTrue(Blocks.load(store, KEY, BLOCK_BYTES));
            assertEquals(1, store.stats().corrupt());
        }
        assertEquals(0, files.openFiles());
    }

    @Test
    void shouldSayThatAccessWasDenied() {
        Path file = Path.of("/proc/sys/kernel/osrelease"); // not even root may write it
        assumeTrue(Files.exists(file));
        String message = assertThrows(
                        AccessDeniedException.class, () -> new NativeFileAccess().open(file, FileAccess.Opening.WRITE))
                .getMessage();
        assertEquals(file + ": system call failed: call=open errno=13 (permission denied)", message);
    }

    @Test
    void shouldLetGoOfTheDirectoryWhenAThreadCannotBeStarted() throws IOException {
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
        }
        Files.write(directory.resolve(SegmentNames.of(1)), new byte[5000]);
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        AtomicInteger started = new AtomicInteger();
        assertThrows(
                OutOfMemoryError.class,
                () -> DiskStore.open(directory, OPTIONS, files, task -> {
                    if (started.getAndIncrement() == 1) {
                        throw new OutOfMemoryError("unable to create native thread");
                    }
                    task.run();
                }));
        assertEquals(2, started.get());
        assertEquals(0, files.openFiles());
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            assertTrue(Blocks.load(store, KEY, BLOCK_BYTES));
        }
    }

    @Test
    void shouldNotTakeTheLockAwayFromOthersInTheProcess() throws Exception {
        Path file = directory.resolve(DirectoryLock.NAME);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            channel.lock();
            for (int i = 0; i < 2; i++) {
                assertEquals(
                        "directory is in use by others in this process: directory=" + directory.toRealPath(),
                        assertThrows(IOException.class, () -> DiskStore.open(directory, OPTIONS))
                                .getMessage());
            }
            Process other = start(true, "end");
            String errors = new String(other.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(1, other.waitFor());
            assertTrue(errors.contains("directory is in use by another store: directory="), errors);
        }
        DiskStore.open(directory, OPTIONS).close();
    }

    @Test
    void shouldBearARunNumberThatCannotBe() throws IOException {
        Files.writeString(directory.resolve(DirectoryLock.NAME), "pid=1 run=999999999\n");
        for (int i = 0; i < 2; i++) {
            try (DirectoryLock lock = DirectoryLock.acquire(directory)) {
                assertEquals((1 << 23) - 1, lock.run());
            }
        }
        try (DiskStore store = DiskStore.open(directory, OPTIONS)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            assertTrue(Blocks.load(store, KEY, BLOCK_BYTES));
        }
    }

    @Test
    void shouldSayThatADirectoryCannotBeListed() {
        Stream<Path> paths = Stream.generate(() -> {
            throw new UncheckedIOException(new IOException("errno=5"));
        });
        assertEquals(
                "directory could not be listed: java.io.IOException: errno=5",
                assertThrows(IOException.class, () -> FileAccess.entries(paths)).getMessage());
    }
}
