package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.Utf8Entry;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Data flows one way: a class may use its own layer and those below it. This list is the order, top first. */
final class LayerOrderTest {
    private static final List<Set<String>> LAYERS = List.of(
            Set.of("KvCaches", "SharedKvCache"),
            Set.of("KvCache"),
            Set.of("Namespace", "Warmup"),
            Set.of("Prefill", "WarmupOptions", "WarmupProgress", "WarmupReport"),
            Set.of("Sequence", "SequencePool"),
            Set.of("ViewGuard", "CacheStats", "Erasure"),
            Set.of("Admission"),
            Set.of("Loads", "WriteBehind"),
            Set.of("SlotReserver", "SingleFlight"),
            Set.of("BlockCodec"),
            Set.of("MatrixCodec", "PlainCodec", "ConvertingCodec"),
            Set.of("ElementPlacement", "RowPlacement", "KeyTilePlacement", "ValueTilePlacement"),
            Set.of("ElementCodec", "F32Codec", "F16Codec", "Bf16Codec", "Int8Codec"),
            Set.of("ScratchPool"),
            Set.of("CodecScratch"),
            Set.of("Sessions"),
            Set.of("PrefixCache"),
            Set.of("WarmedPrompt"),
            Set.of("RetentionOutcome"),
            Set.of("SessionStore", "Session"),
            Set.of("Pins"),
            Set.of("BlockLedger"),
            Set.of("Flights"),
            Set.of("Load"),
            Set.of("TierLedger", "KeyChain", "KeySource"),
            Set.of("Tiers"),
            Set.of("Tier"),
            Set.of("TierOptions", "WriteQueue", "Breaker", "OpenedStore", "PendingErasures"),
            Set.of("BlockTable", "PrefixWalk", "Claim", "Flight", "Waiter"),
            Set.of("EventQueue", "ContentsCopy"),
            Set.of("PrefixRoot", "Partition"),
            Set.of("BlockStore", "MissMemory"),
            Set.of("BlockKey", "BlockNote", "KeyDigest", "MissOptions"),
            Set.of("StoreRule", "StoreMoment", "TierStats"),
            Set.of("OpenOptions", "NamespaceStats", "NamespaceOptions"),
            Set.of("TrafficCounters"),
            Set.of("Traffic"),
            Set.of("RemovedBlocks"),
            Set.of("EvictionOrder", "BlockRetention"),
            Set.of("EvictionPolicy", "StandardPolicy", "LruPolicy", "HdePolicy"),
            Set.of("LeafGroups", "LeafQueue", "GhostTable", "ExpiryWheel", "Retention"),
            Set.of("PrefixIndex"),
            Set.of("EventJournal"),
            Set.of("CacheListener"),
            Set.of("CacheEvent", "CacheContents", "CachedBlock"),
            Set.of("Identity", "MissReason", "RemovalCause", "TokenList"),
            Set.of("BlockHash"),
            Set.of("BlockPool"),
            Set.of("BlockMemory"),
            Set.of("BlockMemoryException"),
            Set.of("KvLayout"),
            Set.of("LayoutChoice"),
            Set.of("BlockMatrix"),
            Set.of("BlockOrder", "KvType"));

    private static final Pattern CLASS_NAME = Pattern.compile("io/kvcache/(\\w+)");

    @Test
    void shouldUseOnlyTheOwnLayerAndThoseBelow() throws IOException, URISyntaxException {
        Map<String, Integer> layerOf = new HashMap<>();
        for (int layer = 0; layer < LAYERS.size(); layer++) {
            for (String name : LAYERS.get(layer)) {
                layerOf.put(name, layer);
            }
        }
        Set<String> unlisted = new TreeSet<>();
        Set<String> upward = new TreeSet<>();
        for (Path file : classFiles()) {
            ClassModel model = ClassFile.of().parse(Files.readAllBytes(file));
            String from = topLevelName(model.thisClass().asInternalName());
            for (String to : references(model)) {
                if (!layerOf.containsKey(from)) {
                    unlisted.add(from);
                } else if (layerOf.containsKey(to) && layerOf.get(to) < layerOf.get(from)) {
                    upward.add(from + " -> " + to);
                }
            }
        }
        assertEquals(Set.of(), unlisted, "classes without a layer");
        assertEquals(Set.of(), upward, "references against the order");
    }

    private static List<Path> classFiles() throws IOException, URISyntaxException {
        Path classes = Path.of(KvCache.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        try (Stream<Path> files = Files.list(classes.resolve("io/kvcache"))) {
            List<Path> found = files.filter(file -> file.toString().endsWith(".class"))
                    .filter(file -> !file.endsWith("package-info.class"))
                    .toList();
            assertFalse(found.isEmpty());
            return found;
        }
    }

    /** Classes of the package named anywhere in a class file: code, fields, signatures. */
    private static Set<String> references(ClassModel model) {
        Set<String> names = new TreeSet<>();
        model.constantPool().forEach(entry -> {
            if (entry instanceof ClassEntry type) {
                addNames(type.asInternalName(), names);
            } else if (entry instanceof Utf8Entry text) {
                addNames(text.stringValue(), names);
            }
        });
        return names;
    }

    private static void addNames(String text, Set<String> names) {
        Matcher matcher = CLASS_NAME.matcher(text);
        while (matcher.find()) {
            names.add(topLevelName(matcher.group(1)));
        }
    }

    private static String topLevelName(String name) {
        String simple = name.substring(name.lastIndexOf('/') + 1);
        int dollar = simple.indexOf('$');
        return dollar < 0 ? simple : simple.substring(0, dollar);
    }
}
