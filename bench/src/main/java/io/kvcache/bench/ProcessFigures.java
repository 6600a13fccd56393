package io.kvcache.bench;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What the process and its threads have taken so far.
 *
 * <p>Thread-safe: immutable.
 *
 * @param residentBytes memory that the process has; 0 where the system does not tell
 * @param heapBytes of it used on the Java heap, garbage included
 * @param allocatedBytes that some threads have allocated on the Java heap since they began
 * @param collections of garbage so far
 * @param collectionMillis that they took
 */
record ProcessFigures(
        long residentBytes, long heapBytes, long allocatedBytes, long collections, long collectionMillis) {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final String RESIDENT = "VmRSS:"; // such as "VmRSS:     12345 kB"

    /** Reads them, for the threads with these ids. */
    static ProcessFigures now(List<Long> threads) {
        ThreadMXBean threadBean = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);
        List<GarbageCollectorMXBean> collectors = ManagementFactory.getGarbageCollectorMXBeans();
        return new ProcessFigures(
                resident(),
                ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed(),
                threads.stream().mapToLong(threadBean::getThreadAllocatedBytes).sum(),
                collectors.stream()
                        .mapToLong(GarbageCollectorMXBean::getCollectionCount)
                        .sum(),
                collectors.stream()
                        .mapToLong(GarbageCollectorMXBean::getCollectionTime)
                        .sum());
    }

    private static long resident() {
        if (!Files.isReadable(STATUS)) {
            return 0;
        }
        try {
            return Files.readAllLines(STATUS).stream()
                    .filter(line -> line.startsWith(RESIDENT))
                    .mapToLong(ProcessFigures::bytes)
                    .findAny()
                    .orElse(0);
        } catch (IOException e) {
            return 0; // not this system's way
        }
    }

    private static long bytes(String line) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
    }
}
