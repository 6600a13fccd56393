package io.kvcache.tiers;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Says that a directory is this store's: through a lock that the system takes away when the process dies, on a file
 * that names the process and counts how often the directory was opened.
 *
 * <p>Thread-safe.
 */
final class DirectoryLock implements AutoCloseable {
    static final String NAME = "kvcache.lock";

    // To close a file takes all locks away that the process has on it, whichever way it got them. So a process that
    // holds the lock does not open the file again.
    private static final Set<Path> OURS = ConcurrentHashMap.newKeySet();

    // Files on which others in this process hold the lock: through a channel, or another copy of this class. To close
    // one would take the lock away from them.
    private static final Map<Path, RandomAccessFile> NOT_OURS = new ConcurrentHashMap<>();

    private static final Pattern CONTENT = Pattern.compile("pid=(\\d{1,18}) run=(\\d{1,9})\\n");
    private static final int MOST_BYTES = 64;

    private final Path directory;
    private final RandomAccessFile file;
    private final long run;

    private DirectoryLock(Path directory, RandomAccessFile file, long run) {
        this.directory = directory;
        this.file = file;
        this.run = run;
    }

    /**
     * Locks a directory that exists.
     *
     * @throws IOException if it is another's, saying whose
     */
    static DirectoryLock acquire(Path directory) throws IOException {
        Path real = directory.toRealPath();
        if (!OURS.add(real)) {
            throw held(real, Long.toString(ProcessHandle.current().pid()));
        }
        try {
            return open(real);
        } catch (Throwable e) {
            OURS.remove(real);
            throw e;
        }
    }

    // Neither a file opened so nor tryLock is closed by an interrupt.
    private static DirectoryLock open(Path directory) throws IOException {
        RandomAccessFile before = NOT_OURS.remove(directory);
        RandomAccessFile file = before != null
                ? before
                : new RandomAccessFile(directory.resolve(NAME).toFile(), "rw");
        try {
            @Nullable FileLock lock = file.getChannel().tryLock();
            Matcher content = CONTENT.matcher(read(file));
            boolean known = content.matches();
            if (lock == null) {
                throw held(directory, known ? content.group(1) : "unknown");
            }
            long run = known ? Math.min(Long.parseLong(content.group(2)) + 1, SlotLedger.MOST_RUNS) : 1;
            file.seek(0);
            file.write(("pid=" + ProcessHandle.current().pid() + " run=" + run + "\n")
                    .getBytes(StandardCharsets.ISO_8859_1));
            file.setLength(file.getFilePointer());
            return new DirectoryLock(directory, file, run);
        } catch (OverlappingFileLockException e) {
            NOT_OURS.put(directory, file);
            throw new IOException("directory is in use by others in this process: directory=" + directory, e);
        } catch (Throwable e) {
            file.close();
            throw e;
        }
    }

    private static String read(RandomAccessFile file) throws IOException {
        byte[] bytes = new byte[(int) Math.min(file.length(), MOST_BYTES)];
        file.seek(0);
        file.readFully(bytes);
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    private static IOException held(Path directory, String pid) {
        return new IOException("directory is in use by another store: directory=" + directory + " pid=" + pid);
    }

    /** How many times the directory was opened to be written, this time included; anew if the file was lost. */
    long run() {
        return run;
    }

    /** Gives the directory back. */
    @Override
    public void close() throws IOException {
        try {
            file.close();
        } finally {
            OURS.remove(directory);
        }
    }
}
