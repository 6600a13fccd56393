package io.kvcache.remote;

import java.io.IOException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A server has answered by an error; the connection is as good as before. */
final class RefusedException extends IOException {
    private static final long serialVersionUID = 1;

    private static final Pattern MOVED = Pattern.compile("MOVED ([0-9]{1,5}) (.+):([0-9]{1,5})");
    private static final int LARGEST_PORT = 65_535;

    private final String reply;

    /**
     * Makes it.
     *
     * @param reply of the server
     * @param where which server, for the message
     */
    RefusedException(String reply, String where) {
        super(reply + where);
        this.reply = reply;
    }

    /** The reply of the server. */
    String reply() {
        return reply;
    }

    /** A slot, and where it is now, as {@code HOST:PORT}. */
    record Move(int slot, String host) {}

    /** Which slot has moved, if that is what the reply says. */
    @Nullable
    Move move() {
        Matcher matcher = MOVED.matcher(reply);
        if (!matcher.matches() || Integer.parseInt(matcher.group(3)) > LARGEST_PORT) {
            return null;
        }
        return new Move(Integer.parseInt(matcher.group(1)), matcher.group(2) + ":" + matcher.group(3));
    }

    /**
     * Whether the server has not understood what it was sent, so that it and we do not speak of the same any more. What it
     * understands and will not do has a name of its own, like {@code OOM}.
     */
    boolean isMisunderstanding() {
        return reply.startsWith("ERR ") && !isNoCluster();
    }

    /** Whether the server is none of a cluster. */
    boolean isNoCluster() {
        return reply.contains("cluster support disabled");
    }

    /** Whether the keys are on their way to another server just now. */
    boolean isMoving() {
        return reply.startsWith("ASK ") || reply.startsWith("TRYAGAIN");
    }
}
