package io.kvcache.tiers;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Knows all slots: takes them from one state to the next, with everything that goes along with it. What is allowed
 * when is for the {@link SlotLedger} to know.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SlotLedger}.
 */
final class SlotBook {
    private static final int NONE = SlotTable.NONE;

    final SlotTable table = new SlotTable();
    private final Map<SlotShape, SlotRings> shapes = new HashMap<>();
    private final Map<String, NamespaceSlots> namespaces = new HashMap<>();
    private final List<Segment> segments = new ArrayList<>();
    private long sequence; // of generations and stamps
    private long blocks;

    SlotBook(long sequence) {
        this.sequence = sequence;
    }

    long blocks() {
        return blocks;
    }

    /** Whether there are segments of other shapes. */
    boolean hasOthers(SlotRings rings) {
        return rings.segments < segments.size();
    }

    /** A copy. */
    List<Segment> segments() {
        return List.copyOf(segments);
    }

    SlotRings ringsOf(SlotShape shape) {
        return shapes.computeIfAbsent(shape, absent -> new SlotRings(absent, table));
    }

    Slot slot(int entry) {
        return new Slot(
                entry,
                table.segment(entry),
                table.slot(entry),
                table.generations[entry],
                table.expiries[entry],
                table.clean[entry]);
    }

    // Namespaces

    @Nullable
    NamespaceSlots namespace(String name) {
        return namespaces.get(name);
    }

    NamespaceSlots reference(String name) {
        NamespaceSlots namespace = namespaces.computeIfAbsent(name, NamespaceSlots::new);
        namespace.references++;
        return namespace;
    }

    void dereference(@Nullable NamespaceSlots namespace) {
        if (namespace != null && --namespace.references == 0) {
            namespaces.remove(namespace.name);
        }
    }

    // States of slots

    /** Notes that a block that can be found was used. */
    void use(int entry) {
        Segment segment = table.segment(entry);
        table.unlink(entry);
        table.append(ringsOf(segment.shape()).used, entry);
        table.stamps[entry] = ++sequence;
        segment.lastUsed = sequence;
    }

    /** Begins to read a block that can be found. */
    void pin(int entry) {
        table.readers[entry]++;
        table.segment(entry).users++;
    }

    /**
     * Ends to read a block, and returns whether the caller owns its slot now: it is dying, and nobody else reads it.
     */
    boolean unpin(int entry) {
        table.readers[entry]--;
        table.segment(entry).users--;
        boolean last = table.readers[entry] == 0 && table.states[entry] == SlotTable.DYING;
        if (last) {
            own(entry);
        }
        return last;
    }

    void own(int entry) {
        table.states[entry] = SlotTable.OWNED;
        table.segment(entry).users++;
    }

    /** Lets a block be found no more. */
    void hide(int entry) {
        table.unchain(entry);
        table.unlink(entry);
        table.states[entry] = SlotTable.DYING;
        blocks--;
    }

    /** Lets a block be found no more, and owns its slot; false if it is read, so that the last reader will. */
    boolean hideAndOwn(int entry) {
        hide(entry);
        boolean free = table.readers[entry] == 0;
        if (free) {
            own(entry);
        }
        return free;
    }

    /**
     * Lets a block be found by its key: of two with one key the one of the later generation. Returns the other, to be
     * buried, if it is not read.
     */
    @Nullable
    Slot show(int entry, KeyPrint key, long expiryMillis) {
        int other = table.find(key);
        table.expiries[entry] = expiryMillis;
        table.stamps[entry] = table.generations[entry];
        Segment segment = table.segment(entry);
        segment.lastUsed = Math.max(segment.lastUsed, table.generations[entry]);
        if (other != NONE && table.generations[other] > table.generations[entry]) {
            own(entry);
            return slot(entry);
        }
        boolean free = other != NONE && hideAndOwn(other);
        table.states[entry] = SlotTable.LIVE;
        table.chain(entry, key);
        table.append(ringsOf(segment.shape()).used, entry);
        blocks++;
        return free ? slot(other) : null;
    }

    /** The least recently used block that nobody reads, or none. */
    int leastRecentlyUsed(SlotRings rings) {
        int entry = table.first(rings.used);
        while (entry != NONE && table.readers[entry] > 0) {
            entry = table.after(rings.used, entry);
        }
        return entry;
    }

    /** The same block, made free. */
    int evict(SlotRings rings) {
        int entry = leastRecentlyUsed(rings);
        if (entry != NONE) {
            hide(entry);
            table.append(rings.free, entry);
            table.states[entry] = SlotTable.FREE;
        }
        return entry;
    }

    /** Gives a free slot to a call; until it is full of the new block, bytes of the old one are there too. */
    Slot give(int entry, Storing storing) {
        takeFree(entry);
        NamespaceSlots before = table.owners[entry];
        table.mixed[entry] |= before != null && before != storing.namespace();
        table.owners[entry] = reference(storing.namespace().name);
        dereference(before);
        table.generations[entry] = ++sequence;
        return slot(entry);
    }

    void takeFree(int entry) {
        table.unlink(entry);
        own(entry);
    }

    /** Says that a slot that was given holds the block, and nothing else. */
    void written(int entry) {
        table.clean[entry] = false;
        table.mixed[entry] = false;
    }

