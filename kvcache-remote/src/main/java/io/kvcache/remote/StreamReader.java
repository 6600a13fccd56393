package io.kvcache.remote;

import io.kvcache.CacheContents;
import io.kvcache.CachedBlock;
import io.lettuce.core.StreamMessage;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Reads what a {@link StreamWriter} has written into a mirror.
 *
 * <p>Not thread-safe; the mirror is.
 */
final class StreamReader implements Rounds.Work {
    // Contents are read page by page, and may be replaced meanwhile: their first entry tells, before and after. Where
    // an event is missing, contents are needed that count it in; those that do not are not read at all.
    private static final int PAGE = 512;
    private static final long CONTENTS_MILLIS = 50; // between two looks for contents
    private static final EntryId ANY = new EntryId(0, 0);

    private final EventStream stream;
    private final StreamServers servers;
    private final CacheMirror mirror;
    private @Nullable StreamLink link;
    private long run; // of the contents that the mirror began with
    private boolean needsContents = true;
    private EntryId needed = ANY; // contents of a smaller number would not do
    private boolean suspended; // until something is read

    StreamReader(EventStream stream, CacheMirror mirror) {
        this.stream = stream;
        this.servers = new StreamServers(stream);
        this.mirror = mirror;
    }

    @Override
    public boolean round(Duration patience) throws IOException, InterruptedException {
        StreamLink open = link;
        if (open == null) {
            open = servers.connect();
            link = open;
            needed = ANY;
        }
        if (needsContents && !readContents(open)) {
            TimeUnit.NANOSECONDS.sleep(Math.min(patience.toNanos(), TimeUnit.MILLISECONDS.toNanos(CONTENTS_MILLIS)));
            return true;
        }
        boolean waits = !suspended && !patience.isZero();
        EntryId known = new EntryId(run, mirror.number());
        List<StreamMessage<String, String>> entries = waits
                ? open.after(stream.eventsKey(), known, PAGE, patience)
                : open.after(stream.eventsKey(), known, PAGE);
        boolean follows = entries.isEmpty() ? isUpToDate(open) : applyAll(entries);
        if (follows && suspended) {
            mirror.resume();
            suspended = false;
        }
        return true;
    }

    private boolean applyAll(List<StreamMessage<String, String>> entries) {
        for (StreamMessage<String, String> entry : entries) {
            EntryId id = EntryId.of(entry.getId());
            if (id.run() != run) {
                return needContents(id);
            }
            try {
                if (!mirror.apply(EntryFields.event(id.number(), entry.getBody()))) {
                    return needContents(new EntryId(run, id.number() - 1));
                }
            } catch (IllegalArgumentException e) { // of a later version, perhaps
                return needContents(id);
            }
        }
        return true;
    }

    /** Whether contents tell nothing that the mirror has not read, and is not going to read. */
    private boolean isUpToDate(StreamLink open) throws IOException {
        StreamMessage<String, String> first = open.first(stream.contentsKey());
        if (first == null) {
            return needContents(ANY);
        }
        EntryId id = numberOf(first);
        boolean isAhead = id.run() != run || id.number() > mirror.number();
        return !isAhead || needContents(id);
    }

    /** The run and the number of contents. */
    private static EntryId numberOf(StreamMessage<String, String> first) {
        return new EntryId(
                EntryId.of(first.getId()).run(),
                EntryFields.contents(first.getBody()).number());
    }

    private boolean needContents(EntryId atLeast) {
        needsContents = true;
        needed = atLeast;
        suspend();
        return false;
    }

    private void suspend() {
        mirror.suspend();
        suspended = true;
    }

    /** Gives contents to the mirror; returns whether there were any that will do. */
    private boolean readContents(StreamLink open) throws IOException {
        StreamMessage<String, String> first = open.first(stream.contentsKey());
        if (first == null || !suffices(numberOf(first))) {
            return false;
        }
        List<CachedBlock> blocks = readBlocks(open, EntryId.of(first.getId()));
        StreamMessage<String, String> firstNow = open.first(stream.contentsKey());
        EntryFields.Contents contents = EntryFields.contents(first.getBody());
        boolean replaced = firstNow == null || !numberOf(firstNow).equals(numberOf(first));
        if (replaced || blocks.size() != contents.blocks()) {
            return false;
        }
        mirror.apply(new CacheContents(contents.number(), blocks));
        run = EntryId.of(first.getId()).run();
        needsContents = false;
        suspended = false;
        return true;
    }

    private boolean suffices(EntryId found) {
        return found.run() > needed.run() || (found.run() == needed.run() && found.number() >= needed.number());
    }

    private List<CachedBlock> readBlocks(StreamLink open, EntryId first) throws IOException {
        List<CachedBlock> blocks = new ArrayList<>();
        EntryId last = first;
        List<StreamMessage<String, String>> page = open.after(stream.contentsKey(), last, PAGE);
        while (!page.isEmpty()) {
            page.forEach(entry -> blocks.add(EntryFields.block(entry.getBody())));
            last = EntryId.of(page.getLast().getId());
            page = open.after(stream.contentsKey(), last, PAGE);
        }
        return blocks;
    }

    @Override
    public void disconnect() {
        suspend();
        if (link != null) {
            link.close();
            link = null;
        }
    }

    @Override
    public void close() {
        suspend();
        servers.close();
    }
}
