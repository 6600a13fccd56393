/**
 * One small program for each capability of the cache. Each has a {@code main} without arguments and prints what it shows; all of
 * them compute the keys and values of a {@link io.kvcache.examples.TinyModel}.
 */
@NullMarked
package io.kvcache.examples;

import org.jspecify.annotations.NullMarked;
