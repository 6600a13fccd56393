package io.kvcache.remote;

import io.kvcache.BlockKey;
import io.lettuce.core.output.CommandOutput;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The question for a part of a block. The bytes of the part go straight to the caller's memory.
 *
 * <p>Written by the thread of a connection, read by the caller once it is done.
 */
final class PartQuestion extends Command<String, PartValue, Boolean> {
    private final Part part;
    private final Reply reply;

    PartQuestion(String block, Part part, LentMemory memory) {
        this(block, part, new Reply(part, memory));
    }

    private PartQuestion(String block, Part part, Reply reply) {
        super(
                CommandType.GET,
                reply,
                new CommandArgs<>(PartCodec.INSTANCE).addKey(BlockNames.part(block, part.number())));
        this.part = part;
        this.reply = reply;
    }

    private static final class Reply extends CommandOutput<String, PartValue, Boolean> {
        private final Part part;
        private final LentMemory memory;
        private byte @Nullable [] header;
        private boolean isPart;

        Reply(Part part, LentMemory memory) {
            super(PartCodec.INSTANCE, false);
            this.part = part;
            this.memory = memory;
        }

        @Override
        public void set(@Nullable ByteBuffer value) {
            if (value == null) {
                return;
            }
            output = true;
            isPart = PartHeader.begins(value);
            int headerBytes = value.remaining() - part.bytes();
            if (headerBytes >= PartHeader.LEAST_BYTES) {
                byte[] copy = new byte[headerBytes];
                value.get(copy);
                memory.write(part.from(), value);
                header = copy;
            }
        }
    }

    /** Whether there is a value. */
    boolean isThere() {
        return reply.get();
    }

    /**
     * Returns what stands before the part.
     *
     * @throws DamagedPartException if the value is not this part of this block
     */
    PartHeader header(BlockKey key, long blockBytes) throws DamagedPartException {
        byte[] header = reply.header;
        if (header == null) {
            throw new DamagedPartException(
                    "value is shorter than such a part, or divided otherwise: wanted=" + part, !reply.isPart);
        }
        PartHeader read = PartHeader.of(header, part);
        boolean another = !read.key().equals(key);
        if (another || read.blockBytes() != blockBytes) {
            throw new DamagedPartException(
                    "value is a part of another block: has=" + read.key() + " of " + read.blockBytes()
                            + " bytes, wanted=" + key + " of " + blockBytes + " bytes",
                    another);
        }
        return read;
    }
}
