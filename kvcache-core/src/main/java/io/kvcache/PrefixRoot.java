package io.kvcache;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where the paths of one namespace and one list of identities begin.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}, {@link #key} apart.
 */
final class PrefixRoot {
    final Partition partition;
    final List<Identity> identities;

    /** The number that the {@link PrefixIndex} knows it by. */
    final int node;

    /** Its name below memory, once somebody has needed it; computed without the lock. */
    volatile @Nullable BlockKey key;

    /** Sequences whose tables begin here. */
    int sequences;

    /** Whether the namespace was erased or renewed since: nothing is looked up or published here any more. */
    boolean retired;

    PrefixRoot(Partition partition, List<Identity> identities, int node) {
        this.partition = partition;
        this.identities = identities;
        this.node = node;
    }
}
