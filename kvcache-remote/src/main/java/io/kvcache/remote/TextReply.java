package io.kvcache.remote;

import io.lettuce.core.output.CommandOutput;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * A reply that is a text.
 *
 * <p>Written by the thread of a connection, read by the caller once the command is done.
 */
final class TextReply extends CommandOutput<String, PartValue, String> {
    TextReply() {
        super(PartCodec.INSTANCE, "");
    }

    @Override
    public void set(@Nullable ByteBuffer bytes) {
        if (bytes != null) {
            output = StandardCharsets.UTF_8.decode(bytes).toString();
        }
    }
}
