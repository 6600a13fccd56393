package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SnapshotsTest {
    @TempDir
    Path directory;

    private Path write() throws IOException, InterruptedException {
        Path file = directory.resolve("warm");
        try (KvCache cache = Engine.cache().build()) {
            Engine.run(cache.namespace("a"), Engine.prompt(1, 5));
            Engine.run(cache.namespace("a"), Engine.prompt(2, 3));
            Engine.run(cache.namespace("b"), Engine.prompt(1, 5));
            Engine.run(cache.namespace("secret"), Engine.prompt(1, 5));
            assertEquals(13, Snapshots.write(cache, List.of(cache.namespace("a"), cache.namespace("b")), file));
            cache.verify();
        }
        assertEquals(List.of("warm"), names());
        return file;
    }

    private List<String> names() throws IOException {
        try (var paths = Files.list(directory)) {
            return paths.map(each -> each.getFileName().toString()).toList();
        }
    }

    @Test
    void shouldBeWarmAfterARestart() throws IOException, InterruptedException {
        Path file = write();
        try (KvCache cache = Engine.cache().build()) {
            Snapshots.restore(cache, file, "warm");
            int[] prompt = Engine.prompt(1, 5);
            assertEquals(80, Engine.run(cache.namespace("a"), prompt));
            assertEquals(48, Engine.run(cache.namespace("a"), Engine.prompt(2, 4)));
            assertEquals(0, Engine.run(cache.namespace("secret"), prompt));
            assertEquals(8, cache.stats().tiers().getFirst().loadedBlocks(), "only what was asked for");
            try (Sequence sequence = cache.namespace("b").open(prompt)) {
                sequence.await(Engine.PATIENCE);
                assertEquals(80, sequence.cachedTokens("warm"));
            }
            assertTrue(cache.flush(Engine.PATIENCE));
            cache.verify();
        }
    }

    @Test
    void shouldForgetInTheFileWhatIsErased() throws IOException, InterruptedException {
        Path file = write();
        try (KvCache cache = Engine.cache().build()) {
            Snapshots.restore(cache, file, "warm");
            assertEquals(List.of(), cache.namespace("a").erase().unreached());
            assertEquals(0, Engine.run(cache.namespace("a"), Engine.prompt(1, 5)));
        }
        try (KvCache cache = Engine.cache().build()) {
            Snapshots.restore(cache, file, "warm");
            assertEquals(0, Engine.run(cache.namespace("a"), Engine.prompt(1, 5)));
            assertEquals(80, Engine.run(cache.namespace("b"), Engine.prompt(1, 5)));
        }
    }

    @Test
    void shouldRefuseWhatDoesNotFitTheModel() throws IOException, InterruptedException {
        Path file = write();
        try (KvCache cache = Engine.cache().model("other").build()) {
            IOException refusal = assertThrows(IOException.class, () -> Snapshots.restore(cache, file, "warm"));
            assertEquals("snapshot has another model: file=" + file + " model=tiny wanted=other", refusal.getMessage());
            assertEquals(List.of(), cache.stats().tiers());
        }
        KvLayout half = KvLayout.builder()
                .layers(2)
                .kvHeads(2)
                .headSize(8)
                .type(KvType.F16)
                .tokensPerBlock(16)
                .build();
        try (KvCache cache = KvCache.builder(half)
                .maximumBytes(half.blockBytes())
                .model("tiny")
                .build()) {
            IOException refusal = assertThrows(IOException.class, () -> Snapshots.restore(cache, file, "warm"));
            assertEquals(
                    "snapshot has another layout: file=" + file + " layout=" + Engine.LAYOUT + " wanted=" + half,
                    refusal.getMessage());
        }
        try (KvCache cache = Engine.cache().build()) {
            Snapshots.restore(cache, file, "warm");
            assertThrows(IllegalArgumentException.class, () -> Snapshots.restore(cache, file, "warm"));
        }
        try (KvCache cache =
                KvCache.builder(half).maximumBytes(half.blockBytes()).build()) {
            assertThrows(IllegalStateException.class, () -> Snapshots.write(cache, List.of(), file));
        }
    }

    @Test
    void shouldLeaveTheOldSnapshotWhenANewOneFails() throws IOException, InterruptedException {
        Path file = write();
        KvCache closed = Engine.cache().build();
        closed.close();
        assertThrows(IllegalStateException.class, () -> Snapshots.write(closed, List.of(closed.namespace("a")), file));
        assertEquals(List.of("warm"), names());
        try (KvCache cache = Engine.cache().build()) {
            Snapshots.restore(cache, file, "warm");
            assertEquals(80, Engine.run(cache.namespace("a"), Engine.prompt(1, 5)));
        }
    }
}
