package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls that meet each other. */
@Timeout(60)
class ConcurrentCallsTest {
    private static final long BLOCK_BYTES = 4096;
    private static final int SLOTS = 4;
    private static final long SEGMENT_BYTES = 4096 + SLOTS * 8192;
    private static final DiskOptions OPTIONS = DiskOptions.of(SEGMENT_BYTES);
    private static final BlockKey KEY = Blocks.key("a", 1);

    @TempDir
    Path directory;

    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final FaultyFiles files = new FaultyFiles(new NativeFileAccess());

    @AfterEach
    void endThreads() {
        threads.shutdownNow();
    }

    /** Holds calls of one kind until it is opened. */
    private static final class Gate implements FaultyFiles.Behaviour {
        private final FaultyFiles.Kind kind;
        private final CountDownLatch reached = new CountDownLatch(1);
        private final CountDownLatch opened = new CountDownLatch(1);
        private final AtomicInteger passed = new AtomicInteger();

        Gate(FaultyFiles.Kind kind) {
            this.kind = kind;
        }

        @Override
        public long before(FaultyFiles.Call call, long bytes) {
            if (call.kind() == kind) {
                reached.countDown();
                awaitUninterruptibly(opened);
                passed.incrementAndGet();
            }
            return bytes;
        }

        void awaitReached() {
            awaitUninterruptibly(reached);
        }

        void open() {
            opened.countDown();
        }

