package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class TextStreamTest {
    private static final int FIRST_BYTE = 3;
    private static final int SPACE_A = FIRST_BYTE + 256;

    /** Bounds of the characters that take one to four bytes. */
    private static final int[] HIGHEST = {0x80, 0x800, 0x10000, 0x110000};

    private Tokenizer tokenizer;
    private TextStream stream;

    @BeforeEach
    void makeAStream() throws IOException {
        tokenizer = TokenizerModel.withControls()
                .bytes()
                .normal("\u2581a", -1)
                .normal("\u00e9", -2)
                .build();
        stream = tokenizer.continuedText();
    }

    @Test
    void shouldHoldACharacterBackUntilItIsComplete() {
        assertEquals("", appendByte(0xF0));
        assertEquals("", appendByte(0x9F));
        assertEquals("", appendByte(0x98));
        assertEquals("\uD83D\uDE00", appendByte(0x80));
        assertEquals("", stream.finish());
    }

    @Test
    void shouldReplaceACharacterThatAnotherTokenCutsShort() {
        assertEquals("", appendByte(0xF0));
        assertEquals("", appendByte(0x9F));
        assertEquals("\uFFFD a", stream.append(SPACE_A));
        assertEquals("\uFFFD", appendByte(0x80));
        assertEquals("x", appendByte('x'));
    }

    @Test
    void shouldHoldBackThroughControlTokens() {
        assertEquals("", appendByte(0xC3));
        assertEquals("", stream.append(1));
        assertEquals("\u00e9", appendByte(0xA9));
    }

    @Test
    void shouldReplaceWhatIsIncompleteAtTheEndAndGoOn() {
        assertEquals("", appendByte(0xE2));
        assertEquals("", appendByte(0x96));
        assertEquals("\uFFFD", stream.finish());
        assertEquals("", stream.finish());
        assertEquals("\u00e9", stream.append(SPACE_A + 1));
    }

    @Test
    void shouldDropNoMoreThanTheFirstSpace() {
        TextStream start = tokenizer.textFromStart();
        assertEquals("", start.append(1));
        assertEquals("a", start.append(SPACE_A));
        assertEquals(" a", start.append(SPACE_A));
    }

    @Test
    void shouldKeepASpaceThatIsAByte() {
        assertEquals(" ", tokenizer.textFromStart().append(FIRST_BYTE + ' '));
    }

    @Test
    void shouldAgreeWithDecodingAllBytesAtOnce() {
        Random random = new Random(5);
        for (int round = 0; round < 20_000; round++) {
            byte[] bytes = randomBytes(random);
            TextStream fresh = tokenizer.continuedText();
            StringBuilder text = new StringBuilder();
            for (byte value : bytes) {
                text.append(fresh.append(FIRST_BYTE + Byte.toUnsignedInt(value)));
            }
            assertEquals(new String(bytes, StandardCharsets.UTF_8), text + fresh.finish());
        }
    }

    /** Characters of all lengths, some of their bytes damaged or missing. */
    private static byte[] randomBytes(Random random) {
        StringBuilder text = new StringBuilder();
        for (int index = 0; index < 4; index++) {
            text.appendCodePoint(random.nextInt(HIGHEST[random.nextInt(HIGHEST.length)]));
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
        return Arrays.copyOfRange(bytes, random.nextInt(2), bytes.length);
    }

    private String appendByte(int value) {
        return stream.append(FIRST_BYTE + value);
    }
}
