package io.kvcache.bench;

import static io.kvcache.bench.RatioRule.ANY;
import static io.kvcache.bench.RatioRule.between;
import static io.kvcache.bench.RatioRule.growth;
import static io.kvcache.bench.RatioRule.growthAgainst;
import static io.kvcache.bench.RatioRule.limit;
import static io.kvcache.bench.RatioRule.quotient;
import static io.kvcache.bench.RatioRule.reported;

import io.kvcache.AllocationBenchmark;
import io.kvcache.bench.report.Bar;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** All studies, in the order in which they run. Stateless, hence thread-safe. */
final class Studies {
    private static final String DEFAULT_NETTY = "Netty pooled, its defaults: no thread cache at these sizes";
    private static final String TUNED_NETTY = "Netty pooled, cached in its own thread";

    private Studies() {}

    static List<Study> all() {
        return List.of(
                allocation(),
                append(),
                fork(),
                lookup(),
                evict(),
                expire(),
                open(),
                growthOfSequences(),
                build(),
                attention(),
                decode(),
                disk(),
                remote(),
                new MemoryStudy(),
                new ReuseStudy(),
                new ServingStudy(),
                new QualityStudy(),
                new SteadinessStudy());
    }

    /** Names of all studies. */
    static List<String> names() {
        return all().stream().map(Study::name).toList();
    }

