package io.kvcache.remote;

import io.lettuce.core.codec.RedisCodec;
import io.lettuce.core.codec.ToByteBufEncoder;
import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * Writes keys, which are ASCII, and parts of blocks into commands. Parts come back by {@link PartQuestion}, not as values.
 *
 * <p>Thread-safe.
 */
final class PartCodec implements RedisCodec<String, PartValue>, ToByteBufEncoder<String, PartValue> {
    static final PartCodec INSTANCE = new PartCodec();

    private PartCodec() {}

    @Override
    public String decodeKey(ByteBuffer bytes) {
        return StandardCharsets.ISO_8859_1.decode(bytes).toString();
    }

    @Override
    public PartValue decodeValue(ByteBuffer bytes) {
        throw new UnsupportedOperationException("a part is read by PartQuestion");
    }

    @Override
    public ByteBuffer encodeKey(String key) {
        return ByteBuffer.wrap(key.getBytes(StandardCharsets.ISO_8859_1));
    }

    @Override
    public ByteBuffer encodeValue(PartValue value) { // for messages only
        return value.header();
    }

    @Override
    public void encodeKey(String key, ByteBuf target) {
        target.writeBytes(key.getBytes(StandardCharsets.ISO_8859_1));
    }

    @Override
    public void encodeValue(PartValue value, ByteBuf target) {
        value.writeTo(target);
    }

    @Override
    public int estimateSize(Object keyOrValue) {
        return keyOrValue instanceof PartValue value ? value.size() : ((String) keyOrValue).length();
    }

    @Override
    public boolean isEstimateExact() {
        return true;
    }
}
