package io.kvcache.demo;

import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

/**
 * Splits one text into pieces: starts from its characters, and joins, again and again, the two neighbours whose
 * concatenation is the piece of the highest score, the leftmost first if scores are equal.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class PieceMerger {
    /*
     * A symbol is named by the position of its first character. Neighbours are linked, since joining removes symbols:
     *
     *     text:    t   h   e   _   m
     *     length:  2   0   1   1   1      "th" is one symbol, the place of "h" is empty
     *     next:    2   -   3   4   5      5 = the end
     *     previous:-   -   0   2   3
     *
     * Every pair of neighbours that forms a piece is queued once, when it arises, so the queue takes O(n log n). A
     * queued pair is stale if one of its symbols has been joined since; then the lengths no longer add up.
     */
    private record Pair(int left, int right, int length, float score) {}

    private static final Comparator<Pair> BEST_FIRST = (one, other) -> {
        int byScore = Float.compare(other.score(), one.score());
        return byScore != 0 ? byScore : Integer.compare(one.left(), other.left());
    };

    private final Vocabulary vocabulary;
    private final int unknownId;
    private final String text;
    private final int[] length;
    private final int[] next;
    private final int[] previous;
    private final PriorityQueue<Pair> queue = new PriorityQueue<>(BEST_FIRST);

    /** A merger for {@code text}, in which spaces have been replaced and surrogates stand in pairs. */
    PieceMerger(Vocabulary vocabulary, int unknownId, String text) {
        this.vocabulary = vocabulary;
        this.unknownId = unknownId;
        this.text = text;
        this.length = new int[text.length()];
        this.next = new int[text.length()];
        this.previous = new int[text.length()];
    }

    /** Adds the ids of the text. */
    void addIds(IntStream.Builder ids) {
        split();
        join();
        for (int symbol = 0; symbol < text.length(); symbol = next[symbol]) {
            addSymbol(symbol, ids);
        }
    }

    private void split() {
        int before = Vocabulary.NONE;
        for (int symbol = 0; symbol < text.length(); symbol = next[symbol]) {
            length[symbol] = Character.charCount(text.codePointAt(symbol));
            next[symbol] = symbol + length[symbol];
            previous[symbol] = before;
            offer(before, symbol);
            before = symbol;
        }
    }

    private void join() {
        for (Pair pair = queue.poll(); pair != null; pair = queue.poll()) {
            if (isCurrent(pair)) {
                join(pair);
            }
        }
    }

    private boolean isCurrent(Pair pair) {
        return length[pair.left()] != 0
                && length[pair.right()] != 0
                && length[pair.left()] + length[pair.right()] == pair.length();
    }

    private void join(Pair pair) {
        int symbol = pair.left();
        int after = next[pair.right()];
        length[symbol] = pair.length();
        length[pair.right()] = 0;
        next[symbol] = after;
        offer(previous[symbol], symbol);
        if (after < text.length()) {
            previous[after] = symbol;
            offer(symbol, after);
        }
    }

    /** Queues two neighbours if they form a piece. */
    private void offer(int left, int right) {
        if (left == Vocabulary.NONE || length[left] + length[right] > vocabulary.longestNormal()) {
            return;
        }
        int joined = length[left] + length[right];
        int id = vocabulary.normalId(text.substring(left, left + joined));
        if (id != Vocabulary.NONE) {
            queue.add(new Pair(left, right, joined, vocabulary.score(id)));
        }
    }

    private void addSymbol(int symbol, IntStream.Builder ids) {
        String piece = text.substring(symbol, next[symbol]);
        int id = vocabulary.normalId(piece);
        if (id != Vocabulary.NONE) {
            ids.add(id);
        } else {
            addBytes(piece.getBytes(StandardCharsets.UTF_8), ids);
        }
    }

    private void addBytes(byte[] bytes, IntStream.Builder ids) {
        int[] byteIds = new int[bytes.length];
        for (int index = 0; index < bytes.length; index++) {
            byteIds[index] = vocabulary.byteId(bytes[index]);
        }
        boolean complete = IntStream.of(byteIds).noneMatch(id -> id == Vocabulary.NONE);
        IntStream.of(complete ? byteIds : new int[] {unknownId}).forEach(ids::add);
    }
}
