package io.kvcache.bench;

import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.CustomOp;
import org.nd4j.linalg.api.ops.impl.shape.Concat;
import org.nd4j.linalg.api.ops.impl.transforms.custom.SoftMax;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Decode attention on ND4J. Its products take whole arrays, so each step first copies all keys and values of the layer into one array of
 * keys and one of values, and then does two products and a softmax.
 *
 * <p>Of the forms that ND4J has, these were the fastest: to copy into memory that is there already (a new array for each step takes four
 * times as long); keys and values of a head next to each other; a product for each head, of a matrix with a vector where a K/V
 * head has one query head, else of matrices with results in columns (one product of all heads takes 1.4 to 2 times as long).
 *
 * <p>Not thread-safe: one caller.
 */
final class Nd4jAttention implements AutoCloseable {
    private final INDArray keys; // [kvHeads][tokens][headSize]
    private final INDArray values; // [kvHeads][tokens][headSize]
    private final INDArray queries; // [kvHeads][group * headSize], group query heads to a K/V head
    private final INDArray outputs; // [kvHeads][group * headSize]
    private final INDArray scores; // [kvHeads][group * tokens]
    private final FloatBuffer queryFloats;
    private final FloatBuffer outputFloats;
    private final Head[] heads; // [kvHeads]
    private final float scale;

    /** Views of what belongs to a K/V head. */
    private record Head(
            INDArray keys,
            INDArray transposedValues,
            INDArray values,
            INDArray query,
            INDArray scores,
            INDArray output,
            boolean single) {
        void score() {
            if (single) {
                Nd4j.matmul(keys, query, scores);
            } else {
                Nd4j.matmul(query, keys, scores, false, true, false);
            }
        }

        void softmax() {
            Nd4j.exec((CustomOp) new SoftMax(scores, scores, scores.rank() - 1));
        }

        void sumUp() {
            if (single) {
                Nd4j.matmul(transposedValues, scores, output);
            } else {
                Nd4j.matmul(scores, values, output, false, false, false);
            }
        }
    }

    Nd4jAttention(int queryHeads, int kvHeads, int headSize, int tokens) {
        int group = queryHeads / kvHeads;
        this.keys = zeros(kvHeads, tokens, headSize);
        this.values = zeros(kvHeads, tokens, headSize);
        this.queries = zeros(kvHeads, (long) group * headSize);
        this.outputs = zeros(kvHeads, (long) group * headSize);
        this.scores = zeros(kvHeads, (long) group * tokens);
        this.queryFloats = floats(queries);
        this.outputFloats = floats(outputs);
        this.scale = (float) (1 / Math.sqrt(headSize));
        this.heads = new Head[kvHeads];
        for (int head = 0; head < kvHeads; head++) {
            heads[head] = head(head, group, headSize, tokens);
        }
    }

    private Head head(int head, int group, int headSize, int tokens) {
        INDArray ofValues = values.slice(head);
        return new Head(
                keys.slice(head),
                ofValues.transpose(),
                ofValues,
                matrix(queries.slice(head), group, headSize),
                matrix(scores.slice(head), group, tokens),
                matrix(outputs.slice(head), group, headSize),
                group == 1);
    }

    /** The row itself for one query head, else [group][columns] in the order of columns. */
    private static INDArray matrix(INDArray row, int group, int columns) {
        return group == 1 ? row : row.reshape('f', group, columns);
    }

    private static INDArray zeros(long... shape) {
        return Nd4j.zeros(DataType.FLOAT, shape);
    }

    private static FloatBuffer floats(INDArray array) {
        return array.data()
                .pointer()
                .asByteBuffer()
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    /**
     * Copies the history of a layer together.
     *
     * @param keyParts arrays of [kvHeads][some tokens][headSize], all tokens in all
     * @param valueParts likewise
     */
    void concatenate(INDArray[] keyParts, INDArray[] valueParts) {
        concatenate(keyParts, keys);
        concatenate(valueParts, values);
    }

    private static void concatenate(INDArray[] parts, INDArray whole) {
        Concat concat = new Concat(1, parts);
        concat.addOutputArgument(whole);
        Nd4j.exec(concat);
    }

    /**
     * Attends to what was copied last.
     *
     * @param query [queryHeads][headSize]
     * @param output [queryHeads][headSize], overwritten
     */
    void attend(float[] query, float[] output) {
        int group = query.length / (int) (keys.size(0) * keys.size(2));
        write(query, group);
        for (Head head : heads) {
            head.score();
            head.softmax();
            head.sumUp();
        }
        read(output, group);
    }

    /** Queries are few: they are scaled and put in the order of columns one by one. */
    private void write(float[] query, int group) {
        int headSize = (int) keys.size(2);
        for (int i = 0; i < query.length; i++) {
            queryFloats.put(inColumns(i, group, headSize), query[i] * scale);
        }
    }

    private void read(float[] output, int group) {
        int headSize = (int) keys.size(2);
        for (int i = 0; i < output.length; i++) {
            output[i] = outputFloats.get(inColumns(i, group, headSize));
        }
    }

    /** Where an element of [kvHeads][group][headSize] lies in [kvHeads][headSize][group]. */
    private static int inColumns(int index, int group, int headSize) {
        int head = index / headSize;
        return head / group * group * headSize + index % headSize * group + head % group;
    }

    /** Frees the memory. */
    @Override
    public void close() {
        keys.close();
        values.close();
        queries.close();
        outputs.close();
        scores.close();
    }
}
