/**
 * The attention KV-cache: paged off-heap keys and values of many sequences.
 *
 * <p>Needs no JVM flags.
 */
module io.kvcache {
    requires transitive org.agrona;
    requires static transitive org.jspecify;

    exports io.kvcache;
}
