/** Attention that reads keys and values where the cache keeps them. */
module io.kvcache.attention {
    requires transitive io.kvcache;
    requires static jdk.incubator.vector;
    requires static transitive org.jspecify;

    exports io.kvcache.attention;
}
