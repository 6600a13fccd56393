package io.kvcache.remote;

import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.cluster.models.partitions.ClusterPartitionParser;
import io.lettuce.core.cluster.models.partitions.Partitions;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import java.io.IOException;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Which server has which slot of keys: of a cluster, or of a single server, which has them all.
 *
 * <p>Thread-safe: immutable.
 */
final class SlotMap {
    private final @Nullable Node[] slots;
    private final List<Node> nodes; // each that has a slot, once
    private final long epoch;

    private SlotMap(@Nullable Node[] slots, long epoch) {
        Set<Node> found = new LinkedHashSet<>();
        for (Node node : slots) {
            if (node != null) {
                found.add(node);
            }
        }
        this.slots = slots;
        this.nodes = List.copyOf(found);
        this.epoch = epoch;
    }

    static SlotMap of(Node single) {
        Node[] slots = new Node[SlotHash.SLOT_COUNT];
        Arrays.fill(slots, single);
        return new SlotMap(slots, 0);
    }

    /**
     * Reads how a node describes its cluster.
     *
     * @param clusterNodes its reply to {@code CLUSTER NODES}
     * @param answering the node itself, as {@code HOST:PORT}, in place of an address that it does not know
     * @param nodes gives the node at {@code HOST:PORT}
     * @throws IOException if it cannot be understood
     */
    static SlotMap parse(String clusterNodes, String answering, Function<String, Node> nodes) throws IOException {
        try {
            @Nullable Node[] slots = new Node[SlotHash.SLOT_COUNT];
            long epoch = 0;
            Partitions partitions = ClusterPartitionParser.parse(clusterNodes);
            for (RedisClusterNode described : partitions) {
                String host = host(described, answering);
                if (host != null && !described.getSlots().isEmpty()) {
                    Node node = nodes.apply(host);
                    described.getSlots().forEach(slot -> slots[slot] = node);
                    epoch = Math.max(epoch, described.getConfigEpoch());
                }
            }
            return new SlotMap(slots, epoch);
        } catch (RuntimeException e) { // whatever it is that came, it is no description
            throw new IOException("description of the cluster cannot be understood: " + Replies.text(e), e);
        }
    }

    private static @Nullable String host(RedisClusterNode described, String answering) {
        if (described.getUri() != null && described.getUri().getPort() > 0) {
            return described.getUri().getHost() + ":" + described.getUri().getPort();
        }
        return described.is(RedisClusterNode.NodeFlag.MYSELF) ? answering : null;
    }

    /** The same, but for a slot that another node has. */
    SlotMap with(int slot, Node node) {
        @Nullable Node[] changed = slots.clone();
        changed[slot] = node;
        return new SlotMap(changed, epoch);
    }

    /** The greatest configuration epoch of a node: it grows with every election, and whoever knows less is behind. */
    long epoch() {
        return epoch;
    }

    /** Who has a slot; null: nobody. */
    @Nullable
    Node node(int slot) {
        return slots[slot];
    }

    /** Those that have slots. */
    Collection<Node> nodes() {
        return nodes;
    }

    /** How many slots nobody has. */
    int uncovered() {
        int uncovered = 0;
        for (Node node : slots) {
            uncovered += node == null ? 1 : 0;
        }
        return uncovered;
    }
}
