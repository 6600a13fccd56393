package io.kvcache.tiers;

/**
 * A namespace as long as anything of it is in the store: slots that hold its bytes, readable or not, and calls that
 * are storing.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SlotLedger}.
 */
final class NamespaceSlots {
    final String name;
    int references;
    int erasures; // begun so far; a store that finds another number than it started with has been overtaken

    NamespaceSlots(String name) {
        this.name = name;
    }
}
