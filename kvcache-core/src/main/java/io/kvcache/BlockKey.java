package io.kvcache;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The identity of a block below memory, where other processes and machines see it: in a {@link BlockStore}.
 *
 * <p>It has three parts, and keys are equal when all of them are. The namespace stands for itself, so that no block can be
 * found from another namespace. The digest is chained along the path, over everything that the bytes of the block
 * depend on: model, layout, namespace, identities, all tokens before the block and its own. The tokens of the block are there
 * to be stored and compared, as in memory.
 *
 * <p>A digest ends with the number of a {@link #run}, a stretch of the path that a store of many machines keeps on
 * one of them; the rest is a SHA-256 without its last four bytes.
 *
 * <p>Keys of equal content are equal in every process, whatever its seed.
 *
 * <p>Thread-safe: immutable.
 */
public final class BlockKey {
    /** Length of a digest. */
    public static final int DIGEST_BYTES = KeyDigest.BYTES;

    // Name what a digest is of, and the version of its encoding: whatever changes the bytes of a block without
    // changing any property below must change the version, so that blocks stored before are misses.
    private static final String ROOT = "io.kvcache root 2";
    private static final String CHILD = "io.kvcache child 2";

    // Where a run ends is decided by the digest, so that whoever computes a key needs to know of no more than the block
    // before.
    private static final int RUN_AT = DIGEST_BYTES - Integer.BYTES;
    private static final int ENDS_AT = RUN_AT - 1;
    private static final int MEAN_RUN = 16;
    private static final int NO_RUN = 0;

    private static final int DIGEST_BYTES_SHOWN = 8;

    private final String namespace;
    private final byte[] digest; // [DIGEST_BYTES]
    private final int[] tokens; // none: a root

    private BlockKey(String namespace, byte[] digest, int[] tokens) {
        this.namespace = namespace;
        this.digest = digest;
        this.tokens = tokens;
    }

    /**
     * Returns where the paths of a namespace begin. A root is no block: it is not to be stored or loaded.
     *
     * @param model any text that differs where weights differ, for example a hash of the file that they come from
     * @param layout the shape of keys and values
     * @param namespace who shares with whom
     * @param identities what keys and values depend on besides the tokens, in order
     * @return a root
     */
    public static BlockKey root(String model, KvLayout layout, String namespace, List<Identity> identities) {
        KeyDigest digest = new KeyDigest().text(ROOT).text(model);
        addLayout(digest, layout);
        digest.text(namespace).number(identities.size());
        for (Identity identity : identities) {
            digest.text(identity.kind()).text(identity.value());
        }
        byte[] finished = digest.finish();
        setRun(finished, NO_RUN);
        return new BlockKey(namespace, finished, new int[0]);
    }

    private static int run(byte[] digest) {
        return ByteBuffer.wrap(digest).getInt(RUN_AT);
    }

    private static void setRun(byte[] digest, int run) {
        ByteBuffer.wrap(digest).putInt(RUN_AT, run);
    }

    /** Adds every property that decides which byte of a block means what. Elements are stored in native byte order. */
    private static void addLayout(KeyDigest digest, KvLayout layout) {
        digest.text(layout.keyType().name()).text(layout.valueType().name());
        digest.text(layout.order().name()).text(ByteOrder.nativeOrder().toString());
        digest.number(layout.tokensPerBlock()).number(layout.layers()).number(layout.blockBytes());
        for (int layer = 0; layer < layout.layers(); layer++) {
            digest.number(layout.kvHeads(layer));
            digest.number(layout.keyHeadSize(layer)).number(layout.valueHeadSize(layer));
            digest.number(layout.keysOffset(layer)).number(layout.valuesOffset(layer));
        }
    }

    /**
     * Returns a key that was taken apart, to be stored, into its three parts. Nothing checks that they belong together: the
     * key equals a computed one, or it finds nothing.
     *
     * @param namespace as {@link #namespace()} gave it
     * @param digest [{@value #DIGEST_BYTES}] as {@link #digest()} gave it
     * @param tokens as {@link #tokens()} gave it
     * @return a key
     * @throws IllegalArgumentException if the digest has another length, or there is no token
     */
    public static BlockKey of(String namespace, byte[] digest, int[] tokens) {
        Objects.requireNonNull(namespace, "namespace");
        if (digest.length != DIGEST_BYTES) {
            throw new IllegalArgumentException(
                    "digest has another length: bytes=" + digest.length + " wanted=" + DIGEST_BYTES);
        }
        checkTokens(tokens.length);
        return new BlockKey(namespace, digest.clone(), tokens.clone());
    }

    /**
     * Returns the key of the block that continues this one, or of the first block of a path.
     *
     * @param source token ids, the block's own among them; not kept
     * @param from where the block's own begin
     * @param count how many they are, at least 1
     * @return a key
     * @throws IllegalArgumentException if there is no token
     * @throws IndexOutOfBoundsException if the array has not got as many
     */
    public BlockKey child(int[] source, int from, int count) {
        checkTokens(count);
        Objects.checkFromIndexSize(from, count, source.length);
        byte[] next = new KeyDigest()
                .text(CHILD)
                .bytes(digest)
                .numbers(source, from, count)
                .finish();
        boolean begins = run(digest) == NO_RUN || next[ENDS_AT] % MEAN_RUN == 0;
        if (!begins) {
            setRun(next, run(digest));
        }
        return new BlockKey(namespace, next, Arrays.copyOfRange(source, from, from + count));
    }

    /** A place from which a path goes on: only good for {@link #child}. */
    static BlockKey behind(String namespace, byte[] digest) {
        return new BlockKey(namespace, digest, new int[0]);
    }

    /** The digest itself, never written. */
    byte[] digestUncopied() {
        return digest;
    }

    private static void checkTokens(int count) {
        if (count <= 0) {
            throw new IllegalArgumentException("block has no token: count=" + count);
        }
    }

    /**
     * Returns the namespace.
     *
     * @return its name
     */
    public String namespace() {
        return namespace;
    }

    /**
     * Returns the digest of everything that the block depends on.
     *
     * @return [{@value #DIGEST_BYTES}] a copy
     */
    public byte[] digest() {
        return digest.clone();
    }

    /**
     * Returns the number of the run that the block belongs to: consecutive blocks of a path, sixteen on average, which are best
     * kept together where a store is spread over several machines. One question then finds them, and a machine that is lost takes
     * few paths along, while what a long path or many paths with one beginning need is spread. The first block of a path begins a run.
     *
     * @return any number; others may have it too
     */
    public int run() {
        return run(digest);
    }

    /**
     * Returns the block's own tokens.
     *
     * @return a copy; empty for a root
     */
    public int[] tokens() {
        return tokens.clone();
    }

    /** The first 64 bits of the digest, for tables in which a collision costs no more than a miss. */
    long fingerprint() {
        return KeyDigest.firstLong(digest);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof BlockKey that
                && Arrays.equals(digest, that.digest)
                && Arrays.equals(tokens, that.tokens)
                && namespace.equals(that.namespace);
    }

    @Override
    public int hashCode() {
        return Long.hashCode(fingerprint());
    }

    @Override
    public String toString() {
        return "BlockKey[namespace=" + namespace + " digest=" + HexFormat.of().formatHex(digest, 0, DIGEST_BYTES_SHOWN)
                + ".. tokens=" + tokens.length + "]";
    }
}
