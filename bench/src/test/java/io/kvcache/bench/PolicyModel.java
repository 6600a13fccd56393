package io.kvcache.bench;

import java.util.function.LongPredicate;

/** What a policy should choose if every block is a leaf, said plainly. Slow, and not thread-safe. */
interface PolicyModel {
    void published(long id);

    void touched(long id);

    /** The last reference has gone. */
    void released(long id);

    long victim(LongPredicate isEvictable);

    void removed(long id, boolean evicted);
}
