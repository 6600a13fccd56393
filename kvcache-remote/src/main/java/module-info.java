/** A store that many machines share, and what a cache holds, told to others; both by a Valkey or Redis server or cluster. */
module io.kvcache.remote {
    requires transitive io.kvcache;
    requires static transitive org.jspecify;
    requires io.netty.buffer;
    requires lettuce.core;

    exports io.kvcache.remote;
}
