package io.kvcache.demo;

/** Why a sample has no more tokens. */
public enum FinishReason {
    /** It has as many as were asked for, or as the context has room for. */
    LENGTH,

    /** The model chose the end-of-sequence token. */
    END_OF_SEQUENCE,

    /** The request's time was over. */
    DEADLINE
}
