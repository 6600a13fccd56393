package io.kvcache.demo;

import java.util.Arrays;
import org.agrona.collections.IntArrayList;
import org.jspecify.annotations.Nullable;

/**
 * What was said so far by turns, prompts and answers alike, and the session that keeps the keys and values of it. The next turn is
 * computed from where the session ends, as its prompt begins with all that was said.
 *
 * <pre>
 *   said so far                            | turn | answer
 *   turn | answer | turn | answer | ...    |
 *   session                              | computed
 * </pre>
 *
 * <p>Not thread-safe.
 */
final class Conversation {
    private final String namespace;
    private final @Nullable String session;
    private final IntArrayList said = new IntArrayList(); // ids

    /**
     * Begins a conversation.
     *
     * @param namespace of the cache
     * @param session the key of its session; null: it has one turn only, and is not kept
     */
    Conversation(String namespace, @Nullable String session) {
        this.namespace = namespace;
        this.session = session;
    }

    /** The ids of a turn's text: those of a text of its own, without another token that begins texts if something was said before. */
    int[] encode(Tokenizer tokenizer, String text) {
        return said.isEmpty() ? tokenizer.encode(text) : tokenizer.encodeMore(text);
    }

    /** Has a request continue and store the session. */
    DecodeRequest.Builder address(DecodeRequest.Builder request) {
        request.namespace(namespace);
        return session == null ? request : request.session(session);
    }

    /** Takes in a turn or an answer. */
    void add(int[] tokens) {
        for (int token : tokens) {
            said.addInt(token);
        }
    }

    /** Takes in an answer for which the context was shifted whenever it was full, so that what is said is what the session holds. */
    void addShifted(int[] answer, ContextShift shift, int contextTokens) {
        for (int token : answer) {
            if (said.size() == contextTokens + 1) { // all but the last one were computed
                drop(shift.sinks(), contextTokens - shift.window());
            }
            said.addInt(token);
        }
    }

    /**
     * Drops what was said longest ago, apart from the first tokens, if a turn would not fit into the context.
     *
     * @return how many tokens were dropped
     * @throws IllegalArgumentException if the turn alone is too long
     */
    int makeRoom(int turnTokens, ContextShift shift, int contextTokens) {
        int room = contextTokens - turnTokens;
        if (said.size() <= room) {
            return 0;
        }
        int kept = Math.min(shift.window(), room - shift.sinks());
        if (kept < 0) {
            throw new IllegalArgumentException("turn is longer than the context has room for: turnTokens=" + turnTokens
                    + " sinks=" + shift.sinks() + " contextTokens=" + contextTokens);
        }
        int before = said.size();
        drop(shift.sinks(), before - kept);
        return before - said.size();
    }

    private void drop(int from, int to) {
        int[] all = said();
        said.clear();
        add(Arrays.copyOf(all, from));
        add(Arrays.copyOfRange(all, to, all.length));
    }

    /** How many tokens were said. */
    int size() {
        return said.size();
    }

    /** The ids of all that was said, a copy; with a turn, the prompt for its answer. */
    int[] said() {
        return said.toIntArray();
    }

    /** Goes back, or on, to where other things were said. */
    void returnTo(int[] tokens) {
        said.clear();
        add(tokens);
    }
}
