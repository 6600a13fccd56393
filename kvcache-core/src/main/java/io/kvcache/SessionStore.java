package io.kvcache;

import java.util.Arrays;
import java.util.BitSet;
import java.util.function.IntConsumer;
import org.agrona.collections.Object2ObjectHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Sessions by partition and key, in the order in which they are given up: the lowest priority first, then the one used longest
 * ago. Session objects are used again, so that storing one makes no garbage.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class SessionStore {
    private static final int PRIORITIES = 101;

    /** The sessions of one partition. */
    private static final class Shelf {
        final Object2ObjectHashMap<String, Session> byKey = new Object2ObjectHashMap<>();
        final @Nullable Session[] oldest = new Session[PRIORITIES];
        final @Nullable Session[] newest = new Session[PRIORITIES];
        final BitSet filled = new BitSet(PRIORITIES);
    }

    private final int tokensPerBlock;
    private final ExpiryWheel wheel = new ExpiryWheel();
    private @Nullable Shelf[] shelves = new Shelf[0]; // [partitions]
    private @Nullable Session[] sessions = new Session[0]; // [ids]
    private int[] spares = new int[0];
    private int spareCount;
    private int created;
    private long uses;

    SessionStore(int tokensPerBlock) {
        this.tokensPerBlock = tokensPerBlock;
    }

    int size() {
        return created - spareCount;
    }

    /** A session without blocks, to be filled and {@link #put}. */
    Session take() {
        if (spareCount > 0) {
            return session(spares[--spareCount]);
        }
        if (created == sessions.length) {
            sessions = Arrays.copyOf(sessions, Math.max(16, created * 2));
            spares = Arrays.copyOf(spares, sessions.length);
        }
        Session session = new Session(created, new BlockTable(tokensPerBlock));
        sessions[created++] = session;
        return session;
    }

    /** The session with an id, as the wheel knows it. */
    Session session(int id) {
        Session session = sessions[id];
        if (session == null) {
            throw new IllegalStateException("no such session: id=" + id);
        }
        return session;
    }

    /** Stores a session, whose key is not there. */
    void put(Session session) {
        Shelf shelf = shelf(session.partition());
        shelf.byKey.put(session.key, session);
        session.partition().sessions++;
        append(shelf, session);
        session.use = ++uses;
        wheel.schedule(session.id, session.expiry);
    }

    private Shelf shelf(Partition partition) {
        if (partition.index >= shelves.length) {
            shelves = Arrays.copyOf(shelves, Math.max(partition.index + 1, 2 * shelves.length));
        }
        Shelf shelf = shelves[partition.index];
        if (shelf == null) {
            shelf = new Shelf();
            shelves[partition.index] = shelf;
        }
        return shelf;
    }

    private @Nullable Shelf existing(Partition partition) {
        return partition.index < shelves.length ? shelves[partition.index] : null;
    }

    @Nullable
    Session get(Partition partition, String key) {
        Shelf shelf = existing(partition);
        return shelf == null ? null : shelf.byKey.get(key);
    }

    /** Puts a session behind the others of its priority. */
    void used(Session session, long now) {
        Shelf shelf = shelf(session.partition());
        unlink(shelf, session);
        append(shelf, session);
        session.used(++uses, now); // the wheel may look at it for nothing: cheaper than to move it with every use
    }

    /** Takes a session out; {@link #give} it back when it holds nothing any more. */
    void remove(Session session) {
        Shelf shelf = shelf(session.partition());
        shelf.byKey.remove(session.key);
        session.partition().sessions--;
        unlink(shelf, session);
        wheel.cancel(session.id);
    }

    /** Takes back a session that holds nothing any more. */
    void give(Session session) {
        session.key = "";
        spares[spareCount++] = session.id;
    }

    /** The session of a partition to be given up first. */
    @Nullable
    Session first(Partition partition) {
        Shelf shelf = existing(partition);
        int priority = shelf == null ? -1 : shelf.filled.nextSetBit(0);
        return shelf == null || priority < 0 ? null : shelf.oldest[priority];
    }

    /** The session of the same partition to be given up next. */
    @Nullable
    Session after(Session session) {
        if (session.newer != null) {
            return session.newer;
        }
        Shelf shelf = shelf(session.partition());
        int priority = shelf.filled.nextSetBit(session.priority + 1);
        return priority < 0 ? null : shelf.oldest[priority];
    }

    /** Hands out ids of sessions whose expiry may have come; see {@link ExpiryWheel#poll}. */
    int poll(long now, int limit, IntConsumer handler) {
        return wheel.poll(now, limit, handler);
    }

    /** Looks at a session again when its end comes. */
    void reschedule(Session session) {
        wheel.schedule(session.id, session.expiry);
    }

    private static void append(Shelf shelf, Session session) {
        Session newest = shelf.newest[session.priority];
        session.older = newest;
        session.newer = null;
        if (newest == null) {
            shelf.oldest[session.priority] = session;
            shelf.filled.set(session.priority);
        } else {
            newest.newer = session;
        }
        shelf.newest[session.priority] = session;
    }

    private static void unlink(Shelf shelf, Session session) {
        if (session.older == null) {
            shelf.oldest[session.priority] = session.newer;
        } else {
            session.older.newer = session.newer;
        }
        if (session.newer == null) {
            shelf.newest[session.priority] = session.older;
        } else {
            session.newer.older = session.older;
        }
        session.older = null;
        session.newer = null;
        if (shelf.oldest[session.priority] == null) {
            shelf.filled.clear(session.priority);
        }
    }
}
