package io.kvcache.demo;

/**
 * An answer in a conversation.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param generation what was generated, from all that was said
 * @param droppedTokens how many of the oldest tokens were dropped before it, so that the turn fits into the context
 * @param shifts how often the full context was shifted while it was generated
 */
record ChatReply(Generation generation, int droppedTokens, long shifts) {
    /** One line about what it took, for people to read. */
    String text() {
        return String.format(
                "[%d tokens said, %d cached%s, %d computed; first token after %.1f ms; %d tokens at %.1f tokens/s%s%s]",
                generation.promptTokens(),
                generation.cachedTokens(),
                generation.cachedTokensByTier().split(),
                generation.promptTokens() - generation.cachedTokens(),
                generation.ttftMillis(),
                generation.tokens().size(),
                generation.decodeTokensPerSecond(),
                droppedTokens == 0 ? "" : "; context full: " + droppedTokens + " oldest tokens dropped before",
                shifts == 0 ? "" : "; context full: shifted " + shifts + " times meanwhile");
    }
}
