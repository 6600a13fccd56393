package io.kvcache.demo;

import io.kvcache.KvCache;
import java.io.PrintWriter;

/**
 * Does what each line of a chat asks for, and prints the answer.
 *
 * <p>Not thread-safe.
 */
final class ChatLines {
    private static final String COMMANDS = "/fork, /back, /stats, /help, /quit";
    private static final String FAINT = "\033[2m";
    private static final String PLAIN = "\033[0m";

    private final Chat chat;
    private final Decoder decoder;
    private final KvCache cache;
    private final PrintWriter out;
    private final PrintWriter err;
    private final boolean terminal;
    private boolean failed;

    /**
     * Prepares to take lines.
     *
     * @param terminal whether somebody reads as it comes: then there is a prompt marker, and remarks are faint
     */
    ChatLines(Chat chat, Decoder decoder, KvCache cache, PrintWriter out, PrintWriter err, boolean terminal) {
        this.chat = chat;
        this.decoder = decoder;
        this.cache = cache;
        this.out = out;
        this.err = err;
        this.terminal = terminal;
    }

    /** Asks for a line. */
    void prompt() {
        if (terminal) {
            out.print("> ");
            out.flush();
        }
    }

    /**
     * Takes a line.
     *
     * @return whether there may be another one
     */
    boolean take(String line) {
        if (line.startsWith("/")) {
            return command(line.strip());
        }
        if (!line.isBlank()) {
            answer(line);
        }
        return true;
    }

    /** Whether a line could not be answered. */
    boolean failed() {
        return failed;
    }

    private boolean command(String command) {
        switch (command) {
            case "/fork" -> fork();
            case "/back" -> back();
            case "/stats" ->
                remark(RunReport.cache(cache.stats()) + System.lineSeparator() + RunReport.loop(decoder.stats()));
            case "/help" -> help();
            case "/quit" -> {
                return false;
            }
            default -> remark("[unknown command: " + command + "; there are " + COMMANDS + "]");
        }
        return true;
    }

    private void answer(String line) {
        try {
            ChatReply reply = chat.say(line, text -> {
                out.print(text);
                out.flush();
            });
            out.println();
            remark(reply.text());
        } catch (IllegalArgumentException | IllegalStateException e) {
            failed = true;
            err.println(e.getMessage());
            err.flush();
        }
    }

    private void fork() {
        chat.fork();
        remark("[remembered: " + chat.size() + " tokens said]");
    }

    private void back() {
        remark(
                chat.back()
                        ? "[back: " + chat.size() + " tokens said]"
                        : "[no point to return to: /fork remembers one]");
    }

    private void help() {
        remark("""
            [a line of text is appended to what was said, and continued]
            [/fork remembers this point; /back returns to the one remembered last, and forgets it]
            [/stats: what the cache holds and has done; /help: this text; /quit or the end of input: the end]\
            """);
    }

    private void remark(String text) {
        out.println(terminal ? FAINT + text + PLAIN : text);
        out.flush();
    }
}
