package io.kvcache.bench.report;

import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What figures were measured on, and with.
 *
 * <p>Thread-safe: immutable.
 *
 * @param processor its name, as the operating system knows it
 * @param processors that the JVM may use
 * @param memoryBytes of the machine
 * @param system the operating system
 * @param jvm name and version
 * @param collectors garbage collectors
 * @param flags arguments of the JVM, without paths
 * @param versions of the cache and the libraries that are measured or measure, by their names
 */
public record Machine(
        String processor,
        int processors,
        long memoryBytes,
        String system,
        String jvm,
        List<String> collectors,
        List<String> flags,
        Map<String, String> versions) {
    private static final Pattern JAR = Pattern.compile("(.+?)-(\\d[^-]*(?:-[A-Z][^-]*)?)\\.jar");
    private static final Pattern MODEL_NAME = Pattern.compile("model name\\s*:\\s*(.+)");
    private static final Path PROCESSORS = Path.of("/proc/cpuinfo");

    /** Libraries that figures depend on; others on the class path do not matter. */
    private static final Set<String> MEASURED = Set.of(
            "agrona",
            "arrow-memory-core",
            "caffeine",
            "HdrHistogram",
            "jlama-core",
            "jmh-core",
            "kvcache-core",
            "nd4j-native",
            "netty-buffer");

    /** Copies the collections. */
    public Machine {
        collectors = List.copyOf(collectors);
        flags = List.copyOf(flags);
        versions = Map.copyOf(versions);
    }

    /** The one that this runs on. */
    public static Machine here() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return new Machine(
                processorName(),
                Runtime.getRuntime().availableProcessors(),
                system.getTotalMemorySize(),
                System.getProperty("os.name") + " " + System.getProperty("os.version") + " "
                        + System.getProperty("os.arch"),
                System.getProperty("java.vm.name") + " " + System.getProperty("java.runtime.version"),
                ManagementFactory.getGarbageCollectorMXBeans().stream()
                        .map(GarbageCollectorMXBean::getName)
                        .toList(),
                ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                        .filter(flag -> !flag.contains("/"))
                        .toList(),
                versions(System.getProperty("java.class.path")));
    }

    private static String processorName() {
        try (Stream<String> lines = Files.lines(PROCESSORS, StandardCharsets.UTF_8)) {
            return lines.map(MODEL_NAME::matcher)
                    .filter(Matcher::matches)
                    .map(matcher -> matcher.group(1))
                    .findFirst()
                    .orElse("unknown");
        } catch (IOException e) {
            return "unknown"; // not on Linux
        }
    }

    /** Reads names and versions from the names of jars, such as {@code jmh-core-1.37.jar}. */
    static Map<String, String> versions(String classPath) {
        return Stream.of(classPath.split(Pattern.quote(System.getProperty("path.separator")), -1))
                .map(entry -> JAR.matcher(entry.substring(entry.lastIndexOf('/') + 1)))
                .filter(jar -> jar.matches() && MEASURED.contains(jar.group(1)))
                .collect(Collectors.toMap(
                        jar -> jar.group(1), jar -> jar.group(2), (first, same) -> first, TreeMap::new));
    }
}
