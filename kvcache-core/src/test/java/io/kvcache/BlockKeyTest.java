package io.kvcache;

import static io.kvcache.Thrown.assertOutOfBounds;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

final class BlockKeyTest {
    private static final KvLayout LAYOUT = layout().build();

    private static KvLayout.Builder layout() {
        return KvLayout.builder()
                .layers(2)
                .kvHeads(1)
                .headSizes(40, 24)
                .layer(1, 2, 8, 8)
                .type(KvType.F32)
                .tokensPerBlock(3);
    }

    private static BlockKey root(String model, String namespace, Identity... identities) {
        return BlockKey.root(model, LAYOUT, namespace, List.of(identities));
    }

    // ---- what is in a digest ----

    @Test
    void shouldChainOverAllThatABlockDependsOn() throws IOException, GeneralSecurityException {
        BlockKey root = root("m", "a", new Identity("adapter", "x"), new Identity("image", ""));
        byte[] expected = new Encoder()
                .text("io.kvcache root 2")
                .text("m")
                .text("F32") // of keys
                .text("F32") // of values
                .text("ROWS")
                .text(ByteOrder.nativeOrder().toString())
                .numbers(3, 2, 1216) // tokens a block, layers, bytes a block
                .numbers(1, 40, 24, 0, 512) // layer 0: heads, sizes; K at 0, V behind 3 rows of 160, padded
                .numbers(2, 8, 8, 832, 1024)
                .text("a")
                .numbers(2)
                .text("adapter")
                .text("x")
                .text("image")
                .text("")
                .sha256();
        endWith(expected, 0, 0, 0, 0);
        assertArrayEquals(expected, root.digest());

        BlockKey first = root.child(new int[] {7, -1, 1 << 30}, 0, 3);
        expected = new Encoder()
                .text("io.kvcache child 2")
                .bytes(expected)
                .tokens(7, -1, 1 << 30)
                .sha256();
        assertArrayEquals(expected, first.digest());

        byte[] run = Arrays.copyOfRange(expected, 28, 32); // the first block begins one
        BlockKey second = first.child(new int[] {10}, 0, 1);
        expected = new Encoder()
                .text("io.kvcache child 2")
                .bytes(expected)
                .tokens(10)
                .sha256();
        assertNotEquals(0, expected[27] & 15, "the second block goes on with it");
        endWith(expected, run);
        assertArrayEquals(expected, second.digest());
    }

    private static void endWith(byte[] digest, int... bytes) {
        for (int i = 0; i < bytes.length; i++) {
            digest[digest.length - bytes.length + i] = (byte) bytes[i];
        }
    }

    private static void endWith(byte[] digest, byte[] bytes) {
        System.arraycopy(bytes, 0, digest, digest.length - bytes.length, bytes.length);
    }

    @Test
    void shouldBeInRunsOfSixteenBlocksOnAverage() {
        Random random = new Random(4);
        int runs = 0;
        int blocks = 0;
        for (int path = 0; path < 100; path++) {
            BlockKey key = root("m", "a");
            assertEquals(0, key.run());
            for (int block = 0; block < 100; block++) {
                int before = key.run();
                key = key.child(new int[] {random.nextInt()}, 0, 1);
                boolean begins = block == 0 || key.digest()[27] % 16 == 0;
                assertEquals(!begins, key.run() == before, "path " + path + " block " + block);
                assertEquals(
                        key.run(), BlockKey.of("a", key.digest(), key.tokens()).run());
                runs += begins && block > 0 ? 1 : 0;
                blocks++;
            }
        }
        assertEquals(blocks / 16.0, runs, blocks / 16.0 * .1);
    }

    /** The encoding once more, as its description says: what was stored must be found by later versions. */
    private static final class Encoder {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final DataOutputStream out = new DataOutputStream(bytes);

        Encoder text(String text) throws IOException {
            out.writeByte('T');
            out.writeInt(text.length());
            out.writeChars(text);
            return this;
        }

        Encoder numbers(long... numbers) throws IOException {
            for (long number : numbers) {
                out.writeByte('N');
                out.writeLong(number);
            }
            return this;
        }

        Encoder tokens(int... tokens) throws IOException {
            out.writeByte('I');
            out.writeInt(tokens.length);
            for (int token : tokens) {
                out.writeInt(token);
            }
            return this;
        }

