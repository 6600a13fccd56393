package io.kvcache.tiers;

/**
 * A call that stores a block.
 *
 * <p>Thread-safe: immutable, but for the namespace.
 *
 * @param key of the block
 * @param namespace which the call keeps known
 * @param erasures of the namespace when the call began: another number later says that the block must not be stored
 *     any more
 * @param expiryMillis the millisecond since 1970 from which the block is over
 */
record Storing(KeyPrint key, NamespaceSlots namespace, int erasures, long expiryMillis) {
    /** Whether the namespace was erased since the call began; guarded by the lock of the {@link SlotLedger}. */
    boolean isOvertaken() {
        return namespace.erasures != erasures;
    }
}
