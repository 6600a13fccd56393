package io.kvcache.localredis;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A cluster of redis-servers on 127.0.0.1, all of them masters, with an even share of the slots each. A node that does
 * not reply counts as failed after a second or two; the others go on serving their slots.
 *
 * <p>Each node ends with {@link #close}, and with this JVM.
 *
 * <p>Thread-safe.
 */
public final class LocalCluster implements AutoCloseable {
    /** Slots of every cluster. */
    public static final int SLOTS = 16_384;

    // Masters that have just started wait two seconds before they serve.
    private static final long START_NANOS = TimeUnit.SECONDS.toNanos(20);
    private static final long POLL_MILLIS = 20;

    private final List<LocalRedis> nodes;

    private LocalCluster(List<LocalRedis> nodes) {
        this.nodes = List.copyOf(nodes);
    }

    /**
     * Starts a cluster, and waits until all nodes call it well, 20 seconds at most. It takes a little over two.
     *
     * @param nodes how many
     * @param arguments of the command line of each node, beyond those of every node here
     * @return the cluster, to be closed
     * @throws IllegalStateException if there is no redis-server, or one does not start, or they do not find each other
     */
    public static LocalCluster start(int nodes, String... arguments) {
        List<String> all = new ArrayList<>(List.of("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"));
        all.addAll(List.of("--cluster-require-full-coverage", "no"));
        all.addAll(List.of(arguments));
        List<LocalRedis> started = new ArrayList<>();
        try {
            for (int i = 0; i < nodes; i++) {
                started.add(LocalRedis.start(all.toArray(String[]::new)));
            }
            LocalCluster cluster = new LocalCluster(started);
            cluster.join();
            cluster.awaitOk();
            return cluster;
        } catch (Throwable e) {
            started.forEach(LocalRedis::close);
            throw e;
        }
    }

    private void join() {
        LocalRedis first = nodes.getFirst();
        for (int i = 0; i < nodes.size(); i++) {
            LocalRedis node = nodes.get(i);
            node.command("CLUSTER", "SET-CONFIG-EPOCH", String.valueOf(i + 1)); // no two nodes may have the same
            node.command(addSlots(i));
            if (node != first) {
                node.command("CLUSTER", "MEET", "127.0.0.1", String.valueOf(first.port()));
            }
        }
    }

    private String[] addSlots(int node) { // ADDSLOTSRANGE needs Redis 7
        return Stream.concat(
                        Stream.of("CLUSTER", "ADDSLOTS"),
                        IntStream.rangeClosed(firstSlot(node), lastSlot(node)).mapToObj(String::valueOf))
                .toArray(String[]::new);
    }

    /**
     * Waits until all nodes serve, and each knows of all: after {@link LocalRedis#restart}, for example. 20 seconds at
     * most.
     *
     * @throws IllegalStateException if they do not
     */
    public void awaitOk() {
        long start = System.nanoTime();
        while (!nodes.stream().allMatch(this::isOk)) {
            if (System.nanoTime() - start > START_NANOS) {
                throw new IllegalStateException("cluster is not well: "
                        + nodes.stream()
                                .map(node -> node.command("CLUSTER", "INFO"))
                                .toList());
            }
            sleep();
        }
    }

    private boolean isOk(LocalRedis node) {
        List<String> lines = node.command("CLUSTER", "INFO").lines().toList();
        return lines.contains("cluster_state:ok")
                && lines.contains("cluster_slots_ok:" + SLOTS)
                && lines.contains("cluster_size:" + nodes.size());
    }

    private static void sleep() {
        try {
            Thread.sleep(POLL_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while a cluster forms", e);
        }
    }

    /**
     * Where it is: all its nodes.
     *
     * @return for example {@code redis://127.0.0.1:12345,127.0.0.1:12346,127.0.0.1:12347}
     */
    public String uri() {
        return nodes.stream().map(node -> "127.0.0.1:" + node.port()).collect(Collectors.joining(",", "redis://", ""));
    }

    /**
     * How many nodes it was started with.
     *
     * @return nodes, killed ones included
     */
    public int size() {
        return nodes.size();
    }

    /**
     * A node; whoever kills it may restart it.
     *
     * @param node from 0
     * @return the server
     */
    public LocalRedis node(int node) {
        return nodes.get(node);
    }

    /**
     * The first slot of a node.
     *
     * @param node from 0
     * @return the slot
     */
    public int firstSlot(int node) {
        return SLOTS * node / nodes.size();
    }

    /**
     * The last slot of a node.
     *
     * @param node from 0
     * @return the slot, which is its own
     */
    public int lastSlot(int node) {
        return firstSlot(node + 1) - 1;
    }

    /** Ends all nodes. */
    @Override
    public void close() {
        nodes.forEach(LocalRedis::close);
    }
}
