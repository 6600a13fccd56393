package io.kvcache.demo;

import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link DecodeLoop} is asked for: to continue a prompt.
 *
 * <p>Immutable, hence thread-safe.
 */
public final class DecodeRequest {
    private final int[] prompt;
    private final int maxTokens;
    private final SamplingOptions sampling;
    private final int samples;
    private final int bestOf;
    private final boolean ignoreEndOfSequence;
    private final int priority;
    private final @Nullable Duration timeout;
    private final String namespace;
    private final @Nullable String session;
    private final @Nullable ContextShift shift;
    private final TokenListener listener;

    private DecodeRequest(Builder builder) {
        this.prompt = builder.prompt;
        this.maxTokens = builder.maxTokens;
        this.sampling = builder.sampling;
        this.samples = builder.samples;
        this.bestOf = Math.max(builder.bestOf, builder.samples);
        this.ignoreEndOfSequence = builder.ignoreEndOfSequence;
        this.priority = builder.priority;
        this.timeout = builder.timeout;
        this.namespace = builder.namespace;
        this.session = builder.session;
        this.shift = builder.shift;
        this.listener = builder.listener;
        if (session != null && bestOf > 1) {
            throw new IllegalArgumentException(
                    "a session keeps one sample: session=" + session + " samples=" + samples + " bestOf=" + bestOf);
        }
    }

    /**
     * Asks for the continuation of a prompt: 128 tokens of one sample, the best ones always, unless told otherwise.
     *
     * @param prompt token ids, at least one
     */
    public static Builder builder(int[] prompt) {
        return new Builder(prompt);
    }

    int promptTokens() {
        return prompt.length;
    }

    /** A copy of the prompt in an array of another length, at least its own. */
    int[] promptIn(int capacity) {
        return Arrays.copyOf(prompt, capacity);
    }

    /** Not to be changed. */
    int[] prompt() {
        return prompt;
    }

    int maxTokens() {
        return maxTokens;
    }

    SamplingOptions sampling() {
        return sampling;
    }

    int samples() {
        return samples;
    }

    /** Samples to compute; at least those wanted. */
    int bestOf() {
        return bestOf;
    }

    boolean ignoreEndOfSequence() {
        return ignoreEndOfSequence;
    }

    int priority() {
        return priority;
    }

    @Nullable
    Duration timeout() {
        return timeout;
    }

    String namespace() {
        return namespace;
    }

    @Nullable
    String session() {
        return session;
    }

    @Nullable
    ContextShift shift() {
        return shift;
    }

    TokenListener listener() {
        return listener;
    }

    /**
     * Collects what a request asks for.
     *
     * <p>Not thread-safe.
     */
    public static final class Builder {
        private final int[] prompt;
        private int maxTokens = 128;
        private SamplingOptions sampling = SamplingOptions.greedy();
        private int samples = 1;
        private int bestOf = 1;
        private boolean ignoreEndOfSequence;
        private int priority;
        private @Nullable Duration timeout;
        private String namespace = "default";
        private @Nullable String session;
        private @Nullable ContextShift shift;
        private TokenListener listener = TokenListener.NONE;

        private Builder(int[] prompt) {
            if (prompt.length == 0) {
                throw new IllegalArgumentException("prompt has no token: length=0");
            }
            this.prompt = prompt.clone();
        }

        /** Sets how many tokens to generate at most, for each sample. */
        public Builder maxTokens(int tokens) {
            maxTokens = positive("maxTokens", tokens);
            return this;
        }

        /** Sets how tokens are chosen; samples beyond the first one have seeds of their own, made from this one. */
        public Builder sampling(SamplingOptions options) {
            sampling = Objects.requireNonNull(options, "options");
            return this;
        }

        /** Sets how many continuations are wanted. They share the prompt's blocks. */
        public Builder samples(int count) {
            samples = positive("samples", count);
            return this;
        }

        /**
         * Sets how many continuations are computed, to return those whose tokens are the most probable on average. Fewer than
         * {@link #samples} means as many.
         */
        public Builder bestOf(int count) {
            bestOf = positive("bestOf", count);
            return this;
        }

        /** Goes on behind the end-of-sequence token. */
        public Builder ignoreEndOfSequence(boolean ignore) {
            ignoreEndOfSequence = ignore;
            return this;
        }

        /** Sets how urgent it is: the greater goes first, and is preempted last; 0 unless told otherwise. */
        public Builder priority(int newPriority) {
            priority = newPriority;
            return this;
        }

        /** Ends the request so long after it was submitted, with the tokens that it has by then. */
        public Builder timeout(Duration newTimeout) {
            if (newTimeout.isNegative() || newTimeout.isZero()) {
                throw new IllegalArgumentException("must be positive: timeout=" + newTimeout);
            }
            timeout = newTimeout;
            return this;
        }

        /** Sets the namespace of the cache; prompts share prefixes within it only. */
        public Builder namespace(String name) {
            namespace = Objects.requireNonNull(name, "name");
            return this;
        }

        /**
         * Continues the session of this name, where it is stored and the prompt begins with its tokens, and stores the
         * sequence there at the end.
         */
        public Builder session(String key) {
            session = Objects.requireNonNull(key, "key");
            return this;
        }

        /** Goes on when the context is full. */
        public Builder shift(ContextShift newShift) {
            shift = Objects.requireNonNull(newShift, "shift");
            return this;
        }

        /** Tells somebody of each token. */
        public Builder listener(TokenListener newListener) {
            listener = Objects.requireNonNull(newListener, "listener");
            return this;
        }

        /**
         * Makes the request.
         *
         * @throws IllegalArgumentException if it has a session and several samples
         */
        public DecodeRequest build() {
            return new DecodeRequest(this);
        }

        private static int positive(String name, int value) {
            if (value < 1) {
                throw new IllegalArgumentException("must be positive: " + name + "=" + value);
            }
            return value;
        }
    }
}
