package io.kvcache.bench;

import java.io.BufferedInputStream;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads traces: JSON lines or the compact form, plain or compressed with gzip, told apart by what they begin with.
 *
 * <p>Not thread-safe.
 */
final class TraceReader {
    /** For the help of commands that read a file, or take the sample where none is given. */
    static final String FILE_DESCRIPTION =
            "JSON lines with timestamp (ms), input_length, output_length, hash_ids (of blocks of 512 tokens),"
                    + " and label (0 to 7, may be left out); or lines of milliseconds, input tokens, output"
                    + " tokens, runs (start+length) of block ids, separated by tabs, below a header. Both plain or"
                    + " gzip. Default: the small generated sample that is shipped.";

    private static final String SAMPLE = "sample.jsonl";
    private static final byte[] GZIP_MAGIC = {0x1f, (byte) 0x8b};

    private final String name;
    private final List<TraceRequest> requests = new ArrayList<>();
    private final BlockNumbers numbers = new BlockNumbers();
    private @Nullable TraceFormat format;

    private TraceReader(String name) {
        this.name = name;
    }

    /**
     * Reads a file.
     *
     * @throws IllegalArgumentException saying where in the file what is wrong
     */
    static Trace read(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            return new TraceReader(file.toString()).read(in);
        } catch (NoSuchFileException e) {
            throw new IllegalArgumentException("file does not exist: file=" + file, e);
        } catch (IOException e) {
            throw new IllegalArgumentException("cannot be read: file=" + file + " reason=" + e.getMessage(), e);
        }
    }

    /** Reads the small generated trace inside this module. */
    static Trace sample() {
        try (InputStream in = Objects.requireNonNull(TraceReader.class.getResourceAsStream(SAMPLE))) {
            return new TraceReader(SAMPLE).read(in);
        } catch (IOException e) {
            throw new IllegalStateException("the shipped trace cannot be read", e);
        }
    }

    private Trace read(InputStream in) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(unpacked(in), StandardCharsets.UTF_8));
        int number = 1;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            try {
                parse(line);
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException(e.getMessage() + " file=" + name + " line=" + number, e);
            }
            number++;
        }
        if (requests.isEmpty()) {
            throw new IllegalArgumentException("trace has no request: file=" + name);
        }
        return new Trace(requests, numbers.size());
    }

    private static InputStream unpacked(InputStream in) throws IOException {
        BufferedInputStream buffered = new BufferedInputStream(in);
        buffered.mark(GZIP_MAGIC.length);
        byte[] start = buffered.readNBytes(GZIP_MAGIC.length);
        buffered.reset();
        return Arrays.equals(start, GZIP_MAGIC) ? new GZIPInputStream(buffered, 1 << 16) : buffered;
    }

    private void parse(String line) {
        if (line.isBlank()) {
            return;
        }
        if (format == null) {
            boolean isJson = line.stripLeading().startsWith("{");
            format = isJson ? new JsonTraceFormat() : new TabTraceFormat();
            if (!isJson && !Character.isDigit(line.charAt(0))) {
                return; // the header
            }
        }
        TraceLine request = new TraceLine();
        format.parse(line, request);
        requests.add(request.toRequest(numbers));
    }
}