    /** The study of a name. */
    static Study named(String name) {
        return all().stream()
                .filter(study -> study.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no such study: name=" + name + " studies=" + names()));
    }

    private static Study allocation() {
        return new JmhStudy(
                        "allocation", "Allocating and releasing a block, against buffers of Netty, Arrow and malloc")
                .suite(JmhSuite.of(AllocationBenchmark.class).quick("blockKiB", "256"))
                .ratio(quotient("Netty's time / the pool's", DEFAULT_NETTY, "nettyPooled", "pool", Bar.atLeast(2)))
                .ratio(quotient("Netty's time / the pool's", TUNED_NETTY, "nettyPooledTuned", "pool", Bar.atLeast(2)))
                .ratio(quotient("Netty's time / the pool's", "Netty adaptive", "nettyAdaptive", "pool", null))
                .ratio(quotient("Arrow's time / the pool's", "Arrow over Unsafe", "arrow", "pool", null))
                .ratio(quotient("Netty's time / a sequence's", DEFAULT_NETTY, "nettyPooled", "sequence", null))
                .ratio(quotient("Netty's time / a sequence's", TUNED_NETTY, "nettyPooledTuned", "sequence", null))
                .ratio(quotient("Netty's time / a sequence's", "Netty adaptive", "nettyAdaptive", "sequence", null))
                .ratio(quotient(
                        "Netty's time / a sequence's, 16 blocks at once",
                        TUNED_NETTY,
                        "nettyPooledTunedPrefill",
                        "sequencePrefill",
                        null))
                .plot(AllocationBenchmark.class, "Allocating and releasing, by KiB", "blockKiB")
                .note("Netty, Arrow and arenas serve any size; a pool serves one. Their buffers are not aligned to"
                        + " 64 bytes by promise; arenas zero theirs. Netty's are thread-safe as the cache is;"
                        + " AllocationBenchmark has a table.")
                .notShown("Many threads at once, other orders of release, and the first use of memory.");
    }

    private static Study append() {
        return new JmhStudy(
                        "append",
                        "Appending tokens, against arrays and buffers without pages and against copies of the past")
                .suite(JmhSuite.of(AppendTokenBenchmark.class)
                        .quick("tokens", "4096")
                        .setUp(Duration.ofMillis(500)))
                .suite(JmhSuite.of(
                                AppendBenchmark.class,
                                "plainCopyOfArrays",
                                "writeArrays",
                                "plainCopyOfPrefill",
                                "writePrefill")
                        .param("rowBytes", "4096")
                        .param("type", "F32", "F16")
                        .quick("type", "F32")
                        .quick("order", "ROWS"))
                .suite(JmhSuite.of(
                                AppendBenchmark.class,
                                "plainCopyOfSegments",
                                "writeSegments",
                                "writePrefillSegments",
                                "reserveAndCommit")
                        .param("rowBytes", "4096")
                        .param("type", "F32")
                        .param("order", "ROWS"))
                .ratio(quotient(
                        "copying the history / appending to tiles",
                        "new arrays of one row more for each token",
                        "copyHistory",
                        "appendTiles",
                        Bar.atLeast(1_000)))
                .ratio(quotient(
                        "copying the history / appending rows",
                        "new arrays of one row more for each token",
                        "copyHistory",
                        "appendRows",
                        Bar.atLeast(1_000)))
                .ratio(quotient(
                        "concatenating / appending to tiles",
                        "ND4J concat of past and present",
                        "nd4jConcat",
                        "appendTiles",
                        null))
                .ratio(quotient("Jlama / appending to tiles", "Jlama's KvBufferCache", "jlama", "appendTiles", null))
                .ratio(quotient("Jlama / appending rows", "Jlama's KvBufferCache", "jlama", "appendRows", null))
                .ratio(quotient(
                        "appending to tiles / arrays",
                        "heap arrays for the whole context",
                        "appendTiles",
                        "heapArrays",
                        null))
                .ratio(quotient(
                        "appending rows / arrays",
                        "heap arrays for the whole context",
                        "appendRows",
                        "heapArrays",
                        null))
                .ratio(quotient(
                        "appending rows / buffers",
                        "native buffers for the whole context",
                        "appendRows",
                        "nativeBuffers",
                        null))
                .ratio(quotient(
                        "a row's write / plain copies",
                        "two plain copies of the same floats",
                        "writeArrays",
                        "plainCopyOfArrays",
                        null))
                .ratio(quotient(
                        "a row's write from native memory / plain copies",
                        "two plain copies of the same floats",
                        "writeSegments",
                        "plainCopyOfSegments",
                        Bar.atMost(1.5)))
                .ratio(quotient(
                        "64 tokens' write / plain copies",
                        "two plain copies of the same floats",
                        "writePrefill",
                        "plainCopyOfPrefill",
                        null))
                .plot(AppendTokenBenchmark.class, "Appending one token, by tokens before it", "tokens")
                .note("Tiles, the default, are made for attention: a token's rows are spread over lines of 64 bytes,"
                        + " which costs at each append and saves at each read of all tokens. Rows are what the"
                        + " rivals write.")
                .note("The cache appends into a full pool, so that every sixteenth token evicts and publishes a"
                        + " block; rivals never make room. Of all of them only the cache shares, counts references"
                        + " and evicts.")
                .notShown("Reading, the memory that preallocated contexts waste (see memory), and many sequences.");
    }

    private static Study fork() {
        return new JmhStudy("fork", "Branching a sequence, against copying its keys and values")
                .suite(JmhSuite.of(ForkBenchmark.class).quick("tokens", "8192").setUp(Duration.ofMillis(500)))
                .ratio(quotient(
                        "copying / a fork",
                        "copying all keys and values of 2 layers",
                        "copyKeysAndValues",
                        "fork",
                        null))
                .ratio(quotient(
                        "copying / a fork with room for its next token",
                        "copying all keys and values of 2 layers",
                        "copyKeysAndValues",
                        "forkAndWrite",
                        null))
                .ratio(quotient(
                        "a fork / its table", "cloning an array of block numbers", "fork", "copyBlockTable", null))
                .plot(ForkBenchmark.class, "Forking, by tokens", "tokens")
                .notShown("The memory that sharing saves, and forks from many threads.");
    }

    private static Study lookup() {
        String hashed = "Caffeine, keys of chained 64-bit hashes";
        return new JmhStudy("lookup", "Opening prompts of which all, part or nothing is cached, against a hash index")
                .suite(JmhSuite.of(
                                LookupBenchmark.class,
                                "randomHit",
                                "caffeineRandomHit",
                                "miss",
                                "caffeineMiss",
                                "partialHit",
                                "caffeinePartialHit",
                                "randomReads")
                        .param("blocks", "10000", "1000000")
                        .quick("blocks", "10000")
                        .setUp(Duration.ofSeconds(1)))
                .suite(JmhSuite.of(LookupBenchmark.class, "randomHit", "randomReads")
                        .param("blocks", "10000000")
                        .quick("blocks", "1000000")
                        .setUp(Duration.ofSeconds(2)))
                .suite(JmhSuite.of(LookupBenchmark.class, "longHit", "caffeineLongHit")
                        .quick("tokens", "32768")
                        .setUp(Duration.ofMillis(500)))
                .ratio(growthAgainst(
                        "growth of hits with blocks / that of reads",
                        "plain random reads over as many bytes",
                        "randomHit",
                        "randomReads",
                        "blocks",
                        1_000_000,
                        Bar.atMost(1.5)))
                .ratio(growth("growth of hits with blocks", "randomHit", "blocks", Long.MAX_VALUE, null))
                .ratio(growth("growth of a long hit with tokens", "longHit", "tokens", Long.MAX_VALUE, null))
                .ratio(limit("a hit of 32,768 tokens", "200 us", "longHit", Map.of("tokens", "32768"), 200))
                .ratio(quotient(
                        "the index's time / the cache's, all cached", hashed, "caffeineRandomHit", "randomHit", null))
                .ratio(quotient(
                        "the index's time / the cache's, half cached",
                        hashed,
                        "caffeinePartialHit",
                        "partialHit",
                        null))
                .ratio(quotient("the index's time / the cache's, nothing cached", hashed, "caffeineMiss", "miss", null))
                .ratio(quotient(
                        "the index's time / the cache's, a long prompt", hashed, "caffeineLongHit", "longHit", null))
                .plot(LookupBenchmark.class, "Opening a prompt of 64 blocks, by cached blocks", "blocks")
                .note("The hash index takes a hash for the tokens: it is inexact, and a crafted prompt can be served"
                        + " what is not its own. It takes no reference, so that what it finds may be evicted at"
                        + " once, and knows no leaves. The cache's figure includes opening and closing the"
                        + " sequence.")
                .notShown("Prompts whose tokens are not in a cache of the processor, and other threads that use the"
                        + " cache.");
    }

    private static Study evict() {
        return new JmhStudy("evict", "Making room for a block and publishing it in a full cache, by policy")
                .suite(JmhSuite.of(EvictBenchmark.class)
                        .param("blocks", "10000", "1000000")
                        .param("policy", "LRU", "HDE", "S3FIFO")
                        .quick("blocks", "100000")
                        .quick("policy", "LRU", "HDE")
                        .setUp(Duration.ofSeconds(1)))
                .suite(JmhSuite.of(EvictBenchmark.class, "evictAndPublish")
                        .param("blocks", "10000000")
                        .param("policy", "LRU")
                        .quick("blocks", "10000")
                        .setUp(Duration.ofSeconds(4)))
                .ratio(quotient(
                        "the index's time / the cache's",
                        "Caffeine, keys of chained 64-bit hashes, its own eviction",
                        "caffeine",
                        "evictAndPublish",
                        null))
                .ratio(limit("a block under LRU", "300 ns", "evictAndPublish", Map.of("policy", "LRU"), 300))
                .ratio(growth("growth with blocks", "evictAndPublish", "blocks", Long.MAX_VALUE, null))
                .plot(EvictBenchmark.class, "Evicting and publishing a block, by cached blocks", "blocks")
                .note("Caffeine evicts any entry: prefixes may go before what continues them, which no look-up can"
                        + " then reach.")
                .notShown("How good the choice is (see reuse).");
    }

    private static Study expire() {
        return new JmhStudy("expire", "Sweeping blocks whose time is over, against a queue and against Caffeine")
                .suite(JmhSuite.of(ExpireBenchmark.class)
                        .param("blocks", "1000000")
                        .param("path", "64")
                        .quick("blocks", "100000")
                        .setUp(Duration.ofSeconds(1))
                        .once())
                .ratio(quotient(
                        "a queue's time / the cache's", "java.util.PriorityQueue", "priorityQueue", "maintain", null))
                .ratio(quotient(
                        "Caffeine's time / the cache's", "Caffeine, expiry by entry", "caffeine", "maintain", null))
                .note("The queue and Caffeine drop an entry; the cache unpublishes a block, gives its memory back and"
                        + " remembers why it left.")
                .notShown("Sweeps beside other threads.");
    }

    private static Study open() {
        return new JmhStudy(
                        "open", "Opening and closing a cached prompt of 1,024 tokens from several threads; sessions")
                .suite(JmhSuite.of(CrowdBenchmark.class))
                .ratio(quotient(
                        "one thread, the index's time / the cache's",
                        "Caffeine, 64 look-ups of chained 64-bit hashes",
                        "caffeine1",
                        "openAndClose1",
                        null))
                .ratio(quotient(
                        "two threads, the index's time / the cache's",
                        "Caffeine, 64 look-ups of chained 64-bit hashes",
                        "caffeine2",
                        "openAndClose2",
                        null))
                .ratio(quotient(
                        "four threads, the index's time / the cache's",
                        "Caffeine, 64 look-ups of chained 64-bit hashes",
                        "caffeine4",
                        "openAndClose4",
                        null))
                .ratio(quotient(
                        "a call from four threads / from one",
                        "one thread; 4 where no two calls overlap",
                        "openAndClose4",
                        "openAndClose1",
                        null))
                .note("The cache has one lock, so threads that open take turns. Caffeine's look-ups take no reference.")
                .notShown("More processors than this machine has.");
    }

    private static Study growthOfSequences() {
        return new JmhStudy("growth", "What an operation costs as one sequence grows to a million tokens")
                .suite(JmhSuite.of(GrowthBenchmark.class)
                        .quick("tokens", "16", "32768")
                        .setUp(Duration.ofMillis(500)))
                .ratio(growth("appending, growth with tokens", "appendAndTruncate", "tokens", Long.MAX_VALUE, null))
                .ratio(growth("forking, growth with tokens", "forkAndClose", "tokens", Long.MAX_VALUE, null))
                .ratio(quotient(
                        "a fork / copying its table",
                        "copying a table and counting references",
                        "forkAndClose",
                        "plainFork",
                        null))
                .plot(GrowthBenchmark.class, "Cost of an operation, by tokens of the sequence", "tokens")
                .note("How look-ups, and evicting and publishing, grow from 10 thousand to 10 million blocks stands at"
                        + " lookup and evict.")
                .notShown("Attention, which reads all tokens (see attention).");
    }

    private static Study build() {
        return new JmhStudy("build", "Building a cache of 64 GiB, the first thing that an engine does with it")
                .suite(JmhSuite.of(BuildBenchmark.class).once())
                .ratio(limit("building", "100 ms", "build", ANY, 100))
                .notShown("Rivals: a cache that allocates in advance would have to find 64 GiB.");
    }

    private static Study attention() {
        return new JmhStudy("attention", "Attention over blocks, against memory, ND4J and plain loops")
                .suite(JmhSuite.of(AttentionBenchmark.class)
                        .param("placement", "SHUFFLED")
                        .param("heads", "8/8", "32/8")
                        .param("threads", "1")
                        .quick("type", "F16")
                        .quick("heads", "8/8")
                        .quick("megabytes", "512")
                        .setUp(Duration.ofSeconds(2))
                        .slower(2))
                .suite(JmhSuite.of(AttentionBenchmark.class)
                        .param("placement", "CONTIGUOUS")
                        .param("heads", "8/8")
                        .param("threads", "1")
                        .param("type", "F32", "F16")
                        .quick("type", "F16")
                        .quick("megabytes", "512")
                        .setUp(Duration.ofSeconds(2))
                        .slower(2))
                .suite(JmhSuite.of(AttentionRivalsBenchmark.class)
                        .param("tokens", "8192")
                        .quick("heads", "32/8")
                        .quick("megabytes", "512")
                        .setUp(Duration.ofSeconds(2)))
                .suite(JmhSuite.of(SharedPrefixBenchmark.class)
                        .setUp(Duration.ofSeconds(1))
                        .slower(2))
                .suite(JmhSuite.of(PrefillBenchmark.class).slower(2))
                .ratio(share("F32", "8/8", .80))
                .ratio(share("F32", "32/8", .60))
                .ratio(share("F16", "8/8", .50))
                .ratio(share("F16", "32/8", .40))
                .ratio(share("BF16", "8/8", .50))
                .ratio(share("BF16", "32/8", .45))
                .ratio(share("INT8", "8/8", .30))
                .ratio(share("INT8", "32/8", .22))
                .ratio(between(
                        "shuffled blocks / one huge block",
                        "the same kernels without pages",
                        "AttentionBenchmark.attend",
                        "placement",
                        "SHUFFLED",
                        "CONTIGUOUS",
                        null))
                .ratio(quotient(
                        "ND4J / attending", "ND4J: gather blocks, then multiply", "nd4jGather", "kvcacheF32", null))
                .ratio(quotient(
                        "ND4J / attending", "ND4J: concatenate, then multiply", "nd4jConcat", "kvcacheF32", null))
                .ratio(quotient("loops / attending", "scalar loops over heap arrays", "heapLoops", "kvcacheF32", null))
                .ratio(between(
                        "32 sequences that share 8,192 tokens / one",
                        "one sequence",
                        "SharedPrefixBenchmark.attend",
                        "sequences",
                        "shared32",
                        "one",
                        Bar.atMost(8)))
                .ratio(between(
                        "32 sequences that share 8,192 tokens / with copies",
                        "32 with copies of their own",
                        "SharedPrefixBenchmark.attend",
                        "sequences",
                        "shared32",
                        "private32",
                        Bar.atMost(.25)))
                .note("The loops of plain engines are scalar: the JIT does not vectorise sums of floats. Engines"
                        + " with vector loops of their own are not measured here; the plain read bounds them.")
                .notShown("The rest of a model, which drives keys and values out of caches; vectors of other widths.");
    }

    /** A share of the speed of memory, with its floor. */
    private static RatioRule share(String type, String heads, double floor) {
        return reported(
                "share of a plain read",
                "a plain vector read of the same bytes, in turns",
                "AttentionBenchmark.attend",
                "shareOfRead",
                Map.of("type", type, "heads", heads, "placement", "SHUFFLED"),
                Bar.atLeast(floor));
    }

    private static Study decode() {
        return new JmhStudy("decode", "Steps of the decode loop with many samples, against the same loop with one")
                .suite(JmhSuite.of(DecodeBenchmark.class)
                        .param("model", "shipped")
                        .param("samples", "16", "32")
                        .quick("samples", "32")
                        .takesModel()
                        .setUp(Duration.ofSeconds(3))
                        .slower(4))
                .ratio(reported(
                        "tokens a second / one sample's",
                        "the same loop with one sample",
                        "step",
                        "timesOne",
                        ANY,
                        Bar.atLeast(3)))
                .ratio(reported("bookkeeping / a step", "the whole step", "step", "bookkeeping", ANY, Bar.atMost(.02)))
                .notShown("Models that are larger than a cache of the processor: there more samples gain more.");
    }

    private static Study disk() {
        String prompt = "computing the prompt";
        return new JmhStudy("disk", "Storing and loading blocks on disk, against plain files and against computing")
                .suite(JmhSuite.of(DiskBenchmark.class)
                        .quick("blockKiB", "1024")
                        .setUp(Duration.ofMillis(500)))
                .suite(JmhSuite.of(FirstTokenBenchmark.class, "cold", "loadOnly")
                        .takesModel()
                        .setUp(Duration.ofMillis(500))
                        .once())
                .ratio(quotient(
                        "a plain read / a load",
                        "reading a file in pieces of that size",
                        "plainRead",
                        "load",
                        Bar.atLeast(.7)))
                .ratio(quotient(
                        "a plain write / a store",
                        "writing a file in pieces of that size",
                        "plainWrite",
                        "store",
                        null))
                .ratio(quotient(
                        "a plain copy / a load", "copying a file in pieces of that size", "plainCopy", "load", null))
                .ratio(quotient(
                        "a plain copy / a store", "copying a file in pieces of that size", "plainCopy", "store", null))
                .ratio(quotient("computing / loading", prompt, "cold", "loadOnly", Bar.atLeast(10)))
                .plot(DiskBenchmark.class, "Time for a block, by KiB", "blockKiB")
                .note("All files are in the page cache of the operating system. A load checks all bytes and compares"
                        + " the whole key; a store makes room first. The plain rivals do neither.")
                .note("What is loaded in place of computing is 1,024 tokens, or what the model's context allows. The"
                        + " bar is for a model of dim 1024 and 8 layers, given by --model.")
                .notShown("The disk itself, a file system that is full, and other requests meanwhile.");
    }

    private static Study remote() {
        String lettuce = "Lettuce, arrays of bytes";
        String memory = "Lettuce, memory outside of the heap";
        String jedis = "Jedis, and a copy from or to memory";
        String prompt = "computing the prompt";
        return new JmhStudy("remote", "Storing and loading blocks on a server, against clients and against computing")
                .suite(JmhSuite.of(RemoteBenchmark.class)
                        .quick("blockKiB", "1024")
                        .setUp(Duration.ofMillis(800)))
                .suite(JmhSuite.of(FirstTokenBenchmark.class, "cold", "memory", "disk", "remote")
                        .takesModel()
                        .setUp(Duration.ofMillis(800))
                        .once())
                .ratio(quotient("a plain GET / a load", lettuce, "lettuceGet", "load", Bar.atLeast(.7)))
                .ratio(quotient("a plain SET / a store", lettuce, "lettuceSet", "store", null))
                .ratio(quotient("a plain GET / a load", memory, "lettuceMemoryGet", "load", null))
                .ratio(quotient("a plain SET / a store", memory, "lettuceMemorySet", "store", null))
                .ratio(quotient("a plain GET / a load", jedis, "jedisMemoryGet", "load", null))
                .ratio(quotient("a plain SET / a store", jedis, "jedisMemorySet", "store", null))
                .ratio(quotient("Jedis's GET / Lettuce's", jedis, "jedisMemoryGet", "lettuceMemoryGet", null))
                .ratio(quotient("Jedis's SET / Lettuce's", jedis, "jedisMemorySet", "lettuceMemorySet", null))
                .ratio(quotient("first token, cold / from the server", prompt, "cold", "remote", null))
                .ratio(quotient("first token, cold / from disk", prompt, "cold", "disk", null))
                .ratio(quotient("first token, cold / from memory", prompt, "cold", "memory", null))
                .plot(RemoteBenchmark.class, "Time for a block, by KiB", "blockKiB")
                .note("A server on the loopback interface, which shares the processors with the client. A load"
                        + " checks all bytes and compares the whole key; the clients do neither.")
                .note("What is loaded in place of computing is 1,024 tokens, or what the model's context allows.")
                .notShown("A network, other users of the server, and several connections at once.");
    }
}
