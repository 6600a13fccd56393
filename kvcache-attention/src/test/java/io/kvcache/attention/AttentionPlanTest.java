package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Tasks cover what each row sees exactly once, and what sequences share in one task for all of them. */
final class AttentionPlanTest {
    private static final int TOKENS = 16;
    private static final KvLayout LAYOUT = Filled.layout(KvType.F32, BlockOrder.TILES, 1, 4, TOKENS);

    private final Random random = new Random(4);

    /** A row of a batch as it was asked for. */
    private record Row(Sequence sequence, int position, int from, int to) {
        boolean sees(int other, AttentionOptions options) {
            boolean inWindow =
                    options.window() == 0 || other < options.sinks() || other > (long) position - options.window();
            return other <= position && other >= from && other < to && inWindow;
        }
    }

    private static List<Row> add(AttentionBatch batch, Sequence sequence, int position, int count, int from, int to) {
        batch.add(sequence, position, count, from, to);
        return IntStream.range(position, position + count)
                .mapToObj(each -> new Row(sequence, each, from, to))
                .toList();
    }

    private <T> T any(List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }

    @Test
    void shouldCoverWhatEachRowSeesExactlyOnce() {
        for (int round = 0; round < 400; round++) {
            try (Filled filled = new Filled(LAYOUT, random)) {
                openSome(filled);
                AttentionOptions options = random.nextBoolean()
                        ? AttentionOptions.DEFAULT
                        : AttentionOptions.DEFAULT.withWindow(1 + random.nextInt(120), any(List.of(0, 1, 4, 16, 40)));
                AttentionBatch batch = new AttentionBatch();
                List<Row> rows = randomRows(filled, batch);
                int maximumRows = any(List.of(1, 2, 7, 64, 1000));
                int threads = any(List.of(1, 2, 4));
                AttentionPlan plan = new AttentionPlan(TOKENS, any(List.of(1, 4, 7)), maximumRows, threads);
                plan.make(batch, options);
                String name = "round=" + round + " options=" + options + " rows=" + rows;
                assertCovers(plan, rows, options, maximumRows, name);
                if (threads == 1 && rows.size() <= maximumRows) {
                    assertSharesAllItCan(plan, options, name);
                }
            }
        }
    }

    private void openSome(Filled filled) {
        filled.open(1 + random.nextInt(200));
        while (filled.sequences.size() < 12 && random.nextInt(6) != 0) {
            if (random.nextInt(5) == 0) {
                filled.open(1 + random.nextInt(700));
            } else {
                filled.fork(any(filled.sequences), random.nextInt(3) == 0 ? 0 : random.nextInt(70));
            }
        }
    }

    private List<Row> randomRows(Filled filled, AttentionBatch batch) {
        List<Row> rows = new ArrayList<>();
        for (Sequence sequence : filled.sequences) {
            int count = random.nextInt(1 + Math.min(sequence.length(), any(List.of(1, 1, 30))));
            int position = sequence.length() - count - random.nextInt(sequence.length() - count + 1);
            boolean ranged = random.nextInt(4) == 0;
            int from = ranged ? random.nextInt(sequence.length() + 20) : 0;
            int to = ranged ? from + random.nextInt(sequence.length() + 1) : Integer.MAX_VALUE;
            rows.addAll(add(batch, sequence, position, count, from, to));
        }
        return rows;
    }

    private static void assertCovers(
            AttentionPlan plan, List<Row> rows, AttentionOptions options, int maximumRows, String name) {
        List<int[]> seen =
                rows.stream().map(row -> new int[row.sequence.length()]).toList();
        for (int task = 0; task < plan.tasks(); task++) {
            assertTrue(plan.rows(task) > 0 && plan.rows(task) <= maximumRows, name);
            assertTrue(plan.firstBlock(task) < plan.endBlock(task), name);
            for (int listed = plan.firstRow(task); listed < plan.firstRow(task + 1); listed++) {
                int row = plan.row(listed);
                int[] table = rows.get(row).sequence.blockTable();
                int[] ofTask = plan.sequence(task).blockTable();
                for (int block = plan.firstBlock(task); block < plan.endBlock(task); block++) {
                    int from = Math.max(block * TOKENS, plan.seenFrom(task, listed));
                    int to = Math.min((block + 1) * TOKENS, plan.seenTo(task, listed));
                    for (int position = from; position < to; position++) {
                        assertEquals(table[block], ofTask[block], name);
                        seen.get(row)[position]++;
                    }
                }
            }
        }
        for (int row = 0; row < rows.size(); row++) {
            Row of = rows.get(row);
            int[] expected = IntStream.range(0, of.sequence.length())
                    .map(position -> of.sees(position, options) ? 1 : 0)
                    .toArray();
            assertArrayEquals(expected, seen.get(row), name + " row=" + row);
        }
    }

