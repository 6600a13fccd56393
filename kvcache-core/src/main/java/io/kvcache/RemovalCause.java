package io.kvcache;

/** Why a block is not found any more. */
public enum RemovalCause {
    /** Its memory was needed. */
    CAPACITY,
    /** Its time to live was over. */
    EXPIRED,
    /** Its namespace was erased or renewed. */
    EXPLICIT
}
