package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheContents;
import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.Sequence;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A stream on a real server, written and read round by round in the thread of the test. */
final class StreamTest {
    private static final long START = 1_000_000;
    private static final String EVENTS = "kvcache:events:{m}";
    private static final String CONTENTS = "kvcache:contents:{m}";

    private static LocalRedis redis;

    private final CacheMirror mirror = new CacheMirror();
    private final List<AutoCloseable> opened = new ArrayList<>();
    private EventStream stream;
    private TinyCache tiny;
    private StreamWriter writer;
    private StreamReader reader;
    private long millis = START;

    @BeforeAll
    static void startServer() {
        // Small nodes, so that trimming cuts nearly where it is asked to.
        redis = LocalRedis.start("--stream-node-max-entries", "10");
    }

    @AfterAll
    static void stopServer() {
        redis.close();
    }

    @BeforeEach
    void begin() {
        redis.command("FLUSHALL");
        stream = EventStream.of(RemoteOptions.of(redis.uri()), "m").withLength(400);
        tiny = tinyCache(300, 1);
        writer = writerOf(tiny);
        reader = readerOf(mirror);
    }

    @AfterEach
    void end() throws Exception {
        for (AutoCloseable each : opened.reversed()) {
            each.close();
        }
    }

    private TinyCache tinyCache(int journal, long seed) {
        TinyCache cache = new TinyCache(100, journal, seed);
        opened.add(cache);
        return cache;
    }

    private StreamWriter writerOf(TinyCache cache) {
        StreamWriter made = new StreamWriter(stream, cache.journal, cache.cache::contents, () -> millis);
        opened.add(made);
        return made;
    }

    private StreamReader readerOf(CacheMirror target) {
        StreamReader made = new StreamReader(stream, target);
        opened.add(made);
        return made;
    }