    /** Says that a block is not what was written, so that its slot may hold anything. */
    void damaged(int entry) {
        table.mixed[entry] = true;
    }

    /** Says that a slot holds zeros. */
    void wiped(int entry) {
        dereference(table.owners[entry]);
        table.owners[entry] = null;
        table.mixed[entry] = false;
    }

    /** Lets an owned slot be taken again, after those that are in the ring. */
    void release(int entry, int ring, boolean clean) {
        table.clean[entry] = clean;
        table.states[entry] = SlotTable.FREE;
        table.append(ring, entry);
        table.segment(entry).users--;
    }

    /** Whether bytes of a namespace may be in a slot that is free. */
    boolean mayHold(int entry, @Nullable NamespaceSlots namespace) {
        return table.mixed[entry] || (namespace != null && table.owners[entry] == namespace);
    }

    // Segments

    /** Adds a segment that holds zeros. */
    void add(Segment segment) {
        SlotRings rings = addEntries(segment);
        segment.lastUsed = ++sequence;
        for (int entry : segment.entries) {
            table.clean[entry] = true;
            table.append(rings.free, entry);
        }
    }

    private SlotRings addEntries(Segment segment) {
        for (int slot = 0; slot < segment.entries.length; slot++) {
            segment.entries[slot] = table.add(segment, slot);
        }
        SlotRings rings = ringsOf(segment.shape());
        rings.segments++;
        segments.add(segment);
        return rings;
    }

    /** Adds a segment that was there before. Returns slots to be buried: of two blocks with one key, the older one. */
    List<Slot> add(Segment segment, Findings findings) {
        SlotRings rings = addEntries(segment);
        List<Slot> losers = new ArrayList<>();
        for (int slot = 0; slot < segment.entries.length; slot++) {
            int entry = segment.entries[slot];
            Findings.Finding finding = findings.get(slot);
            if (finding != null) {
                Slot loser = show(entry, finding);
                if (loser != null) {
                    losers.add(loser);
                }
            } else {
                table.mixed[entry] = true; // whose block was there is not known
                table.clean[entry] = findings.isBlank(slot);
                table.append(rings.free, entry);
            }
        }
        return losers;
    }

    private @Nullable Slot show(int entry, Findings.Finding finding) {
        table.owners[entry] = reference(finding.key().namespace());
        table.generations[entry] = finding.generation();
        sequence = Math.max(sequence, finding.generation());
        return show(entry, finding.key(), finding.expiryMillis());
    }

    /** Brings blocks into the order of their use: segments that were there before came in any. */
    void sort() {
        shapes.values().forEach(this::sort);
    }

    private void sort(SlotRings rings) {
        List<Integer> entries = new ArrayList<>();
        for (int entry = table.first(rings.used); entry != NONE; entry = table.after(rings.used, entry)) {
            entries.add(entry);
        }
        entries.sort(Comparator.comparingLong(entry -> table.stamps[entry]));
        for (int entry : entries) {
            table.unlink(entry);
            table.append(rings.used, entry);
        }
    }

    /** The least recently used segment of those asked for that nobody uses, or null. */
    @Nullable
    Segment leastRecentlyUsed(Predicate<Segment> wanted) {
        return segments.stream()
                .filter(segment -> segment.users == 0 && wanted.test(segment))
                .min(Comparator.comparingLong(segment -> segment.lastUsed))
                .orElse(null);
    }

    /** Forgets a segment that nobody uses, and returns how many blocks are gone. */
    int remove(Segment segment) {
        long before = blocks;
        for (int entry : segment.entries) {
            if (table.states[entry] == SlotTable.LIVE) {
                hide(entry);
            } else {
                table.unlink(entry);
            }
            dereference(table.owners[entry]);
            table.forget(entry);
        }
        segment.detached = true;
        segments.remove(segment);
        ringsOf(segment.shape()).segments--;
        return (int) (before - blocks);
    }

    /** Checks, while no call is under way, that every slot is where it belongs; returns the bytes of all segments. */
    long verify() {
        long bytes = 0;
        int slots = 0;
        long references = 0;
        for (Segment segment : segments) {
            check("nobody uses a segment", segment.users == 0, "segment=" + segment + " users=" + segment.users);
            bytes += segment.file.head().fileBytes();
            slots += segment.entries.length;
            for (int entry : segment.entries) {
                byte state = table.states[entry];
                boolean settled = state == SlotTable.FREE || state == SlotTable.LIVE;
                check("a slot is free or holds a block", settled, "entry=" + entry + " state=" + state);
                references += table.owners[entry] == null ? 0 : 1;
            }
        }
        long inRings = 0;
        for (SlotRings shape : shapes.values()) {
            inRings += table.size(shape.used) + table.size(shape.free) + table.size(shape.failed);
        }
        check("a slot is in one ring", inRings == slots, "inRings=" + inRings + " slots=" + slots);
        long named = namespaces.values().stream()
                .mapToLong(namespace -> namespace.references)
                .sum();
        check("names are kept for slots", named == references, "named=" + named + " references=" + references);
        return bytes;
    }

    private static void check(String rule, boolean holds, String values) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": " + values);
        }
    }
}
