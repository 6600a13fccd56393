package io.kvcache;

/** When a tier gets its copy of a block that its {@link StoreRule} wants. */
public enum StoreMoment {
    /** As soon as the rule applies: a block is below memory before memory can need its place. */
    COMMIT,
    /** When the last sequence lets go of it: what is still being used is not written. */
    RELEASE
}
