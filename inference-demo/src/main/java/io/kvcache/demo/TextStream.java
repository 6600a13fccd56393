package io.kvcache.demo;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Turns ids into text one at a time. A character may span several tokens: its bytes are held back until it is complete.
 * Bytes that are no UTF-8 become U+FFFD.
 *
 * <p>Not thread-safe: one thread at a time.
 */
public final class TextStream {
    private final Tokenizer tokenizer;
    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);

    /** The first bytes of a character whose last are still to come. */
    private byte[] heldBack = {};

    private boolean dropsSpace;

    /** A stream that drops a space at its very beginning if {@code dropsSpace}. */
    TextStream(Tokenizer tokenizer, boolean dropsSpace) {
        this.tokenizer = tokenizer;
        this.dropsSpace = dropsSpace;
    }

    /** The text that is complete with this token, perhaps none. */
    public String append(int id) {
        return decode(withHeldBack(spaceDropped(id, tokenizer.bytes(id))), false);
    }

    /** U+FFFD if a character is still incomplete, and nothing otherwise. Then the stream may go on. */
    public String finish() {
        String text = decode(ByteBuffer.wrap(heldBack), true);
        decoder.reset();
        return text;
    }

    /** Only a piece's own space is dropped: encode never puts the byte 0x20 in front. */
    private ByteBuffer spaceDropped(int id, byte[] bytes) {
        boolean drop = dropsSpace && bytes.length > 0 && bytes[0] == ' ' && tokenizer.isNormal(id);
        dropsSpace &= bytes.length == 0;
        return drop ? ByteBuffer.wrap(bytes, 1, bytes.length - 1) : ByteBuffer.wrap(bytes);
    }

    private ByteBuffer withHeldBack(ByteBuffer bytes) {
        ByteBuffer all = ByteBuffer.allocate(heldBack.length + bytes.remaining());
        return all.put(heldBack).put(bytes).flip();
    }

    private String decode(ByteBuffer bytes, boolean end) {
        CharBuffer text = CharBuffer.allocate(bytes.remaining());
        decoder.decode(bytes, text, end);
        heldBack = new byte[bytes.remaining()];
        bytes.get(heldBack);
        return text.flip().toString();
    }
}
