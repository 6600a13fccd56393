package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

final class EventStreamTest {
    private static final RemoteOptions REMOTE = RemoteOptions.of("redis://localhost");

    @Test
    void shouldNameKeysOfOneSlot() {
        EventStream stream = EventStream.of(REMOTE, "machine-7");
        assertEquals("kvcache:events:{machine-7}", stream.eventsKey());
        assertEquals("kvcache:contents:{machine-7}", stream.contentsKey());
        assertEquals("kvcache:contents-5:{machine-7}", stream.newContentsKey(5));
        assertEquals(65_536, stream.length());
        assertEquals(
                "other:events:{machine-7}",
                EventStream.of(REMOTE.withKeyPrefix("other:"), "machine-7").eventsKey());
    }

    @Test
    void shouldNameWhatIsWrong() {
        for (String machine : new String[] {"", "a b", "a}b", "{", "ü"}) {
            assertEquals(
                    "must be printable ASCII without space and braces: machine=" + machine,
                    assertThrows(IllegalArgumentException.class, () -> EventStream.of(REMOTE, machine))
                            .getMessage());
        }
        EventStream stream = EventStream.of(REMOTE, "a");
        assertEquals(
                "must be at least 2: length=1",
                assertThrows(IllegalArgumentException.class, () -> stream.withLength(1))
                        .getMessage());
    }
}
