package io.kvcache.demo;

import java.io.Console;

/**
 * Whether somebody sits in front of the program.
 *
 * <p>Thread-safe: stateless.
 */
final class Terminal {
    private Terminal() {}

    /** Whether input and output are a terminal; not if one of them is a file or a pipe. */
    @SuppressWarnings("SystemConsoleNull") // since JDK 25 it is null again where there is no terminal
    static boolean isInteractive() {
        Console console = System.console();
        return console != null && console.isTerminal();
    }
}
