/** Stores below memory for blocks of a cache: files on a disk. */
module io.kvcache.tiers {
    requires transitive io.kvcache;
    requires static transitive org.jspecify;

    exports io.kvcache.tiers;
}
