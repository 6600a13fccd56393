/**
 * Paged off-heap keys and values of many sequences, for inference engines to embed.
 *
 * <p>Start at {@link io.kvcache.KvCache}. The layers, each using only those below it: {@code KvCache} and
 * {@code Namespace}, {@code Sequence}, {@code BlockTable}, {@code BlockPool}, {@code BlockMemory}, {@code KvLayout}.
 */
@NullMarked
package io.kvcache;

import org.jspecify.annotations.NullMarked;
