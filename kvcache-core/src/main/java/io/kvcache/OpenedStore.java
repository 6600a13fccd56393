package io.kvcache;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * The store of a tier: opened by the first who needs it, while others wait for that, and closed once. No lock is held while a store
 * opens or closes, which is others' code and may take for ever.
 *
 * <p>Thread-safe.
 */
final class OpenedStore {
    private final BlockStore.Opener opener;

    // Guarded by this.
    private @Nullable BlockStore store;
    private boolean opening;
    private boolean closed;

    OpenedStore(BlockStore.Opener opener) {
        this.opener = opener;
    }

    /**
     * Returns the store.
     *
     * @throws IOException if it cannot be opened now, or is closed
     */
    BlockStore get() throws IOException {
        synchronized (this) {
            awaitOpening();
            if (store != null) {
                return store;
            }
            opening = true;
        }
        BlockStore opened = null;
        try {
            opened = opener.open();
        } finally {
            synchronized (this) {
                opening = false;
                store = closed ? null : opened;
                notifyAll();
            }
        }
        return checkWanted(opened);
    }

    private void awaitOpening() throws IOException {
        try {
            while (opening && !closed) {
                wait();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while the store opens", e);
        }
        if (closed) {
            throw new IOException("store is closed");
        }
    }

    /** Closes what was opened too late. */
    private BlockStore checkWanted(BlockStore opened) throws IOException {
        boolean wanted;
        synchronized (this) {
            wanted = !closed;
        }
        if (!wanted) {
            opened.close();
            throw new IOException("store is closed");
        }
        return opened;
    }

    /** Closes the store, if it is open; one that is being opened is closed when that is done. */
    void close() throws IOException {
        BlockStore open;
        synchronized (this) {
            closed = true;
            open = store;
            store = null;
            notifyAll();
        }
        if (open != null) {
            open.close();
        }
    }
}
