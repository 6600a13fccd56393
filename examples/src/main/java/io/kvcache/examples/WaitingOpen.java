package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** A crowd of requests on a cache for two: an open with a deadline waits for its turn, for a slot and for room. */
final class WaitingOpen {
    private WaitingOpen() {}

    public static void main(String[] arguments) throws InterruptedException {
        try (KvCache cache = TinyModel.cacheOf(8).maximumSequences(2).build()) {
            Namespace namespace = cache.namespace("chat");
            System.out.println("served: " + serve(namespace, 100) + " of 100");
            try (Sequence one = namespace.open(TinyModel.tokens("one"));
                    Sequence two = namespace.open(TinyModel.tokens("two"));
                    Sequence three = namespace.open(TinyModel.tokens("three"), OpenOptions.DEFAULT, Duration.ZERO)) {
                System.out.println(one + "\n" + two + "\nwithout patience: " + three);
            }
        }
    }

    private static long serve(Namespace namespace, int requests) throws InterruptedException {
        List<Callable<Boolean>> answers = new ArrayList<>();
        for (int i = 0; i < requests; i++) {
            int[] prompt = TinyModel.tokens("request " + i);
            answers.add(() -> answer(namespace, prompt));
        }
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            return threads.invokeAll(answers).stream().filter(Future::resultNow).count();
        }
    }

    private static boolean answer(Namespace namespace, int[] prompt) throws InterruptedException {
        OpenOptions withRoomForAnswer = OpenOptions.DEFAULT.withRoom(4);
        try (Sequence sequence = namespace.open(prompt, withRoomForAnswer, Duration.ofMinutes(1))) {
            if (sequence == null) { // the deadline came first
                return false;
            }
            TinyModel.prefill(sequence, prompt);
            return TinyModel.compute(sequence, 'd', 'o', 'n', 'e'); // reserved with the prompt: cannot be refused
        }
    }
}
