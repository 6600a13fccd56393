package io.kvcache.demo;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.List;

/**
 * How well a model predicts a text; the fields of the command line's JSON.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param logprobs the natural logarithm of the probability of each scored token, in order; at least one
 */
@JsonPropertyOrder({"tokens", "meanLoss", "perplexity", "logprobs"})
public record Score(List<Double> logprobs) {
    /** Copies the list. */
    public Score {
        logprobs = List.copyOf(logprobs);
        if (logprobs.isEmpty()) {
            throw new IllegalArgumentException("score has no token: logprobs=0");
        }
    }

    /** How many tokens were scored. */
    @JsonProperty
    public int tokens() {
        return logprobs.size();
    }

    /** Minus the mean of the logarithms: nats a token. */
    @JsonProperty
    public double meanLoss() {
        return -logprobs.stream().mapToDouble(logprob -> logprob).sum() / tokens();
    }

    /** Among how many equally probable tokens the model would be as unsure: e to the mean loss. */
    @JsonProperty
    public double perplexity() {
        return Math.exp(meanLoss());
    }
}