    /** No two tasks read the same block, but one for the window and one for sinks. */
    private static void assertSharesAllItCan(AttentionPlan plan, AttentionOptions options, String name) {
        Map<Integer, Integer> tasksOf = new HashMap<>();
        for (int task = 0; task < plan.tasks(); task++) {
            int[] table = plan.sequence(task).blockTable();
            for (int block = plan.firstBlock(task); block < plan.endBlock(task); block++) {
                int tasks = tasksOf.merge(table[block], 1, Integer::sum);
                assertTrue(tasks <= (options.sinks() == 0 ? 1 : 2), () -> name + " tasks=" + tasks);
            }
        }
    }

    /** Says of each task which rows it lets attend to which blocks. */
    private static List<String> describe(AttentionPlan plan) {
        List<String> tasks = new ArrayList<>();
        for (int task = 0; task < plan.tasks(); task++) {
            String rows = IntStream.range(plan.firstRow(task), plan.firstRow(task + 1))
                    .map(plan::row)
                    .sorted()
                    .boxed()
                    .toList()
                    .toString();
            tasks.add(rows + " " + plan.firstBlock(task) + ".." + plan.endBlock(task));
        }
        return tasks.stream().sorted().toList();
    }

    @Test
    void shouldReadWhatForksShareInOneTask() {
        try (Filled filled = new Filled(LAYOUT, random)) {
            Sequence first = filled.open(2 * TOKENS);
            Sequence second = filled.fork(first, TOKENS);
            Sequence third = filled.fork(second, 5);
            filled.append(second, 5);
            filled.append(first, 20);
            AttentionBatch batch = new AttentionBatch().add(first).add(second).add(third, third.length() - 2, 2);
            AttentionPlan plan = new AttentionPlan(TOKENS, 1, 100, 1);
            plan.make(batch, AttentionOptions.DEFAULT);
            assertEquals(
                    List.of("[0, 1, 2, 3] 0..2", "[0] 2..4", "[1, 2, 3] 2..3", "[1] 3..4", "[2, 3] 3..4"),
                    describe(plan));
            AttentionPlan small = new AttentionPlan(TOKENS, 1, 3, 1);
            small.make(batch, AttentionOptions.DEFAULT);
            assertEquals(
                    2,
                    describe(small).stream()
                            .filter(task -> task.endsWith(" 0..2"))
                            .count());
            assertTrue(IntStream.range(0, small.tasks()).allMatch(task -> small.rows(task) <= 3));
        }
    }

    @Test
    void shouldReadWhatEqualPromptsShareInOneTask() {
        int[] prompt = IntStream.range(0, 3 * TOKENS + 1).toArray();
        try (Filled filled = new Filled(LAYOUT, random)) {
            AttentionBatch batch = new AttentionBatch();
            for (int i = 0; i < 3; i++) {
                Sequence sequence = filled.cache.namespace("same").open(prompt);
                filled.sequences.add(sequence);
                assertEquals(i == 0 ? 0 : 3 * TOKENS, sequence.cachedTokens());
                int missing = prompt.length - sequence.length();
                assertTrue(sequence.tryReserve(missing));
                sequence.write(0, sequence.length(), missing, new float[4 * missing], 0, new float[4 * missing], 0);
                sequence.commit(prompt, sequence.length(), missing);
                batch.add(sequence);
            }
            AttentionPlan plan = new AttentionPlan(TOKENS, 1, 100, 1);
            plan.make(batch, AttentionOptions.DEFAULT);
            assertEquals(List.of("[0, 1, 2] 0..3", "[0] 3..4", "[1] 3..4", "[2] 3..4"), describe(plan));
        }
    }

    @Test
    void shouldLeaveOutBlocksThatNobodySees() {
        try (Filled filled = new Filled(LAYOUT, random)) {
            Sequence sequence = filled.open(20 * TOKENS);
            AttentionPlan plan = new AttentionPlan(TOKENS, 1, 100, 1);
            plan.make(new AttentionBatch().add(sequence), AttentionOptions.DEFAULT.withWindow(TOKENS + 1, 3));
            assertEquals(List.of("[0] 0..1", "[0] 18..20"), describe(plan));
            plan.make(new AttentionBatch().add(sequence, 40, 1, 16, 33), AttentionOptions.DEFAULT);
            assertEquals(List.of("[0] 1..3"), describe(plan));
            plan.make(new AttentionBatch().add(sequence, 40, 1, 48, 60), AttentionOptions.DEFAULT);
            assertEquals(List.of(), describe(plan));
        }
    }

    @Test
    void shouldCutALongRunForThreads() {
        try (Filled filled = new Filled(LAYOUT, random)) {
            Sequence sequence = filled.open(200 * TOKENS);
            AttentionPlan plan = new AttentionPlan(TOKENS, 1, 100, 2);
            plan.make(new AttentionBatch().add(sequence), AttentionOptions.DEFAULT);
            assertEquals(
                    List.of(
                            "[0] 0..25",
                            "[0] 100..125",
                            "[0] 125..150",
                            "[0] 150..175",
                            "[0] 175..200",
                            "[0] 25..50",
                            "[0] 50..75",
                            "[0] 75..100"),
                    describe(plan));
        }
    }
}