        Encoder bytes(byte[] array) throws IOException {
            out.writeByte('B');
            out.writeInt(array.length);
            out.write(array);
            return this;
        }

        byte[] sha256() throws GeneralSecurityException {
            return MessageDigest.getInstance("SHA-256").digest(bytes.toByteArray());
        }
    }

    @Test
    void shouldDifferWhenAnyPropertyOfTheLayoutDoes() {
        List<KvLayout> layouts = List.of(
                LAYOUT,
                layout().layers(3).build(),
                layout().kvHeads(2).build(),
                layout().headSize(32).build(), // as many elements
                layout().headSizes(24, 40).build(),
                layout().layer(0, 2, 20, 12).build(), // as many again
                layout().layer(1, 1, 16, 16).build(),
                layout().layer(1, 1, 40, 24).build(),
                layout().type(KvType.F16).build(),
                layout().type(KvType.BF16).build(), // as many bytes
                layout().types(KvType.F32, KvType.F16).build(),
                layout().types(KvType.F16, KvType.F32).build(),
                layout().tokensPerBlock(16).order(BlockOrder.ROWS).build(),
                layout().tokensPerBlock(16).order(BlockOrder.TILES).build(),
                layout().tokensPerBlock(4).build());
        Set<BlockKey> keys = new HashSet<>();
        for (KvLayout layout : layouts) {
            keys.add(BlockKey.root("m", layout, "a", List.of()));
        }
        assertEquals(layouts.size(), keys.size());

        Set<String> settings = new TreeSet<>();
        for (var method : KvLayout.Builder.class.getMethods()) {
            if (method.getReturnType() == KvLayout.Builder.class) {
                settings.add(method.getName());
            }
        }
        assertEquals(
                Set.of(
                        "layers",
                        "kvHeads",
                        "headSize",
                        "headSizes",
                        "layer",
                        "type",
                        "types",
                        "order",
                        "tokensPerBlock",
                        "queryHeads"), // has no part in any offset
                settings,
                "a new property of a layout belongs into the digest and into this test");
    }

    @Test
    void shouldNotCollideByConcatenation() {
        List<BlockKey> roots = List.of(
                root("ma", "b"),
                root("m", "ab"),
                root("m", "a", new Identity("b", "c")),
                root("m", "ab", new Identity("", "c")),
                root("m", "a", new Identity("bc", "")),
                root("m", "a", new Identity("b", ""), new Identity("", "c")),
                root("m", "a", new Identity("b", "c"), new Identity("d", "e")),
                root("m", "a", new Identity("d", "e"), new Identity("b", "c")),
                root("m", "a", new Identity("bcde", "")),
                root("m", "\ud800"), // lone surrogates, which have no UTF-8
                root("m", "\ud801"),
                root("m", "?"),
                root("m", "\ufffd"),
                root("m", ""),
                root("", "m"));
        Set<List<Byte>> digests = new HashSet<>();
        for (BlockKey root : roots) {
            digests.add(bytes(root));
        }
        assertEquals(roots.size(), digests.size());
    }

    private static List<Byte> bytes(BlockKey key) {
        List<Byte> bytes = new ArrayList<>();
        for (byte value : key.digest()) {
            bytes.add(value);
        }
        return bytes;
    }

    /** Random short paths over few values, so that many are equal and many nearly so. */
    @Test
    void shouldBeEqualExactlyWhereEverythingIs() {
        Random random = new Random(11);
        String[] names = {"", "a", "b", "ab"};
        Map<List<Object>, BlockKey> keys = new HashMap<>();
        Map<BlockKey, List<Object>> meanings = new HashMap<>();
        int repeated = 0;
        for (int round = 0; round < 100_000; round++) {
            String model = names[random.nextInt(4)];
            String namespace = names[random.nextInt(4)];
            List<Identity> identities = new ArrayList<>();
            for (int i = random.nextInt(3); i > 0; i--) {
                identities.add(new Identity(names[random.nextInt(4)], names[random.nextInt(4)]));
            }
            List<Object> meaning = new ArrayList<>(List.of(model, namespace, identities));
            BlockKey key = BlockKey.root(model, LAYOUT, namespace, identities);
            for (int depth = random.nextInt(4); depth > 0; depth--) {
                int[] tokens = random.ints(1 + random.nextInt(2), 0, 3).toArray();
                int[] source = random.ints(5, 0, 3).toArray();
                int from = random.nextInt(source.length - tokens.length + 1);
                System.arraycopy(tokens, 0, source, from, tokens.length);
                key = key.child(source, from, tokens.length);
                meaning.add(Arrays.stream(tokens).boxed().toList());
            }
            BlockKey before = keys.putIfAbsent(meaning, key);
            if (before != null) {
                repeated++;
                assertEquals(before, key);
                assertEquals(before.hashCode(), key.hashCode());
            }
            List<Object> other = meanings.putIfAbsent(key, meaning);
            assertEquals(other == null ? meaning : other, meaning);
        }
        assertTrue(repeated > 10_000 && keys.size() > 10_000, "repeated=" + repeated + " keys=" + keys.size());
    }

