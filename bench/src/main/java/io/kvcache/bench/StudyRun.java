package io.kvcache.bench;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How a study is run.
 *
 * <p>Thread-safe: immutable.
 *
 * @param effort how long it may take
 * @param traceFile a trace of requests to use where a study needs one; null for the shipped sample
 * @param modelFile a model to use beside the shipped one where a study needs one; null for none
 * @param directory where raw results may be left; it exists
 */
record StudyRun(
        Effort effort, @Nullable Path traceFile, @Nullable Path modelFile, Path directory) {
    /** Reads the trace. */
    Trace trace() {
        return traceFile == null ? TraceReader.sample() : TraceReader.read(traceFile);
    }

    /** What the trace is called in titles. */
    String traceName() {
        return traceFile == null ? "the shipped sample" : String.valueOf(traceFile.getFileName());
    }
}