        private static void awaitUninterruptibly(CountDownLatch latch) {
            boolean interrupted = Thread.interrupted();
            try {
                latch.await();
            } catch (InterruptedException e) {
                interrupted = true;
                awaitUninterruptibly(latch);
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static void awaitWaiting(Thread thread) {
        while (thread.getState() != Thread.State.WAITING && thread.isAlive()) {
            Thread.onSpinWait();
        }
    }

    /** Starts a call and returns when it waits. */
    private <T> Future<T> startWaiting(Callable<T> call) throws InterruptedException {
        CountDownLatch started = new CountDownLatch(1);
        Thread[] thread = new Thread[1];
        Future<T> future = threads.submit(() -> {
            thread[0] = Thread.currentThread();
            started.countDown();
            return call.call();
        });
        started.await();
        awaitWaiting(thread[0]);
        return future;
    }

    private boolean erase(DiskStore store, String namespace) throws IOException {
        store.erase(namespace);
        return true;
    }

    private Gate gate(FaultyFiles.Kind kind) {
        Gate gate = new Gate(kind);
        files.behave(gate);
        return gate;
    }

    @Test
    void shouldShareSyncs() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS.withSync(true), files)) {
            Blocks.store(store, Blocks.key("a", 0), BLOCK_BYTES);
            Gate gate = gate(FaultyFiles.Kind.SYNC);
            Future<Boolean> first = threads.submit(() -> Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES));
            gate.awaitReached();
            Future<Boolean> second = startWaiting(() -> Blocks.store(store, Blocks.key("a", 2), BLOCK_BYTES));
            Future<Boolean> third = startWaiting(() -> Blocks.store(store, Blocks.key("a", 3), BLOCK_BYTES));
            assertFalse(first.isDone());
            assertFalse(Blocks.load(store, Blocks.key("a", 1), BLOCK_BYTES), "found before it was synced");
            gate.open();
            assertTrue(first.get() && second.get() && third.get());
            assertEquals(2, gate.passed.get());
            for (int i = 0; i < 4; i++) {
                assertTrue(Blocks.load(store, Blocks.key("a", i), BLOCK_BYTES));
            }
        }
    }

    @Test
    void shouldFailAllWhoSharedASyncThatFailed() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS.withSync(true), files)) {
            Blocks.store(store, Blocks.key("a", 0), BLOCK_BYTES);
            Gate gate = new Gate(FaultyFiles.Kind.SYNC);
            files.behave((call, bytes) -> {
                gate.before(call, bytes);
                if (call.kind() == FaultyFiles.Kind.SYNC && gate.passed.get() == 2) {
                    throw new IOException("device is gone");
                }
                return bytes;
            });
            Future<Boolean> first = threads.submit(() -> Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES));
            gate.awaitReached();
            Future<Boolean> second = startWaiting(() -> Blocks.store(store, Blocks.key("a", 2), BLOCK_BYTES));
            Future<Boolean> third = startWaiting(() -> Blocks.store(store, Blocks.key("a", 3), BLOCK_BYTES));
            gate.open();
            assertTrue(first.get());
            for (Future<Boolean> future : List.of(second, third)) {
                String message =
                        assertThrows(ExecutionException.class, future::get).getMessage();
                assertEquals("java.io.IOException: sync failed: device is gone", message);
            }
            assertFalse(Blocks.load(store, Blocks.key("a", 2), BLOCK_BYTES));
            store.verify();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void shouldNotHarmOthersByAnInterrupt(boolean systemCalls) throws Exception {
        FileAccess access = systemCalls ? new NativeFileAccess() : new ChannelFileAccess();
        try (DiskStore store = DiskStore.open(directory, OPTIONS, access)) {
            List<Future<Integer>> others = new ArrayList<>();
            for (int thread = 0; thread < 2; thread++) {
                others.add(threads.submit(() -> useOften(store, false)));
            }
            Future<Integer> interrupted = threads.submit(() -> useOften(store, true));
            for (Future<Integer> other : others) {
                assertTrue(other.get() > 0);
            }
            assertTrue(interrupted.get() > 0);
            Thread.currentThread().interrupt();
            store.erase("a");
            Blocks.store(store, KEY, BLOCK_BYTES);
            assertTrue(Blocks.load(store, KEY, BLOCK_BYTES));
            assertTrue(Thread.interrupted());
        }
    }

    private static int useOften(DiskStore store, boolean interrupted) throws IOException {
        int found = 0;
        for (int i = 0; i < 1000; i++) {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
            BlockKey key = Blocks.key("a", i % (2 * SLOTS));
            Blocks.store(store, key, BLOCK_BYTES);
            found += Blocks.load(store, key, BLOCK_BYTES) ? 1 : 0;
            if (interrupted && !Thread.interrupted()) {
                throw new AssertionError("the interrupt was lost");
            }
        }
        return found;
    }

    @Test
    void shouldNotReuseASlotThatIsRead() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            for (int i = 0; i < SLOTS; i++) {
                Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES);
            }
            Gate gate = gate(FaultyFiles.Kind.READ);
            Future<Boolean> reader = threads.submit(() -> Blocks.load(store, Blocks.key("a", 0), BLOCK_BYTES));
            gate.awaitReached();
            for (int i = 0; i < 2 * SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("b", i), BLOCK_BYTES));
            }
            assertEquals(1, store.held(List.of(Blocks.key("a", 0))));
            gate.open();
            assertTrue(reader.get());
        }
    }

    @Test
    void shouldDeclineWhenAllSlotsAreInUse() throws Exception {
        DiskOptions one = DiskOptions.of(4096 + 8192);
        try (DiskStore store = DiskStore.open(directory, one, files)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            Gate gate = gate(FaultyFiles.Kind.READ);
            Future<Boolean> reader = threads.submit(() -> Blocks.load(store, KEY, BLOCK_BYTES));
            gate.awaitReached();
            assertFalse(Blocks.store(store, Blocks.key("b", 1), BLOCK_BYTES));
            assertFalse(Blocks.store(store, Blocks.key("b", 1), 2 * BLOCK_BYTES));
            gate.open();
            assertTrue(reader.get());
        }
    }

    @Test
    void shouldEndReadsBeforeClosing() throws Exception {
        DiskStore store = DiskStore.open(directory, OPTIONS, files);
        Blocks.store(store, KEY, BLOCK_BYTES);
        Gate gate = gate(FaultyFiles.Kind.READ);
        Future<Boolean> reader = threads.submit(() -> Blocks.load(store, KEY, BLOCK_BYTES));
        gate.awaitReached();
        CountDownLatch closing = new CountDownLatch(1);
        Future<Boolean> closer = threads.submit(() -> {
            closing.countDown();
            store.close();
            return true;
        });
        closing.await();
        while (canBegin(store)) {
            Thread.onSpinWait();
        }
        assertEquals(1, files.openFiles());
        gate.open();
        assertTrue(reader.get());
        assertTrue(closer.get());
        assertEquals(0, files.openFiles());
    }

    private static boolean canBegin(DiskStore store) {
        try {
            store.held(List.of(KEY));
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    @Test
    void shouldEraseWhatIsBeingWritten() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            Blocks.store(store, Blocks.key("b", 1), BLOCK_BYTES);
            Gate gate = gate(FaultyFiles.Kind.WRITE);
            Future<Boolean> writer = threads.submit(() -> Blocks.store(store, KEY, BLOCK_BYTES));
            gate.awaitReached();
            Future<Boolean> eraser = startWaiting(() -> erase(store, "a"));
            assertFalse(eraser.isDone());
            gate.open();
            assertFalse(writer.get(), "stored what was erased meanwhile");
            eraser.get();
            assertFalse(Blocks.load(store, KEY, BLOCK_BYTES));
            assertTrue(Blocks.load(store, Blocks.key("b", 1), BLOCK_BYTES));
            assertFalse(contains(KEY), "bytes are still there");
            store.verify();
        }
    }

    @Test
    void shouldEraseWhatIsBeingRead() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            Gate gate = gate(FaultyFiles.Kind.READ);
            Future<Boolean> reader = threads.submit(() -> Blocks.load(store, KEY, BLOCK_BYTES));
            gate.awaitReached();
            Future<Boolean> eraser = startWaiting(() -> erase(store, "a"));
            assertEquals(0, store.held(List.of(KEY)));
            assertFalse(eraser.isDone());
            gate.open();
            assertTrue(reader.get());
            eraser.get();
            assertFalse(contains(KEY), "bytes are still there");
            store.verify();
        }
    }

    @Test
    void shouldWaitForReadersBeforeRemoving() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            Gate gate = gate(FaultyFiles.Kind.READ);
            Future<Boolean> reader = threads.submit(() -> Blocks.load(store, KEY, BLOCK_BYTES));
            gate.awaitReached();
            Future<Boolean> remover = startWaiting(() -> {
                store.remove(KEY);
                return true;
            });
            assertFalse(remover.isDone());
            gate.open();
            assertTrue(reader.get());
            remover.get();
            assertEquals(0, store.stats().corrupt());
            store.verify();
        }
    }

    @Test
    void shouldOverwriteWhatWasLeftOfErasedNamespaces() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            for (int i = 0; i < SLOTS; i++) {
                Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES);
            }
            store.remove(Blocks.key("a", 0));
            assertTrue(contains(Blocks.key("a", 0)), "removing overwrites the header only");
            store.erase("a");
            for (int i = 0; i < SLOTS; i++) {
                assertFalse(contains(Blocks.key("a", i)));
            }
            Blocks.store(store, KEY, BLOCK_BYTES);
            store.remove(KEY);
        }
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            assertTrue(contains(KEY));
            store.erase("a");
            assertFalse(contains(KEY), "removed before the store was opened");
            store.verify();
        }
    }

    @Test
    void shouldEraseWhatAStoreThatFailedLeft() throws Exception {
        try (DiskStore store = DiskStore.open(directory, DiskOptions.of(4096 + 8192), files)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            files.behave((call, bytes) -> {
                if (call.kind() == FaultyFiles.Kind.WRITE && call.position() == 4096) {
                    throw new IOException("errno=5");
                }
                return bytes;
            });
            assertThrows(IOException.class, () -> Blocks.store(store, Blocks.key("b", 1), BLOCK_BYTES));
            assertTrue(contains(KEY), "evicted, but not overwritten");
            files.behave(FaultyFiles.Behaviour.WELL);
            store.erase("a");
            assertFalse(contains(KEY));
        }
    }

    private boolean contains(BlockKey key) throws IOException {
        return Blocks.isInFiles(directory, key);
    }

    @Test
    void shouldSayWhatCouldNotBeErased() throws Exception {
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            files.behave((call, bytes) -> {
                if (call.kind() == FaultyFiles.Kind.WRITE) {
                    throw new IOException("errno=5");
                }
                return bytes;
            });
            String message =
                    assertThrows(IOException.class, () -> store.erase("a")).getMessage();
            assertEquals(
                    "namespace may still be there: namespace=a in [file=" + directory.resolve(SegmentNames.of(0))
                            + " slot=0]",
                    message);
            assertFalse(Blocks.load(store, KEY, BLOCK_BYTES));
            files.behave(FaultyFiles.Behaviour.WELL);
            store.erase("a");
            assertFalse(contains(KEY));
        }
        try (DiskStore store = DiskStore.open(directory, OPTIONS, files)) {
            assertFalse(Blocks.load(store, KEY, BLOCK_BYTES));
        }
    }

    @Test
    void shouldFindTheRestInTheBackground() throws Exception {
        DiskOptions options = DiskOptions.of(2 * SEGMENT_BYTES).withSegmentBytes(SEGMENT_BYTES);
        try (DiskStore store = DiskStore.open(directory, options, files)) {
            for (int i = 0; i < 2 * SLOTS; i++) {
                Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES);
            }
        }
        CountDownLatch slow = new CountDownLatch(1);
        files.behave((call, bytes) -> {
            if (call.kind() == FaultyFiles.Kind.READ
                    && call.path().endsWith(SegmentNames.of(1))
                    && Thread.currentThread().getName().equals("kvcache-recovery")) {
                Gate.awaitUninterruptibly(slow);
            }
            return bytes;
        });
        DiskOptions impatient = options.withRecoveryDeadline(Duration.ofMillis(200));
        try (DiskStore store = DiskStore.open(directory, impatient, files)) {
            assertEquals(1, store.stats().recoveringSegments());
            assertTrue(Blocks.load(store, Blocks.key("a", 0), BLOCK_BYTES));
            assertFalse(Blocks.load(store, Blocks.key("a", SLOTS), BLOCK_BYTES));
            BlockKey again = Blocks.key("a", SLOTS + 1);
            assertTrue(store.store(again, BlockNote.DEFAULT, Blocks.block(again, BLOCK_BYTES)));
            assertEquals(2 * SEGMENT_BYTES, store.stats().usedBytes());
            Future<Boolean> eraser = startWaiting(() -> erase(store, "a"));
            assertFalse(eraser.isDone());
            slow.countDown();
            eraser.get();
            assertEquals(0, store.stats().recoveringSegments());
            assertEquals(0, store.stats().blocks());
            for (int i = 0; i < 2 * SLOTS; i++) {
                assertFalse(contains(Blocks.key("a", i)));
            }
            store.verify();
        }
    }

    @Test
    void shouldKeepTheBlockThatWasStoredLast() throws Exception {
        DiskOptions options = DiskOptions.of(2 * SEGMENT_BYTES).withSegmentBytes(SEGMENT_BYTES);
        BlockNote newer = new BlockNote(false, io.kvcache.Retention.DEFAULT.withTtl(Duration.ofDays(9)), 1L << 42);
        byte[] before;
        try (DiskStore store = DiskStore.open(directory, options, files)) {
            Blocks.store(store, KEY, BLOCK_BYTES);
            before = Files.readAllBytes(directory.resolve(SegmentNames.of(0)));
            store.store(KEY, newer, Blocks.block(KEY, BLOCK_BYTES));
        }
        byte[] after = Files.readAllBytes(directory.resolve(SegmentNames.of(0)));
        System.arraycopy(before, 4096, after, 4096, 8192); // as if killed before the older one was overwritten
        Files.write(directory.resolve(SegmentNames.of(0)), after);
        for (int i = 0; i < 2; i++) {
            try (DiskStore store = DiskStore.open(directory, options, files)) {
                assertEquals(1, store.stats().blocks());
                assertEquals(newer, Blocks.loadNote(store, KEY, BLOCK_BYTES));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void shouldBearAllCallsAtOnce(boolean systemCalls) throws Exception {
        FileAccess access = systemCalls ? new NativeFileAccess() : new ChannelFileAccess();
        FaultyFiles quick = new FaultyFiles(access);
        DiskOptions options = DiskOptions.of(4 * SEGMENT_BYTES).withSegmentBytes(SEGMENT_BYTES);
        try (DiskStore store = DiskStore.open(directory, options, quick)) {
            List<Future<Boolean>> futures = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                int seed = thread;
                futures.add(threads.submit(() -> callAtRandom(store, seed)));
            }
            for (Future<Boolean> future : futures) {
                assertTrue(future.get(50, TimeUnit.SECONDS));
            }
            assertEquals(0, store.stats().corrupt());
            store.verify();
        }
        assertEquals(0, quick.openFiles());
    }

    private static boolean callAtRandom(DiskStore store, int seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < 3000; i++) {
            String namespace = "n" + random.nextInt(3);
            int number = random.nextInt(12);
            BlockKey key = Blocks.key(namespace, number, number & 1);
            long bytes = number % 3 == 0 ? 2 * BLOCK_BYTES : BLOCK_BYTES;
            switch (random.nextInt(40)) {
                case 0 -> store.erase(namespace);
                case 1, 2 -> store.remove(key);
                default -> {
                    if (random.nextBoolean()) {
                        Blocks.store(store, key, bytes);
                    } else {
                        Blocks.load(store, key, bytes);
                    }
                }
            }
        }
        return true;
    }
}
