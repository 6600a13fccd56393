package io.kvcache;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Sequences stored by key. They hold their blocks until they are removed, their time is over, or memory is needed: then those go
 * that free memory, the lowest priority and the longest unused first.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Sessions {
    private final PrefixCache prefixes;
    private final BlockLedger ledger;
    private final SessionStore store;

    Sessions(PrefixCache prefixes, int tokensPerBlock) {
        this.prefixes = prefixes;
        this.ledger = prefixes.ledger();
        this.store = new SessionStore(tokensPerBlock);
    }

    int size() {
        return store.size();
    }

    /**
     * Stores what a table holds under a key, in place of what was there.
     *
     * @return whether it was stored: not if the partition was erased or renewed since the table was opened
     */
    boolean put(String key, BlockTable table, Retention wanted) {
        PrefixRoot root = table.root();
        if (root.retired) {
            return false;
        }
        Session before = store.get(root.partition, key);
        Session session = store.take();
        session.table.prepare(table.count());
        session.table.prepareTokens(table.length());
        session.table.copyFrom(table);
        table.shareTail();
        root.sequences++;
        for (int i = 0; i < table.count(); i++) {
            ledger.retainForSession(table.block(i));
        }
        if (before != null) {
            drop(before);
        }
        session.start(key, wanted, prefixes.life(wanted), prefixes.now());
        store.put(session);
        return true;
    }

    /** The session with a key, used just now; null if there is none, or its memory is guaranteed to others. */
    @Nullable
    Session get(Partition partition, String key) {
        Session session = present(partition, key);
        if (session == null || !mayHold(session)) {
            partition.traffic.sessionMisses++;
            return null;
        }
        partition.traffic.sessionHits++;
        store.used(session, prefixes.now());
        return session;
    }

    /** Whether what sessions alone hold of a session can be used without taking what is guaranteed to others. */
    private boolean mayHold(Session session) {
        if (!ledger.hasFloors()) {
            return true;
        }
        int taken = 0;
        for (int i = 0; i < session.table.count(); i++) {
            taken += ledger.isReclaimable(session.table.block(i)) ? 1 : 0;
        }
        return taken == 0 || taken <= ledger.room(session.partition());
    }

    private @Nullable Session present(Partition partition, String key) {
        Session session = store.get(partition, key);
        if (session != null && session.isOver(prefixes.now())) {
            drop(session);
            return null;
        }
        return session;
    }

    /** Forgets a session; returns whether it was there. */
    boolean remove(Partition partition, String key) {
        Session session = present(partition, key);
        if (session == null) {
            return false;
        }
        drop(session);
        return true;
    }

    /** The keys of a partition, those given up first coming first. */
    List<String> keys(Partition partition) {
        List<String> keys = new ArrayList<>();
        for (Session session = store.first(partition); session != null; session = store.after(session)) {
            if (!session.isOver(prefixes.now())) {
                keys.add(session.key);
            }
        }
        return keys;
    }

    private void drop(Session session) {
        store.remove(session);
        BlockTable table = session.table;
        while (table.count() > 0) {
            prefixes.releaseForSession(table.removeLast());
        }
        prefixes.letGo(table.root());
        table.close();
        store.give(session);
    }

    /**
     * Drops all sessions of a partition.
     *
     * @param overwrite whether what only they hold is to be overwritten
     * @return blocks to be overwritten that are not published
     */
    int dropAll(Partition partition, boolean overwrite) {
        int count = 0;
        for (Session session = store.first(partition); session != null; session = store.first(partition)) {
            for (int i = 0; overwrite && i < session.table.count(); i++) {
                count += prefixes.overwriteLater(session.table.block(i)) ? 1 : 0;
            }
            drop(session);
        }
        return count;
    }

    /**
     * Drops sessions whose time is over.
     *
     * @param limit sessions to look at
     * @return how many were looked at; fewer than the limit when no more are due
     */
    int maintain(int limit) {
        return store.poll(prefixes.now(), limit, id -> {
            Session session = store.session(id);
            if (session.isOver(prefixes.now())) {
                drop(session);
            } else {
                store.reschedule(session);
            }
        });
    }

    // ---- memory is needed ----

    /** Gives up a session of a partition that has more than its floor; returns whether there was one that frees memory. */
    boolean giveUpBorrowed() {
        Session best = null;
        for (Partition partition : ledger.partitions()) {
            Session candidate = partition.hasBorrowed() ? firstYielding(partition) : null;
            boolean better = candidate != null && (best == null || candidate.goesBefore(best));
            best = better ? candidate : best;
        }
        return giveUp(best);
    }

    /** Gives up a session of a partition; returns whether there was one that frees memory. */
    boolean giveUpOwn(Partition partition) {
        return giveUp(firstYielding(partition));
    }

    private boolean giveUp(@Nullable Session session) {
        if (session == null) {
            return false;
        }
        session.partition().traffic.droppedSessions++;
        drop(session);
        return true;
    }

    /** Gives up all sessions of a partition that hold a block. */
    void giveUpHolders(Partition partition, int block) {
        Session session = store.first(partition);
        while (session != null) {
            Session next = store.after(session);
            if (session.table.contains(block)) {
                giveUp(session);
            }
            session = next;
        }
    }

    private @Nullable Session firstYielding(Partition partition) {
        Session session = store.first(partition);
        while (session != null && !yields(session.table)) {
            session = store.after(session);
        }
        return session;
    }

    /** Whether sessions alone hold any block of a table: usually its last one, if any. */
    private boolean yields(BlockTable table) {
        for (int i = table.count() - 1; i >= 0; i--) {
            if (ledger.isReclaimable(table.block(i))) {
                return true;
            }
        }
        return false;
    }

    /**
     * Checks the sessions.
     *
     * @param held [blocks] their references are added
     * @param ofSessions [blocks] likewise
     */
    void verify(int[] held, int[] ofSessions) {
        int count = 0;
        for (Partition partition : ledger.partitions()) {
            int stored = 0;
            for (Session session = store.first(partition); session != null; session = store.after(session)) {
                stored++;
                session.table.verify();
                for (int i = 0; i < session.table.count(); i++) {
                    held[session.table.block(i)]++;
                    ofSessions[session.table.block(i)]++;
                }
            }
            require(partition.sessions == stored, "sessions of a namespace are counted", partition.sessions, stored);
            count += stored;
        }
        require(store.size() == count, "every session is listed", store.size(), count);
    }

    private static void require(boolean holds, String rule, int left, int right) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": left=" + left + " right=" + right);
        }
    }
}
