package io.kvcache.remote;

import io.kvcache.CacheContents;
import io.kvcache.CacheEvent;
import io.kvcache.EventJournal;
import io.lettuce.core.StreamMessage;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.agrona.concurrent.EpochClock;
import org.jspecify.annotations.Nullable;

/**
 * Writes the events of a cache to a stream, and its contents beside it.
 *
 * <p>Not thread-safe.
 */
final class StreamWriter implements Rounds.Work {
    // A reader begins with the contents, and goes on with the events behind their number. It never waits long for them,
    // as contents are written
    //
    //   - at first, and when keys are gone (the server has lost or evicted them, or nobody has kept them);
    //   - after any failure, since nobody knows what a server has kept that was away, or which entry it has refused:
    //     an entry cannot be added before one that is there;
    //   - when the journal has a gap: the stream then goes on behind the contents;
    //   - when half as many events have come since as the stream keeps, so that it still has all that came behind them.
    //
    // What was added before a failure may be added again: entries are named by their events, and the server refuses
    // names that are not greater than the last one. The same refusal tells that another publisher has begun with this
    // machine's name: its run has the greater number. Then this one ends.
    private static final System.Logger LOG = System.getLogger("io.kvcache.remote");
    private static final int BATCH = 512;

    private final EventStream stream;
    private final StreamServers servers;
    private final EventJournal journal;
    private final Supplier<CacheContents> contents;
    private final EpochClock clock;
    private @Nullable StreamLink link;
    private long run; // 0: not yet known
    private long written; // number of the last event that is in the stream, or in contents where that has a gap
    private long contentsNumber;
    private boolean needsContents;
    private boolean gap = true; // between what is written and the journal
    private boolean superseded;

    StreamWriter(EventStream stream, EventJournal journal, Supplier<CacheContents> contents, EpochClock clock) {
        this.stream = stream;
        this.servers = new StreamServers(stream);
        this.journal = journal;
        this.contents = contents;
        this.clock = clock;
    }

    @Override
    public boolean round(Duration patience) throws IOException, InterruptedException {
        StreamLink open = link;
        if (open == null) {
            open = servers.connect();
            link = open;
            needsContents = true;
        }
        if (needsContents || gap || written - contentsNumber >= stream.length() / 2) {
            writeContents(open);
        }
        if (!superseded && !writeEvents(open, true)) {
            lastRun(open);
            journal.await(written, patience);
        }
        return !superseded;
    }

    /**
     * Writes the next events, and sees to it that what was written stays; returns whether there were any.
     *
     * @param hasContents whether contents were written
     */
    private boolean writeEvents(StreamLink open, boolean hasContents) throws IOException {
        List<CacheEvent> events = journal.after(written, BATCH);
        gap = events == null;
        needsContents |= !open.keep(stream.eventsKey()) || (hasContents && !open.keep(stream.contentsKey()));
        if (events == null || events.isEmpty()) {
            return false;
        }
        List<StreamLink.Entry> entries = new ArrayList<>(events.size());
        for (CacheEvent event : events) {
            entries.add(new StreamLink.Entry(new EntryId(run, event.number()), EntryFields.of(event)));
        }
        if (open.add(stream.eventsKey(), entries, stream.length()) > 0) {
            lastRun(open);
        }
        written = events.getLast().number();
        return true;
    }

    private void writeContents(StreamLink open) throws IOException {
        beginRun(open);
        if (superseded) {
            return;
        }
        needsContents = false; // unless keys are found to be gone meanwhile
        CacheContents copy = contents.get();
        if (gap) {
            written = copy.number();
        }
        String key = stream.newContentsKey(run);
        open.remove(key);
        EntryFields.Contents head =
                new EntryFields.Contents(copy.number(), copy.blocks().size());
        open.add(key, List.of(new StreamLink.Entry(new EntryId(run, 0), EntryFields.of(head))), Long.MAX_VALUE);
        open.keep(key);
        for (int from = 0; from < copy.blocks().size(); from += BATCH) {
            int to = Math.min(from + BATCH, copy.blocks().size());
            List<StreamLink.Entry> page = copy.blocks().subList(from, to).stream()
                    .map(block -> new StreamLink.Entry(new EntryId(run, block.block()), EntryFields.of(block)))
                    .toList();
            open.add(key, page, Long.MAX_VALUE);
            open.keep(key);
            writeEvents(open, false); // they do not wait
            if (superseded) {
                return;
            }
        }
        lastRun(open);
        if (!superseded) {
            open.rename(key, stream.contentsKey());
            contentsNumber = copy.number();
        }
    }

    /** Sees to it that the stream is there, and that its last entry is of this run. */
    private void beginRun(StreamLink open) throws IOException {
        long last = lastRun(open);
        if (run == 0) {
            run = Math.max(clock.time(), last + 1);
        }
        if (last < run) {
            StreamLink.Entry start = new StreamLink.Entry(new EntryId(run, 0), EntryFields.start());
            open.add(stream.eventsKey(), List.of(start), stream.length());
        }
    }

    /** The run of the last entry, or 0; says so if it is another publisher's that began later. */
    private long lastRun(StreamLink open) throws IOException {
        StreamMessage<String, String> last = open.last(stream.eventsKey());
        long lastRun = last == null ? 0 : EntryId.of(last.getId()).run();
        if (run != 0 && lastRun > run) {
            superseded = true;
            LOG.log(
                    System.Logger.Level.WARNING,
                    "another publisher has this machine''s name, and began later: this one ends: machine={0} run={1}"
                            + " otherRun={2}",
                    stream.machine(),
                    String.valueOf(run),
                    String.valueOf(lastRun));
        }
        return lastRun;
    }

    @Override
    public void disconnect() {
        if (link != null) {
            link.close();
            link = null;
        }
    }

    @Override
    public void close() {
        servers.close();
    }
}
