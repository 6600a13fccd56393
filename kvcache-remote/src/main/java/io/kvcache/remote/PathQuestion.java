package io.kvcache.remote;

import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.output.IntegerOutput;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The question which of some keys are there: one message to each node concerned, all of them at once.
 *
 * <p>Not thread-safe: belongs to a call.
 */
final class PathQuestion {
    private final Servers servers;
    private final List<Command<String, PartValue, Long>> questions = new ArrayList<>(); // one for each key
    private final Map<Node, List<Command<String, PartValue, Long>>> byNode = new LinkedHashMap<>();
    private final Map<Node, Exchange> begun = new LinkedHashMap<>();
    private @Nullable IOException failure; // the last one
    private boolean answered;

    PathQuestion(Servers servers, List<String> keys) {
        this.servers = servers;
        for (String key : keys) {
            Command<String, PartValue, Long> question = new Command<>(
                    CommandType.EXISTS,
                    new IntegerOutput<>(PartCodec.INSTANCE),
                    new CommandArgs<>(PartCodec.INSTANCE).addKey(key));
            questions.add(question);
            Node node = servers.node(SlotHash.getSlot(key));
            if (node != null) {
                byNode.computeIfAbsent(node, newNode -> new ArrayList<>()).add(question);
            } else {
                failure = new IOException("no server has the slot of a key: key=" + key);
                servers.refreshSoon();
                answered |= servers.reachesOthers(null);
            }
        }
    }

    /**
     * Asks, and waits.
     *
     * @param deadline of the clock
     * @return how many keys are there, from the first one on. What a node does not tell counts as not there
     * @throws IOException if no node tells
     */
    int ask(long deadline) throws IOException {
        byNode.forEach((node, commands) -> begin(node, commands, deadline));
        begun.values().forEach(exchange -> await(exchange, deadline));
        if (failure != null && !answered) {
            throw failure;
        }
        int held = 0;
        while (held < questions.size() && isThere(questions.get(held))) {
            held++;
        }
        return held;
    }

    private void begin(Node node, List<Command<String, PartValue, Long>> commands, long deadline) {
        try {
            Exchange exchange = servers.begin(node, commands, deadline);
            if (exchange == null) {
                answered = true; // that nothing can be found there now
            } else {
                begun.put(node, exchange);
            }
        } catch (IOException e) {
            failure = e;
        }
    }

    private void await(Exchange exchange, long deadline) {
        try {
            exchange.await(deadline);
            answered = true;
        } catch (RefusedException e) {
            failure = e;
            answered |= servers.learnFrom(e) || e.isMoving();
        } catch (IOException e) {
            failure = e;
            servers.refreshSoon(); // perhaps another server has taken over
        }
    }

    private static boolean isThere(Command<String, PartValue, Long> question) {
        Long count = question.isDone() ? question.get() : null;
        return count != null && count == 1;
    }
}
