/** Redis servers on the loopback interface, for tests and benchmarks. */
@NullMarked
package io.kvcache.localredis;

import org.jspecify.annotations.NullMarked;
