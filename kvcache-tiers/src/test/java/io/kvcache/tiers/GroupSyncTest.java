package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class GroupSyncTest {
    private final GroupSync sync = new GroupSync(false);
    private final AtomicInteger syncs = new AtomicInteger();

    private void await(long failuresBefore) throws IOException {
        sync.await(failuresBefore, syncs::incrementAndGet);
    }

    private void fail(long failuresBefore) {
        String message = assertThrows(
                        IOException.class,
                        () -> sync.await(failuresBefore, () -> {
                            throw new IOException("errno=5");
                        }))
                .getMessage();
        assertEquals("sync failed: errno=5", message);
    }

    @Test
    void shouldFailWhoHasWrittenBeforeAFailureOfAnother() throws IOException {
        long before = sync.failures();
        fail(before);
        String message = assertThrows(IOException.class, () -> await(before)).getMessage();
        assertEquals("a sync failed after the write: failures=1 before=0", message);
        assertEquals(1, syncs.get());
        await(sync.failures());
        assertThrows(IOException.class, () -> await(before));
    }

    @Test
    void shouldKnowWhetherAFileIsSynced() throws IOException {
        assertFalse(sync.isDirty());
        assertTrue(new GroupSync(true).isDirty());
        sync.written();
        assertTrue(sync.isDirty());
        fail(sync.failures());
        assertTrue(sync.isDirty());
        await(sync.failures());
        assertFalse(sync.isDirty());
        sync.await(sync.failures(), sync::written);
        assertTrue(sync.isDirty(), "written while the sync ran");
    }
}
