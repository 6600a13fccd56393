package io.kvcache.bench.report;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A directory with a JSON file for each study.
 *
 * <p>Not thread-safe.
 */
public final class ResultsFolder {
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(SerializationFeature.INDENT_OUTPUT, SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .build();

    private final Path directory;

    /** Looks at a directory; it comes into being with the first results. */
    public ResultsFolder(Path directory) {
        this.directory = directory;
    }

    /** Writes NAME.json, in the place of an earlier one. */
    public void write(StudyResults results) {
        try {
            Files.createDirectories(directory);
            Files.writeString(file(results.name()), JSON.writeValueAsString(results) + "\n");
        } catch (IOException e) {
            throw new UncheckedIOException("results cannot be written: file=" + file(results.name()), e);
        }
    }

    /** Reads the results of one study. */
    public StudyResults read(String name) {
        try {
            return JSON.readValue(file(name).toFile(), StudyResults.class);
        } catch (IOException e) {
            throw new UncheckedIOException("results cannot be read: file=" + file(name), e);
        }
    }

    /** Reads what is there of the named studies, in their order. */
    public List<StudyResults> readAll(List<String> names) {
        List<StudyResults> all = new ArrayList<>();
        for (String name : names) {
            if (Files.exists(file(name))) {
                all.add(read(name));
            }
        }
        return Collections.unmodifiableList(all);
    }

    private Path file(String name) {
        return directory.resolve(name + ".json");
    }
}
