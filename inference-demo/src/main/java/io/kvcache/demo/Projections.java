package io.kvcache.demo;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * Products of activations with the weight matrices of a model, on ND4J. This class is all that the decoder knows of ND4J:
 * its callers see float arrays.
 *
 * <p>Not thread-safe: products share the memory through which activations go to ND4J and come back.
 */
final class Projections implements AutoCloseable {
    /** A weight matrix. */
    final class Projection {
        private final INDArray weights; // [inputs][outputs], column-major: the file's [outputs][inputs] as it is
        private final int inputs;
        private final int outputs;
        private final Staging in;
        private final Staging out;

        private Projection(INDArray weights) {
            this.weights = weights;
            this.inputs = (int) weights.size(0);
            this.outputs = (int) weights.size(1);
            this.in = inputStagings.computeIfAbsent(inputs, Staging::new);
            this.out = outputStagings.computeIfAbsent(outputs, Staging::new);
        }

        /** Sets output [rows][outputs] to input [rows][inputs] x weights; at most {@code maximumRows}. */
        void apply(float[] input, int rows, float[] output) {
            in.floats.put(0, input, 0, rows * inputs);
            Nd4j.matmul(in.rows(rows), weights, out.rows(rows));
            out.floats.get(0, output, 0, rows * outputs);
        }
    }

    /** Native memory for [maximumRows][width] activations. */
    private final class Staging {
        private final INDArray all;
        private final FloatBuffer floats;
        private INDArray view;

        Staging(int width) {
            all = Nd4j.createUninitialized(DataType.FLOAT, new long[] {maximumRows, width}, 'c');
            floats = all.data()
                    .pointer()
                    .asByteBuffer()
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer();
            view = all;
        }

        /** The first rows. Prefill and decoding ask for the same number many times in a row. */
        INDArray rows(int rows) {
            if (view.size(0) != rows) {
                view = all.get(NDArrayIndex.interval(0, rows), NDArrayIndex.all());
            }
            return view;
        }
    }

    private final int maximumRows;
    private final List<INDArray> loaded = new ArrayList<>();
    private final Map<Integer, Staging> inputStagings = new HashMap<>();
    private final Map<Integer, Staging> outputStagings = new HashMap<>();

    /** Projections that take at most {@code maximumRows} rows of activations at once. */
    Projections(int maximumRows) {
        this.maximumRows = maximumRows;
    }

    /** Copies a matrix [outputs][inputs] of the file to native memory, as F32. */
    Projection load(Tensor tensor) {
        INDArray weights = Nd4j.createUninitialized(DataType.FLOAT, new long[] {tensor.columns(), tensor.rows()}, 'f');
        loaded.add(weights);
        tensor.readRows(0, tensor.rows(), nativeMemory(weights));
        return new Projection(weights);
    }

    @SuppressWarnings("restricted") // ND4J allocated this many floats at that address
    private static MemorySegment nativeMemory(INDArray array) {
        long bytes = array.length() * Float.BYTES;
        return MemorySegment.ofAddress(array.data().pointer().address()).reinterpret(bytes);
    }

    /** Frees the weights. */
    @Override
    public void close() {
        loaded.forEach(INDArray::close);
        inputStagings.values().forEach(staging -> staging.all.close());
        outputStagings.values().forEach(staging -> staging.all.close());
    }
}
