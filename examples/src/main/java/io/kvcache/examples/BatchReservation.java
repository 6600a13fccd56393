package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.List;

/** A batched step: all sequences of the batch get room for it, or none does and the scheduler makes the batch smaller. */
final class BatchReservation {
    private BatchReservation() {}

    public static void main(String[] arguments) {
        try (KvCache cache = TinyModel.cacheOf(4).build()) {
            Namespace namespace = cache.namespace("batch");
            try (Sequence one = namespace.open(TinyModel.tokens("one"));
                    Sequence two = namespace.open(TinyModel.tokens("two"));
                    Sequence three = namespace.open(TinyModel.tokens("three"))) {
                boolean all = cache.tryReserve(List.of(one, two, three), new int[] {8, 4, 8}); // 2 + 1 + 2 blocks
                System.out.println("all three: " + all + ", reserved: " + reserved(one, two, three));

                boolean some = cache.tryReserve(List.of(one, two), new int[] {8, 4});
                System.out.println("two of them: " + some + ", reserved: " + reserved(one, two, three));
            }
        }
    }

    private static List<Integer> reserved(Sequence... sequences) {
        return List.of(sequences).stream().map(Sequence::reserved).toList();
    }
}
