package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.localredis.LocalCluster;
import io.kvcache.localredis.LocalRedis;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** Publisher and follower by threads of their own, with servers that come and go. */
final class EventFollowerTest {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(20);

    private final TinyCache tiny = new TinyCache(100, 10_000, 5);
    private final CacheMirror mirror = new CacheMirror();

    private static void until(BooleanSupplier condition) {
        long start = System.nanoTime();
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() - start < PATIENCE_NANOS, "it never comes");
            LockSupport.parkNanos(100_000);
        }
    }

    private EventPublisher publish(EventStream stream) {
        return EventPublisher.start(stream, tiny.journal, tiny.cache::contents);
    }

    private void operate() {
        for (int i = 0; i < 500; i++) {
            tiny.operate();
        }
    }

    private void assertCatchesUp() {
        until(() -> mirror.isUpToDate() && mirror.number() == tiny.journal.last());
        assertEquals(tiny.told(), mirror.contents());
    }

    @Test
    @SuppressWarnings("try") // what works by threads of its own is only closed
    void shouldHealWhenAServerComesBack() {
        try (tiny;
                LocalRedis redis = LocalRedis.start()) {
            EventStream stream = EventStream.of(RemoteOptions.of(redis.uri()), "m");
            try (EventFollower follower = EventFollower.start(stream, mirror);
                    EventPublisher publisher = publish(stream)) {
                for (int round = 0; round < 3; round++) {
                    operate();
                    assertCatchesUp();
                    redis.kill();
                    operate();
                    until(() -> !mirror.isUpToDate());
                    redis.restart();
                    assertCatchesUp();
                }
                redis.pause();
                operate();
                until(() -> !mirror.isUpToDate());
                redis.resume();
                assertCatchesUp();
                follower.close();
                assertFalse(mirror.isUpToDate(), "nobody reads any more");
            }
        }
    }

    @Test
    @SuppressWarnings("try") // what works by threads of its own is only closed
    void shouldBeginWithoutAServer() {
        try (tiny;
                LocalRedis redis = LocalRedis.start("--requirepass", "secret")) {
            redis.kill();
            EventStream stream = EventStream.of(RemoteOptions.of("redis://:secret@127.0.0.1:" + redis.port()), "m");
            try (EventFollower follower = EventFollower.start(stream, mirror);
                    EventPublisher publisher = publish(stream)) {
                operate();
                redis.restart();
                assertCatchesUp();
            }
        }
    }

    private static String nodeWithoutTheStream(LocalCluster cluster) {
        String key = EventStream.of(RemoteOptions.of(cluster.uri()), "m").eventsKey();
        int slot = Integer.parseInt(cluster.node(0).command("CLUSTER", "KEYSLOT", key));
        return cluster.node(slot > cluster.lastSlot(0) ? 0 : 1).uri();
    }

    @Test
    @SuppressWarnings("try") // what works by threads of its own is only closed
    void shouldFollowByWayOfACluster() {
        try (tiny;
                LocalCluster cluster = LocalCluster.start(3)) {
            EventStream stream = EventStream.of(RemoteOptions.of(nodeWithoutTheStream(cluster)), "m");
            try (EventFollower follower = EventFollower.start(stream, mirror);
                    EventPublisher publisher = publish(stream)) {
                operate();
                assertCatchesUp();
                for (int node = 0; node < cluster.size(); node++) {
                    cluster.node(node).pause();
                }
                until(() -> !mirror.isUpToDate());
                operate();
                for (int node = 0; node < cluster.size(); node++) {
                    cluster.node(node).resume();
                }
                assertCatchesUp();
            }
        }
    }
}
