package io.kvcache.tiers;

import static io.kvcache.tiers.PageFormat.INT;
import static io.kvcache.tiers.PageFormat.LONG;

import java.lang.foreign.MemorySegment;

/**
 * The first pages of a file of blocks, which say how it is divided.
 *
 * <p>Thread-safe: immutable.
 *
 * @param id of the segment, its name too
 * @param incarnation chance, that no other segment has
 * @param shape of its slots
 * @param slots how many there are
 * @param model what a snapshot belongs to; empty in a store
 * @param layout describes what a snapshot holds; empty in a store
 */
record SegmentHead(long id, long incarnation, SlotShape shape, int slots, String model, String layout) {
    // A segment is a file of a fixed size, all of it written when it is created:
    //
    //   | head | slot 0 | slot 1 | ... | slot n - 1 |
    //   0      headBytes
    //
    //   0   frame: magic, version, checksum of the head
    //   16  bytes of the head      4    slots                4
    //   24  incarnation            8
    //   32  id                     8
    //   40  payload bytes          8
    //   48  header bytes           4    characters of the model  4
    //   56  characters of the layout    4
    //   64  model, layout, 2 bytes a character
    //   ..  zeros to the end of the head
    private static final long MAGIC = 0x6765_7365_68_63766bL; // "kvcheseg"
    private static final int HEAD_BYTES = 16;
    private static final int SLOTS = 20;
    private static final int INCARNATION = 24;
    private static final int ID = 32;
    private static final int PAYLOAD_BYTES = 40;
    private static final int HEADER_BYTES = 48;
    private static final int MODEL_LENGTH = 52;
    private static final int LAYOUT_LENGTH = 56;
    private static final int TEXTS = 64;

    /** Longest head: what fits into one piece of scratch memory. */
    private static final int MOST_HEAD_BYTES = Scratch.PIECE_BYTES;

    /**
     * Makes a head.
     *
     * @throws IllegalArgumentException if the texts do not fit
     */
    SegmentHead {
        long wanted = TEXTS + ((long) model.length() + layout.length()) * Character.BYTES;
        if (wanted > MOST_HEAD_BYTES) {
            throw new IllegalArgumentException("texts are too long: model.length=" + model.length() + " layout.length="
                    + layout.length() + " headBytes=" + wanted + " most=" + MOST_HEAD_BYTES);
        }
    }

    /** The head of a segment of a store, which has no texts. */
    static SegmentHead ofStore(long id, long incarnation, SlotShape shape, int slots) {
        return new SegmentHead(id, incarnation, shape, slots, "", "");
    }

    /** How many bytes the heads of a store have. */
    static int storeHeadBytes() {
        return SlotShape.PAGE_BYTES;
    }

    /** The same head with another number of slots. */
    SegmentHead withSlots(int newSlots) {
        return new SegmentHead(id, incarnation, shape, newSlots, model, layout);
    }

    int headBytes() {
        return (int) SlotShape.wholePages(TEXTS + ((long) model.length() + layout.length()) * Character.BYTES);
    }

    long payloadPosition(int slot) {
        return headBytes() + slot * shape.slotBytes();
    }

    long headerPosition(int slot) {
        return payloadPosition(slot) + shape.headerOffset();
    }

    long fileBytes() {
        return payloadPosition(slots);
    }

    /** Writes the head: the first {@link #headBytes()} of a piece. */
    void write(MemorySegment piece) {
        MemorySegment head = piece.asSlice(0, headBytes());
        head.fill((byte) 0);
        head.set(INT, HEAD_BYTES, headBytes());
        head.set(INT, SLOTS, slots);
        head.set(LONG, INCARNATION, incarnation);
        head.set(LONG, ID, id);
        head.set(LONG, PAYLOAD_BYTES, shape.payloadBytes());
        head.set(INT, HEADER_BYTES, shape.headerBytes());
        head.set(INT, MODEL_LENGTH, model.length());
        head.set(INT, LAYOUT_LENGTH, layout.length());
        PageFormat.putText(head, TEXTS, model);
        PageFormat.putText(head, TEXTS + (long) model.length() * Character.BYTES, layout);
        PageFormat.seal(head, MAGIC);
    }

    /** How long the head is that begins with these bytes; checked by {@link #read} only. */
    static int headBytes(MemorySegment page) {
        int bytes = page.get(INT, HEAD_BYTES);
        return bytes > 0 && bytes <= MOST_HEAD_BYTES && bytes % SlotShape.PAGE_BYTES == 0
                ? bytes
                : SlotShape.PAGE_BYTES;
    }

    /** Reads a head, which is whole if this returns. */
    static SegmentHead read(MemorySegment head) throws DamagedFileException, NewerVersionException {
        if (PageFormat.isNewer(head, MAGIC)) {
            throw new NewerVersionException("page has another version: version=" + head.get(INT, PageFormat.VERSION)
                    + " wanted=" + PageFormat.CURRENT_VERSION);
        }
        PageFormat.check(head, MAGIC);
        int modelLength = head.get(INT, MODEL_LENGTH);
        int layoutLength = head.get(INT, LAYOUT_LENGTH);
        int slots = head.get(INT, SLOTS);
        long textBytes = ((long) modelLength + layoutLength) * Character.BYTES;
        if (modelLength < 0 || layoutLength < 0 || slots < 0 || TEXTS + textBytes > head.byteSize()) {
            throw new DamagedFileException("head says more than it holds: modelLength=" + modelLength + " layoutLength="
                    + layoutLength + " slots=" + slots + " headBytes=" + head.byteSize());
        }
        try {
            SlotShape shape = new SlotShape(head.get(LONG, PAYLOAD_BYTES), head.get(INT, HEADER_BYTES));
            return new SegmentHead(
                    head.get(LONG, ID),
                    head.get(LONG, INCARNATION),
                    shape,
                    slots,
                    PageFormat.text(head, TEXTS, modelLength),
                    PageFormat.text(head, TEXTS + (long) modelLength * Character.BYTES, layoutLength));
        } catch (IllegalArgumentException e) {
            throw new DamagedFileException("head says what cannot be: " + e.getMessage());
        }
    }
}