    // ---- parts ----

    @Test
    void shouldCompareNamespaceAndTokensToo() {
        byte[] digest = new byte[BlockKey.DIGEST_BYTES];
        BlockKey key = BlockKey.of("a", digest, new int[] {1, 2});
        assertEquals(key, BlockKey.of("a", digest.clone(), new int[] {1, 2}));
        assertNotEquals(key, BlockKey.of("b", digest, new int[] {1, 2}));
        assertNotEquals(key, BlockKey.of("a", digest, new int[] {1, 3}));
        assertNotEquals(key, BlockKey.of("a", digest, new int[] {1, 2, 0}));
        digest[31] = 1;
        assertNotEquals(key, BlockKey.of("a", digest, new int[] {1, 2}));
        assertFalse(key.equals((Object) "a"));
    }

    @Test
    void shouldComeBackFromItsParts() {
        BlockKey parent = root("m", "a").child(new int[] {1, 2, 3}, 0, 3);
        BlockKey key = parent.child(new int[] {4, 5, 6}, 0, 3);
        BlockKey again = BlockKey.of(key.namespace(), key.digest(), key.tokens());
        assertEquals(key, again);
        assertEquals(key.hashCode(), again.hashCode());
        assertEquals("a", again.namespace());
        assertArrayEquals(new int[] {4, 5, 6}, again.tokens());
        assertEquals(key.child(new int[] {7}, 0, 1), again.child(new int[] {7}, 0, 1));
        assertEquals(0, root("m", "a").tokens().length);
    }

    @Test
    void shouldNotChangeWithTheArraysItWasMadeOfOrGaveAway() {
        int[] tokens = {1, 2, 3};
        BlockKey key = root("m", "a").child(tokens, 0, 3);
        BlockKey same = root("m", "a").child(tokens, 0, 3);
        byte[] digest = key.digest();
        BlockKey made = BlockKey.of("a", digest, tokens);
        tokens[0] = 9;
        digest[0]++;
        key.tokens()[1] = 9;
        key.digest()[1]++;
        assertEquals(same, key);
        assertEquals(same, made);
        assertArrayEquals(new int[] {1, 2, 3}, key.tokens());
    }

    @Test
    void shouldBeFingerprintedByTheFirstBitsOfTheDigest() {
        byte[] digest = new byte[BlockKey.DIGEST_BYTES];
        for (int i = 0; i < digest.length; i++) {
            digest[i] = (byte) (0xf0 + i);
        }
        assertEquals(
                0xf0f1f2f3_f4f5f6f7L, BlockKey.of("a", digest, new int[] {1}).fingerprint());
    }

    @Test
    void shouldSayWhichBlockItIsButNotWhatItHolds() {
        byte[] digest = new byte[BlockKey.DIGEST_BYTES];
        digest[0] = (byte) 0xab;
        BlockKey key = BlockKey.of("tenant-a", digest, new int[] {4711, 4712});
        assertEquals("BlockKey[namespace=tenant-a digest=ab00000000000000.. tokens=2]", key.toString());
    }

    @Test
    void shouldRefuseWhatIsNoBlock() {
        BlockKey root = root("m", "a");
        assertRefused("block has no token: count=0", () -> root.child(new int[3], 0, 0));
        assertRefused("block has no token: count=-1", () -> root.child(new int[3], 0, -1));
        assertRefused("block has no token: count=0", () -> BlockKey.of("a", root.digest(), new int[0]));
        assertRefused(
                "digest has another length: bytes=20 wanted=32", () -> BlockKey.of("a", new byte[20], new int[1]));
        assertOutOfBounds("Range [1, 1 + 3) out of bounds for length 3", () -> root.child(new int[3], 1, 3));
    }
}
