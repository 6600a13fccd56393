package io.kvcache.localredis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class LocalClusterTest {
    @Test
    void shouldServeItsSlotsWithoutANodeToo() {
        try (LocalCluster cluster = LocalCluster.start(3)) {
            assertEquals(
                    "redis://127.0.0.1:" + cluster.node(0).port() + ",127.0.0.1:"
                            + cluster.node(1).port() + ",127.0.0.1:"
                            + cluster.node(2).port(),
                    cluster.uri());
            assertEquals(3, cluster.size());
            assertEquals(0, cluster.firstSlot(0));
            assertEquals(5460, cluster.lastSlot(0));
            assertEquals(5461, cluster.firstSlot(1));
            assertEquals(LocalCluster.SLOTS - 1, cluster.lastSlot(2));
            String key = "foo";
            int slot = Integer.parseInt(cluster.node(0).command("CLUSTER", "KEYSLOT", key));
            assertEquals(12182, slot);
            LocalRedis owner = cluster.node(2);
            assertEquals("OK", owner.command("SET", key, "value"));
            assertMoved(cluster, key, slot);
            cluster.node(1).kill();
            assertEquals("value", owner.command("GET", key));
            assertMoved(cluster, key, slot);
            cluster.node(1).restart();
            cluster.awaitOk();
            assertTrue(cluster.node(1).command("CLUSTER", "NODES").contains("myself,master"));
        }
    }

    private static void assertMoved(LocalCluster cluster, String key, int slot) {
        LocalRedis other = cluster.node(0);
        var error = assertThrows(IllegalStateException.class, () -> other.command("GET", key));
        assertEquals("MOVED " + slot + " 127.0.0.1:" + cluster.node(2).port(), error.getMessage());
    }
}
