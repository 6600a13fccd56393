package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * Computes the names of blocks below memory, for one model and layout.
 *
 * <p>Thread-safe.
 */
final class KeySource {
    private final String model;
    private final KvLayout layout;

    KeySource(String model, KvLayout layout) {
        this.model = model;
        this.layout = layout;
    }

    /**
     * Computes the keys of consecutive blocks.
     *
     * @param digest of the key of the block before the first one; null: the first one follows the root
     * @param tokens [from + count x tokensPerBlock]
     * @param from where those of the first block begin
     * @return [count]
     */
    BlockKey[] keys(PrefixRoot root, byte @Nullable [] digest, int[] tokens, int from, int count) {
        BlockKey key = digest == null ? rootKey(root) : BlockKey.behind(root.partition.name, digest);
        BlockKey[] keys = new BlockKey[count];
        for (int i = 0; i < count; i++) {
            key = key.child(tokens, from + i * layout.tokensPerBlock(), layout.tokensPerBlock());
            keys[i] = key;
        }
        return keys;
    }

    private BlockKey rootKey(PrefixRoot root) {
        BlockKey known = root.key;
        if (known == null) {
            known = BlockKey.root(model, layout, root.partition.name, root.identities);
            root.key = known;
        }
        return known;
    }
}
