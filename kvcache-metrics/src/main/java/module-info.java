/** What a cache does, for Micrometer and for the JDK Flight Recorder. */
module io.kvcache.metrics {
    requires transitive io.kvcache;
    requires transitive micrometer.core;
    requires jdk.jfr;
    requires static transitive org.jspecify;

    exports io.kvcache.metrics;
}
