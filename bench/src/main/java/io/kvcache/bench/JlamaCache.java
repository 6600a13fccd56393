package io.kvcache.bench;

import com.github.tjake.jlama.math.ActivationFunction;
import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.DistributedContext;
import com.github.tjake.jlama.model.ModelSupport;
import com.github.tjake.jlama.model.TransformerBlock;
import com.github.tjake.jlama.model.functions.EmbedInput;
import com.github.tjake.jlama.model.functions.SampleOutput;
import com.github.tjake.jlama.safetensors.Config;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.TensorInfo;
import com.github.tjake.jlama.safetensors.WeightLoader;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.tensor.FloatBufferTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * One sequence in Jlama's cache of keys and values, F32, in memory: without a working directory it keeps no page
 * file. Jlama's cache asks its model for nothing but shapes and types, so the model has no weights.
 *
 * <p>Not thread-safe.
 */
final class JlamaCache implements AutoCloseable {
    private final int layers;
    private final int width;
    private final KvBufferCache cache;
    private final KvBufferCache.KvBuffer buffer;
    private final AbstractTensor<?, ?> key; // [1][kvHeads * headSize]
    private final AbstractTensor<?, ?> value; // [1][kvHeads * headSize]

    /** Makes a sequence that will append this key and this value, [kvHeads * headSize] each. */
    JlamaCache(int layers, int kvHeads, int contextTokens, float[] key, float[] value) {
        this.layers = layers;
        this.width = key.length;
        this.cache = new KvBufferCache(new Shapes(config(layers, kvHeads, width, contextTokens)));
        this.buffer = cache.getEphemeralKvBuffer();
        this.key = row(key);
        this.value = row(value);
    }

    private static Config config(int layers, int kvHeads, int width, int contextTokens) {
        int hidden = 4 * width;
        return new Config(
                contextTokens,
                width,
                hidden,
                kvHeads,
                kvHeads,
                layers,
                1e-5f,
                128,
                0,
                List.of(0),
                ActivationFunction.Type.SILU,
                10_000.0,
                1.0);
    }

    private static AbstractTensor<?, ?> row(float[] numbers) {
        AbstractTensor<?, ?> row = new FloatBufferTensor(1, numbers.length);
        for (int i = 0; i < numbers.length; i++) {
            row.set(numbers[i], 0, i);
        }
        return row;
    }

    /** Writes the key and the value of a position in all layers, as Jlama's attention does. */
    int append(int position) {
        buffer.setCurrentContextPosition(position);
        for (int layer = 0; layer < layers; layer++) {
            copy(key, buffer.getKeyTensorForPosition(layer, position));
            copy(value, buffer.getValTensorForPosition(layer, position));
        }
        buffer.incrementContextPosition();
        return buffer.getCurrentContextPosition();
    }

    private void copy(AbstractTensor<?, ?> from, AbstractTensor<?, ?> to) {
        to.copyFrom(from, from.getOffset(0, 0), to.getOffset(0, 0), width);
    }

    /** A number of the key of a position. */
    float key(int layer, int position, int index) {
        return buffer.getKeyTensorForPosition(layer, position).get(0, index);
    }

    /** A number of the value of a position. */
    float value(int layer, int position, int index) {
        return buffer.getValTensorForPosition(layer, position).get(0, index);
    }

    @Override
    public void close() {
        buffer.close();
        cache.close();
    }

    /** A model that has a configuration only. */
    private static final class Shapes extends AbstractModel {
        Shapes(Config config) {
            // Of all kinds the one that loads least.
            super(InferenceType.OUTPUT_TO_TOKEN, config, new NoWeights(), null, DType.F32, DType.F32, Optional.empty());
        }

        @Override
        protected @Nullable EmbedInput loadInputWeights() {
            return null;
        }

        @Override
        protected TransformerBlock @Nullable [] loadTransformerBlockWeights() {
            return null;
        }

        @Override
        protected @Nullable SampleOutput loadOutputWeights() {
            return null;
        }

        @Override
        public ModelSupport.ModelType getModelType() {
            return ModelSupport.ModelType.LLAMA;
        }
    }

    /** Says what type weights would have. */
    private static final class NoWeights implements WeightLoader {
        @Override
        public Map<String, String> metadata() {
            return Map.of();
        }

        @Override
        public Map<String, TensorInfo> tensorInfoMap() {
            return Map.of();
        }

        @Override
        public AbstractTensor<?, ?> load(
                String name, DistributedContext context, boolean sparseRows, boolean sparseColumns) {
            throw new IllegalArgumentException("model has no weights: name=" + name);
        }

        @Override
        public DType getModelDType() {
            return DType.F32;
        }

        @Override
        public void close() {}
    }
}