    private static boolean round(Rounds.Work work) {
        try {
            return work.round(Duration.ZERO);
        } catch (IOException e) {
            throw new AssertionError(e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private void operate(int operations) {
        for (int i = 0; i < operations; i++) {
            tiny.operate();
        }
    }

    /** Writes until nothing is left to write. */
    private void write() {
        for (int i = 0; i < 5; i++) {
            assertTrue(round(writer));
        }
    }

    private void read() {
        for (int i = 0; i < 5; i++) {
            assertTrue(round(reader));
        }
    }

    private void assertSame() {
        assertTrue(mirror.isUpToDate(), "mirror is up to date");
        assertEquals(tiny.told(), mirror.contents());
    }

    /** How often contents were written: each time they are put in their place. */
    private static int contentsWritten() {
        return calls("rename");
    }

    private static int calls(String command) {
        String stats = redis.command("INFO", "commandstats");
        int at = stats.indexOf("cmdstat_" + command + ":calls=");
        return at < 0 ? 0 : Integer.parseInt(stats.substring(stats.indexOf('=', at) + 1, stats.indexOf(',', at)));
    }

    private static String first(String key) {
        return redis.command("XRANGE", key, "-", "+", "COUNT", "1");
    }

    // ---- all is well ----

    @Test
    void shouldFollowWhatIsWritten() {
        operate(200);
        write();
        read();
        assertSame();
        for (int i = 0; i < 20; i++) {
            operate(20);
            write();
            read();
            assertSame();
        }
        assertTrue(tiny.assertFindsTheSame(mirror, () -> {
                    write();
                    read();
                })
                > 0);
    }

    @Test
    void shouldBeReadableForAnybody() {
        write();
        try (Sequence sequence = tiny.cache.namespace("n").open(new int[] {1, 2, 3, 4, 5})) {
            assertTrue(sequence.tryReserve(5));
            sequence.commit(new int[] {1, 2, 3, 4, 5});
        }
        write();
        assertEquals(
                lines(START + "-0", "type", "start", START + "-1", "type", "stored", "namespace", "n", "block", "1")
                        + lines("parent", "0", "tokens", "1 2 3 4"),
                redis.command("XRANGE", EVENTS, "-", "+") + "\n");
        assertEquals(
                lines(START + "-0", "type", "contents", "number", "0", "blocks", "0"),
                redis.command("XRANGE", CONTENTS, "-", "+") + "\n");
    }

    private static String lines(String... lines) {
        return String.join("\n", lines) + "\n";
    }

    @Test
    void shouldLetASecondFollowerBeginAtAnyTime() {
        operate(200);
        write();
        operate(100);
        write();
        CacheMirror other = new CacheMirror();
        StreamReader second = readerOf(other);
        for (int i = 0; i < 5; i++) {
            round(second);
        }
        assertEquals(tiny.told(), other.contents());
    }

    @Test
    void shouldKnowNothingOfAMachineThatHasNotBegun() {
        read();
        assertFalse(mirror.isUpToDate());
        write();
        read();
        assertSame();
    }

    @Test
    void shouldWriteContentsAgainAfterHalfTheLengthOfTheStream() {
        write();
        String before = first(CONTENTS);
        while (tiny.journal.last() < 190) {
            tiny.operate();
        }
        write();
        assertEquals(before, first(CONTENTS));
        while (tiny.journal.last() < 220) {
            tiny.operate();
        }
        int written = contentsWritten();
        write();
        assertEquals(written + 1, contentsWritten(), "and only once");
        assertTrue(streamLength() > 200);
    }

    // ---- readers that were away ----

    @Test
    void shouldReadAgainWhatItHasMissed() {
        operate(200);
        write();
        read();
        reader.disconnect();
        assertFalse(mirror.isUpToDate(), "while it does not read");
        operate(50);
        write();
        redis.command("RENAME", CONTENTS, "hidden"); // the stream is enough
        round(reader);
        assertSame();
        redis.command("RENAME", "hidden", CONTENTS);
        read();
        assertSame();
    }

    @Test
    void shouldReadContentsWhereTheStreamIsTrimmed() {
        operate(200);
        write();
        read();
        for (int i = 0; i < 20; i++) {
            long last = tiny.journal.last();
            while (tiny.journal.last() < last + 200) { // the journal holds 300
                tiny.operate();
            }
            write();
        }
        assertTrue(streamLength() >= 400, "as long as asked for");
        assertTrue(streamLength() < 600, "and not much longer");
        read();
        assertSame();
    }

    @Test
    void shouldWaitForContentsThatCountInWhatIsMissing() {
        operate(50);
        write();
        read();
        operate(10);
        write();
        redis.command("XTRIM", EVENTS, "MAXLEN", "0");
        operate(10);
        write(); // a hole in front of these, and contents older than the hole
        int before = contentsWritten();
        read();
        assertFalse(mirror.isUpToDate());
        assertEquals(before, contentsWritten());
        int asked = calls("xrange");
        read();
        assertEquals(asked + 5, calls("xrange"), "it looks at their first entry, once a round");
        for (int i = 0; i < 40; i++) {
            operate(10);
            write();
        }
        assertTrue(contentsWritten() > before);
        read();
        assertSame();
    }

    @Test
    void shouldNoticeWhileNothingHappensThatContentsAreAheadOfIt() {
        operate(50);
        write();
        read();
        operate(10);
        write();
        redis.command("XTRIM", EVENTS, "MAXLEN", "0");
        writer.disconnect(); // begins with contents, and has nothing to add
        write();
        read();
        assertSame();
    }

    @Test
    void shouldReadContentsAgainThatAreReplacedMeanwhile() throws Exception {
        Thread replacing = Thread.ofPlatform().start(() -> {
            for (int number = 1; !Thread.currentThread().isInterrupted(); number++) {
                replaceContents(number);
            }
        });
        int compared = 0;
        try {
            for (int i = 0; i < 1_000; i++) {
                assertTrue(round(reader));
                mirror.resume(); // it may know already that it is not the last one
                if (mirror.isUpToDate()) {
                    assertEquals(contents(mirror.number()), mirror.contents());
                    compared++;
                }
            }
        } finally {
            replacing.interrupt();
            replacing.join();
        }
        assertTrue(compared > 10, "contents were read");
    }

    @Test
    void shouldNotTakeAPartOfContents() {
        operate(200);
        write();
        String last = redis.command("XREVRANGE", CONTENTS, "+", "-", "COUNT", "1");
        redis.command("XDEL", CONTENTS, last.substring(0, last.indexOf('\n')));
        read();
        assertFalse(mirror.isUpToDate());
        writer.disconnect();
        write();
        read();
        assertSame();
    }

    private static CacheContents contents(long number) {
        return new CacheContents(
                number, List.of(new CachedBlock("a", List.of(), number, CacheEvent.NO_PARENT, List.of(1, 2))));
    }

    private static void replaceContents(long number) {
        add("new", START + "-0", EntryFields.of(new EntryFields.Contents(number, 1)));
        add(
                "new",
                START + "-" + number,
                EntryFields.of(contents(number).blocks().getFirst()));
        redis.command("RENAME", "new", CONTENTS);
    }

    private static void add(String key, String id, Map<String, String> fields) {
        List<String> words = new ArrayList<>(List.of("XADD", key, id));
        fields.forEach((name, value) -> words.addAll(List.of(name, value)));
        redis.command(words.toArray(String[]::new));
    }

    // ---- servers that were away ----

    private static void assertFails(Rounds.Work work) {
        assertThrows(IOException.class, () -> {
            for (int i = 0; i < 5; i++) {
                work.round(Duration.ZERO);
            }
        });
        work.disconnect();
    }

    @Test
    void shouldGoOnWithAServerThatHasLostEverything() {
        operate(200);
        write();
        read();
        redis.kill();
        operate(20);
        assertFails(writer);
        assertFails(reader);
        assertFalse(mirror.isUpToDate());
        redis.restart();
        read();
        assertFalse(mirror.isUpToDate(), "nothing is there");
        write();
        read();
        assertSame();
        operate(20);
        write();
        read();
        assertSame();
    }

    @Test
    void shouldNoticeWhileNothingHappensThatTheServerHasLostSomething() {
        operate(100);
        write();
        redis.command("DEL", EVENTS);
        write();
        assertEquals(1, streamLength(), "the run begins again");
        redis.command("DEL", CONTENTS);
        write();
        read();
        assertSame();
        assertTrue(Long.parseLong(redis.command("PTTL", EVENTS)) > 30_000);
        assertTrue(Long.parseLong(redis.command("PTTL", CONTENTS)) > 30_000);
    }

    @Test
    void shouldAddWhatAServerHasMissed() {
        operate(100);
        write();
        long number = tiny.journal.last();
        int length = streamLength();
        writer.disconnect();
        operate(20);
        write();
        assertEquals(length + tiny.journal.last() - number, streamLength(), "followers need no contents");
    }

    private static int streamLength() {
        return Integer.parseInt(redis.command("XLEN", EVENTS));
    }

    @Test
    void shouldTakeWhatIsThereForAdded() {
        operate(100);
        write();
        long number = tiny.journal.last();
        while (tiny.journal.last() < number + 3) {
            tiny.operate();
        }
        List<CacheEvent> next = Objects.requireNonNull(tiny.journal.after(number, 2));
        for (CacheEvent event : next) { // as if the server had added them, and the reply had not come
            add(EVENTS, START + "-" + event.number(), EntryFields.of(event));
        }
        int length = streamLength();
        write();
        assertEquals(length + tiny.journal.last() - number - 2, streamLength(), "once each");
        read();
        assertSame();
    }

    @Test
    void shouldWriteContentsWhereTheJournalHasAGap() {
        operate(100);
        write();
        read();
        writer.disconnect();
        long before = tiny.journal.last();
        while (tiny.journal.last() < before + 350) { // it holds 300
            tiny.operate();
        }
        write();
        read();
        assertSame();
        operate(20);
        write();
        read();
        assertSame();
    }

    @Test
    void shouldLeaveNoHoleWhenAServerRefusesSomeEntries() {
        operate(100);
        write();
        read();
        redis.command("CONFIG", "SET", "maxmemory", "1");
        try {
            operate(20);
            assertFails(writer);
        } finally {
            redis.command("CONFIG", "SET", "maxmemory", "0");
        }
        read();
        operate(20);
        write();
        read();
        assertSame();
    }

    // ---- machines that begin anew ----

    @Test
    void shouldFollowAMachineThatBeginsAnew() {
        operate(200);
        write();
        read();
        tiny = tinyCache(300, 2);
        millis = START - 50; // a clock that went backwards
        writer = writerOf(tiny);
        write();
        read();
        assertSame();
        operate(100);
        write();
        read();
        assertSame();
        assertTrue(first(CONTENTS).startsWith(START + 1 + "-0"), first(CONTENTS));
    }

    @Test
    void shouldKnowNothingBetweenTheStartOfARunAndItsContents() {
        operate(200);
        write();
        read();
        redis.command("XADD", EVENTS, START + 9 + "-0", "type", "start");
        read();
        assertFalse(mirror.isUpToDate(), "what was known is void");
    }

    @Test
    void shouldForgetWithTheServerWhichRunWasTheLast() {
        operate(100);
        write();
        read();
        redis.command("XADD", EVENTS, START + 9 + "-0", "type", "start");
        read();
        redis.command("FLUSHALL");
        reader.disconnect();
        write(); // of a smaller number
        read();
        assertSame();
    }

    @Test
    void shouldEndWhenAnotherPublisherTakesTheName() {
        operate(100);
        write();
        TinyCache old = tiny;
        StreamWriter oldWriter = writer;
        tiny = tinyCache(300, 2);
        writer = writerOf(tiny);
        write();
        for (int i = 0; i < 20; i++) {
            old.operate();
        }
        try (Warnings warnings = new Warnings()) {
            boolean goesOn = true;
            for (int i = 0; i < 3 && goesOn; i++) {
                goesOn = round(oldWriter);
            }
            assertFalse(goesOn);
            assertEquals(
                    List.of("another publisher has this machine's name, and began later: this one ends: machine=m run="
                            + START + " otherRun=" + (START + 1)),
                    warnings.messages());
        }
        operate(100);
        write();
        read();
        assertSame();
    }

    // ---- everything at random ----

    @Test
    void shouldComeToTheSameWhateverHappens() {
        Random random = new Random(3);
        for (int step = 0; step < 600; step++) {
            int choice = random.nextInt(100);
            operate(random.nextInt(60));
            if (choice < 40) {
                round(writer);
            } else if (choice < 80) {
                round(reader);
            } else if (choice < 84) {
                reader.disconnect();
            } else if (choice < 88) {
                writer.disconnect();
            } else if (choice < 90) {
                redis.command("DEL", random.nextBoolean() ? EVENTS : CONTENTS);
            } else if (choice < 92) {
                redis.command("FLUSHALL");
            } else if (choice < 94) {
                operate(2_000); // more than the journal holds
            } else if (choice < 95) {
                tiny = tinyCache(300, step);
                writer = writerOf(tiny);
            } else {
                write();
                read();
                read();
                if (!mirror.isUpToDate()) { // waits for contents that count in a hole that somebody has made
                    writer.disconnect();
                    write();
                    read();
                }
                assertSame();
            }
        }
    }
}
