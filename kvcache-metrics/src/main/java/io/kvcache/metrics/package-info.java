/**
 * What a cache does, told to others: {@link io.kvcache.metrics.KvCacheMetrics} to Micrometer, {@link
 * io.kvcache.metrics.FlightRecorderStatistics} and {@link io.kvcache.metrics.FlightRecorderBlocks} to the JDK Flight Recorder.
 */
@NullMarked
package io.kvcache.metrics;

import org.jspecify.annotations.NullMarked;
