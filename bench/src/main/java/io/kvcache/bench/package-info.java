/** Benchmarks of the cache, each beside a named rival in the same run. */
@NullMarked
package io.kvcache.bench;

import org.jspecify.annotations.NullMarked;
