package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.Identity;
import io.kvcache.RemovalCause;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The text of entries is a contract with readers in other languages. */
final class EntryFieldsTest {
    private static final CacheEvent STORED = new CacheEvent.Stored(
            7,
            "tenant ü",
            List.of(new Identity("adapter", "x"), new Identity("image", "a=b.c")),
            12,
            11,
            List.of(0, -1, 128_000));
    private static final Map<String, String> STORED_FIELDS = Map.of(
            "type",
            "stored",
            "namespace",
            "tenant ü",
            "block",
            "12",
            "parent",
            "11",
            "tokens",
            "0 -1 128000",
            "identity.1.kind",
            "adapter",
            "identity.1.value",
            "x",
            "identity.2.kind",
            "image",
            "identity.2.value",
            "a=b.c");

    @Test
    void shouldWriteWhatAnybodyCanRead() {
        assertEquals(STORED_FIELDS, EntryFields.of(STORED));
        assertEquals(
                Map.of("type", "removed", "namespace", "a", "block", "2", "parent", "0", "cause", "CAPACITY"),
                EntryFields.of(new CacheEvent.Removed(1, "a", 2, 0, RemovalCause.CAPACITY)));
        assertEquals(
                Map.of("type", "loaded", "namespace", "a", "block", "2", "tier", "disk"),
                EntryFields.of(new CacheEvent.Loaded(1, "a", 2, "disk")));
        assertEquals(
                Map.of("type", "offloaded", "namespace", "a", "block", "2", "tier", "disk"),
                EntryFields.of(new CacheEvent.Offloaded(1, "a", 2, "disk")));
        assertEquals(
                Map.of("type", "tier-changed", "tier", "disk", "loads", "false", "stores", "true", "failure", "full"),
                EntryFields.of(new CacheEvent.TierChanged(1, "disk", false, true, "full")));
        assertEquals(
                Map.of("type", "contents", "number", "9", "blocks", "3"),
                EntryFields.of(new EntryFields.Contents(9, 3)));
        assertEquals(Map.of("type", "start"), EntryFields.start());
    }

    @Test
    void shouldReadWhatItWrites() {
        List<CacheEvent> events = List.of(
                STORED,
                new CacheEvent.Stored(7, "", List.of(), 1, 0, List.of(5)),
                new CacheEvent.Removed(7, "a", 2, 1, RemovalCause.EXPIRED),
                new CacheEvent.Loaded(7, "a", 2, "disk"),
                new CacheEvent.Offloaded(7, "a", 2, "remote"),
                new CacheEvent.TierChanged(7, "disk", true, false, null),
                new CacheEvent.TierChanged(7, "disk", false, true, "it is full"));
        for (CacheEvent event : events) {
            assertEquals(event, EntryFields.event(7, EntryFields.of(event)));
        }
        CachedBlock block =
                new CachedBlock("a", List.of(new Identity("adapter", "x")), 3, 2, List.of(Integer.MIN_VALUE, 4));
        assertEquals(block, EntryFields.block(EntryFields.of(block)));
        EntryFields.Contents contents = new EntryFields.Contents(1L << 40, 5);
        assertEquals(contents, EntryFields.contents(EntryFields.of(contents)));
        assertEquals(new EntryId(1_785_000_000_000L, 42), EntryId.of("1785000000000-42"));
        assertEquals("1785000000000-42", new EntryId(1_785_000_000_000L, 42).toString());
    }

    private static String refusal(Map<String, String> fields) {
        return String.valueOf(assertThrows(IllegalArgumentException.class, () -> EntryFields.event(7, fields))
                .getMessage());
    }

    @Test
    void shouldSayWhatIsMalformed() {
        assertEquals("type is not known: number=7 type=moved", refusal(Map.of("type", "moved")));
        assertEquals("entry has no such field: field=type fields=[tier]", refusal(Map.of("tier", "disk")));
        Map<String, String> broken = new HashMap<>(STORED_FIELDS);
        broken.put("tokens", "1 2 x");
        refusal(broken);
        broken.put("tokens", "1  2");
        refusal(broken);
        broken.put("tokens", "1");
        broken.remove("identity.2.value");
        assertEquals(
                "entry has no such field: field=identity.2.value",
                refusal(broken).replaceFirst(" fields=.*", ""));
        assertEquals(
                "contents begin with another entry: type=stored",
                assertThrows(IllegalArgumentException.class, () -> EntryFields.contents(STORED_FIELDS))
                        .getMessage());
        assertEquals(
                "ID is malformed: id=12",
                assertThrows(IllegalArgumentException.class, () -> EntryId.of("12"))
                        .getMessage());
        assertEquals(
                "a gap is not told: event=Lost[first=1, number=2]",
                assertThrows(IllegalArgumentException.class, () -> EntryFields.of(new CacheEvent.Lost(1, 2)))
                        .getMessage());
    }
}
