package io.kvcache.demo;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The requests that wait to run. The more urgent goes first; among equals the one that finds the longest prefix cached, as it may
 * not be for long. Whoever was overtaken too often goes before all others: nobody starves.
 *
 * <p>Not thread-safe: belongs to the thread of the loop.
 */
final class WaitingJobs {
    /** So many are looked up in the cache for each choice. */
    private static final int LOOK_AHEAD = 32;

    private static final Comparator<Job> BY_CACHED_PREFIX = Comparator.comparingInt(
                    (Job job) -> job.isOverdue() ? 0 : 1)
            .thenComparingLong(job -> -(long) job.request.priority())
            .thenComparingInt(job -> job.isOverdue() ? 0 : -job.cachedNow)
            .thenComparing(Job.ORDER);

    private final List<Job> jobs = new ArrayList<>(); // in Job.ORDER
    private final List<Job> candidates = new ArrayList<>();

    boolean isEmpty() {
        return jobs.isEmpty();
    }

    int size() {
        return jobs.size();
    }

    Job get(int index) {
        return jobs.get(index);
    }

    void remove(int index) {
        jobs.remove(index);
    }

    void add(Job job) {
        int at = jobs.size();
        while (at > 0 && Job.ORDER.compare(job, jobs.get(at - 1)) < 0) {
            at--;
        }
        jobs.add(at, job);
    }

    /** Takes the next one to run out; null if there is no room for any, or for one that nobody may overtake any more. */
    @Nullable
    Job take(Predicate<Job> hasRoom) {
        candidates.clear();
        for (Job job : jobs.subList(0, Math.min(LOOK_AHEAD, jobs.size()))) {
            job.cachedNow = job.namespace.probe(job.firstOpen().text());
            candidates.add(job);
        }
        candidates.sort(BY_CACHED_PREFIX);
        for (Job job : candidates) {
            if (hasRoom.test(job)) {
                jobs.remove(job);
                overtake(job);
                return job;
            }
            if (job.isOverdue()) {
                return null;
            }
        }
        return null;
    }

    private void overtake(Job taken) {
        for (Job job : jobs) {
            job.overtaken += job.arrivedBefore(taken) ? 1 : 0;
        }
        jobs.sort(Job.ORDER);
    }
}
