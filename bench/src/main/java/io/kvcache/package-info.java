/** Benchmarks of package-private parts of the library. */
@NullMarked
package io.kvcache;

import org.jspecify.annotations.NullMarked;
