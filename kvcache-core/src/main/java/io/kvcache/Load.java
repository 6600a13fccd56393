package io.kvcache;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import org.agrona.collections.IntArrayList;
import org.jspecify.annotations.Nullable;

/**
 * The blocks of one prompt on their way from tiers into memory. It has a table of its own, like a sequence that reads in place of
 * computing.
 *
 * <pre>
 *   block   0 ...... first ....... committed ....... next ....... found ....... end
 *           | cached | loaded      | being read      | to read    | missing
 * </pre>
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Load {
    final PrefixRoot root;
    final BlockTable table;
    final int[] tokens; // of the prompt, [end x tokensPerBlock]
    final byte @Nullable [] digest; // of the block before the first one, where it is known
    final int first;
    final int end;

    // Once it is known what the tiers hold.
    private BlockKey[] keys = new BlockKey[0]; // [end - first]
    private Tier[] sources = new Tier[0]; // [found - first]
    private final @Nullable BlockNote[] notes; // [end - first] of blocks that have been read
    private boolean located;
    private int found;
    private Tier asked;
    private final BitSet underWay = new BitSet(); // indexes of blocks that are being read

    int next;
    int committed;

    /** When it last got further, in nanoseconds since the cache was built. */
    long since;

    /** Whether it has come to its end: nothing more is read, what is under way comes too late. */
    boolean over;

    /** Blocks that are still being read though it is over; it holds them until then. */
    final IntArrayList kept = new IntArrayList();

    /**
     * Makes a load that has not begun.
     *
     * @param asked the tier that is asked first
     */
    Load(
            PrefixRoot root,
            BlockTable table,
            int[] tokens,
            byte @Nullable [] digest,
            int first,
            int end,
            Tier asked,
            long now) {
        this.root = root;
        this.table = table;
        this.tokens = tokens;
        this.digest = digest;
        this.first = first;
        this.end = end;
        this.notes = new BlockNote[end - first];
        this.next = first;
        this.committed = first;
        this.found = first;
        this.asked = asked;
        this.since = now;
    }

    // ---- what the tiers hold ----

    /** Gives it the names of its blocks. */
    void name(BlockKey[] newKeys) {
        keys = newKeys;
    }

    boolean isNamed() {
        return keys.length > 0;
    }

    /** Names of the blocks that no tier is known to hold yet. */
    List<BlockKey> missing() {
        return Collections.unmodifiableList(Arrays.asList(keys)).subList(found - first, keys.length);
    }

    /** Says that a tier is being asked what it holds. */
    void ask(Tier tier) {
        asked = tier;
    }

    /** Says that a tier holds the next few blocks. */
    void found(Tier tier, int count) {
        sources = Arrays.copyOf(sources, sources.length + count);
        Arrays.fill(sources, sources.length - count, sources.length, tier);
        found += count;
    }

    /** Says that no tier holds more. */
    void located() {
        located = true;
    }

    boolean isLocated() {
        return located || found == end;
    }

    /** The tier that it waits for. */
    Tier awaited() {
        return committed < found ? source(committed) : asked;
    }

    // ---- reading ----

    boolean hasNext() {
        return next < found;
    }

    BlockKey key(int at) {
        return keys[at - first];
    }

    Tier source(int at) {
        return sources[at - first];
    }

    /** Takes the next block, to be read. */
    int take() {
        underWay.set(next);
        return next++;
    }

    boolean isUnderWay(int at) {
        return underWay.get(at);
    }

    boolean isReading() {
        return !underWay.isEmpty();
    }

    /** Says that a block has been read, or, without a note, that it is not there: then nothing behind it is wanted. */
    void read(int at, @Nullable BlockNote note) {
        underWay.clear(at);
        notes[at - first] = note;
        if (note == null) {
            found = Math.min(found, at);
            located = true;
        }
    }

    /** What came with the next block to be committed; null: it is not there yet. */
    @Nullable
    BlockNote nextNote() {
        return committed < found ? notes[committed - first] : null;
    }

    /** Whether all that the tiers hold has been loaded. */
    boolean isDone() {
        return isLocated() && committed == found;
    }
}
