package io.kvcache;

import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Threads for JMH of the kind that Netty is fastest on, with thread-locals of its own. A benchmark asks for them with
 * {@code -Djmh.executor=CUSTOM} and {@code -Djmh.executor.class}, the name of this class.
 *
 * <p>Thread-safe.
 */
public final class NettyExecutor extends ThreadPoolExecutor {
    /**
     * For JMH.
     *
     * @param threads how many
     * @param name of them
     */
    public NettyExecutor(int threads, String name) {
        super(
                threads,
                threads,
                1,
                TimeUnit.MINUTES,
                new LinkedBlockingQueue<>(),
                new DefaultThreadFactory(name, true)); // makes a FastThreadLocalThread
    }
}
