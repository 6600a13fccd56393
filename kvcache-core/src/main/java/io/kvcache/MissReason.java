package io.kvcache;

/** Why a look-up found no more of a prompt than it did. */
public enum MissReason {
    /** Nothing was missed: all but the prompt's last token was found. */
    NONE,
    /** What comes next was never cached here, or so long ago that nothing remembers it. */
    NEVER_SEEN,
    /** What is cached goes on with other tokens. */
    DIVERGED,
    /** The next block was evicted to make room. */
    EVICTED,
    /** The time to live of the next block was over. */
    EXPIRED,
    /** The next block was erased, or made void by {@link Namespace#renew()}. */
    ERASED,
    /** Another open sequence is computing the next block: see {@link Sequence#adopt()}. */
    IN_FLIGHT,
    /** The next block is cached, but taking it would use memory that is guaranteed to others. */
    NO_ROOM,
    /** The sequence was opened without a look-up. */
    DISABLED
}
