package io.kvcache.demo;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The rule of encoding as it is written down, looking at all neighbours again before every join: what the tokenizer must
 * agree with.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class SlowMerger {
    private final Map<String, Integer> normal = new HashMap<>();
    private final Map<String, Integer> byteIds = new HashMap<>();
    private final float[] scores;

    SlowMerger(List<String> pieces, float[] scores, int[] types) {
        this.scores = scores;
        for (int id = 0; id < types.length; id++) {
            if (types[id] == 1) {
                normal.put(pieces.get(id), id);
            } else if (types[id] == 6) {
                byteIds.put(pieces.get(id), id);
            }
        }
    }

    List<Integer> encode(String text) {
        List<String> symbols = new ArrayList<>();
        text.replace(' ', '\u2581').codePoints().forEach(character -> symbols.add(Character.toString(character)));
        for (int best = best(symbols); best >= 0; best = best(symbols)) {
            symbols.set(best, symbols.get(best) + symbols.remove(best + 1));
        }
        List<Integer> ids = new ArrayList<>();
        symbols.forEach(symbol -> addIds(symbol, ids));
        return ids;
    }

    /** The leftmost of the pairs with the highest score, or -1. */
    private int best(List<String> symbols) {
        int best = -1;
        float bestScore = 0;
        for (int left = 0; left + 1 < symbols.size(); left++) {
            Integer id = normal.get(symbols.get(left) + symbols.get(left + 1));
            if (id != null && (best < 0 || scores[id] > bestScore)) {
                best = left;
                bestScore = scores[id];
            }
        }
        return best;
    }

    private void addIds(String symbol, List<Integer> ids) {
        Integer id = normal.get(symbol);
        if (id != null) {
            ids.add(id);
            return;
        }
        for (byte value : symbol.getBytes(StandardCharsets.UTF_8)) {
            ids.add(byteIds.get(String.format(Locale.ROOT, "<0x%02X>", value & 0xFF)));
        }
    }
}
