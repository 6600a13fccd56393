package io.kvcache.format;

import com.palantir.javaformat.java.Formatter;
import com.palantir.javaformat.java.FormatterException;
import com.palantir.javaformat.java.JavaFormatterOptions;
import com.palantir.javaformat.java.JavaFormatterOptions.Style;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Compares every Java source below a directory with Palantir Java Format's output ({@code check}), or rewrites those
 * that differ ({@code apply}).
 *
 * <p>Stateless; run once by the build.
 */
final class Format {
    private static final Formatter FORMATTER = Formatter.createFormatter(
            JavaFormatterOptions.builder().style(Style.PALANTIR).build());

    private Format() {}

    public static void main(String[] arguments) throws IOException {
        boolean apply = arguments[0].equals("apply");
        Path root = Path.of(arguments[1]).toRealPath();
        List<String> complaints = sources(root).parallelStream()
                .map(file -> process(root, file, apply))
                .flatMap(Optional::stream)
                .toList();
        complaints.forEach(System.err::println);
        if (!complaints.isEmpty()) {
            System.err.println("run: mvn -q -pl format process-classes -Dformat=apply");
            System.exit(1);
        }
    }

    private static List<Path> sources(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            return files.filter(file -> file.toString().endsWith(".java"))
                    .filter(file -> isSource(root.relativize(file)))
                    .toList();
        }
    }

    /** Sources lie in {@code MODULE/src}; what lies in {@code MODULE/target} is generated. */
    private static boolean isSource(Path file) {
        return file.getNameCount() > 2 && file.getName(1).toString().equals("src");
    }

    private static Optional<String> process(Path root, Path file, boolean apply) {
        Path name = root.relativize(file);
        try {
            String source = Files.readString(file);
            String formatted = FORMATTER.formatSourceAndFixImports(source);
            if (formatted.equals(source)) {
                return Optional.empty();
            }
            if (apply) {
                Files.writeString(file, formatted);
                return Optional.empty();
            }
            return Optional.of("not formatted: " + name);
        } catch (FormatterException failure) {
            return Optional.of("not Java that the formatter can parse: " + name + ": " + failure.getMessage());
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
