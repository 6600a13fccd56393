package io.kvcache.bench;

import io.kvcache.bench.report.Findings;
import java.time.Duration;
import java.util.List;

/**
 * A question, and how it is answered by measurement. {@code ./kvcache bench} runs studies one after the other.
 *
 * <p>Not thread-safe: run one at a time, since each wants the machine for itself.
 */
interface Study {
    /** Short, of letters and hyphens: what {@code --only} names. */
    String name();

    /** What is measured, against what. */
    String title();

    /** What its figures do not show, a sentence each. */
    List<String> notShown();

    /** How long it takes, roughly. */
    Duration expected(Effort effort);

    /** Whether it needs a JVM of its own; studies that start JVMs themselves do not. */
    boolean wantsOwnProcess();

    /** Flags for a JVM of its own, behind those of this one. */
    default List<String> processFlags() {
        return List.of();
    }

    /** Does it. */
    Findings run(StudyRun run) throws Exception;
}
