package io.kvcache.demo;

import java.io.PrintWriter;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * A bar that says how many requests have ended, on the last line of a terminal. A thread of the bar's draws it several times a
 * second; results are printed while it is wiped out.
 *
 * <p>Thread-safe.
 */
final class BatchProgress implements AutoCloseable {
    private static final int COLUMNS = 79; // fits the narrowest terminal in use
    private static final int INTERVAL_MILLIS = 200;
    private static final String WIPE = "\r\033[K";

    private final Object line = new Object(); // who writes there
    private final PrintWriter terminal;
    private final ProgressBar bar;

    /** Shows a bar. */
    BatchProgress(PrintWriter terminal, int requests) {
        this.terminal = terminal;
        this.bar = new ProgressBarBuilder()
                .setTaskName("requests")
                .setInitialMax(requests)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(INTERVAL_MILLIS)
                .setConsumer(new Line())
                .build();
    }

    /** Prints what has become of a request. */
    void ended(Runnable print) {
        synchronized (line) {
            draw("");
            print.run();
        }
        bar.step();
    }

    /** Wipes the bar out. */
    @Override
    public void close() {
        bar.close();
        draw("");
    }

    private void draw(String text) {
        synchronized (line) {
            terminal.print(WIPE + text);
            terminal.flush();
        }
    }

    /** Where the library draws. */
    private final class Line implements ProgressBarConsumer {
        @Override
        public int getMaxRenderedLength() {
            return COLUMNS;
        }

        @Override
        public void accept(String text) {
            draw(text);
        }

        @Override
        public void close() {
            // The bar's owner wipes it out.
        }
    }
}
