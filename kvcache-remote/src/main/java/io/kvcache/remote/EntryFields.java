package io.kvcache.remote;

import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.Identity;
import io.kvcache.RemovalCause;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What entries say, as text that anybody can read: numbers in decimal, tokens behind each other with a space between
 * them. docs/design.md lists the fields.
 *
 * <p>Thread-safe: has no state.
 */
final class EntryFields {
    private static final String TYPE = "type";
    private static final String START = "start";
    private static final String CONTENTS = "contents";
    private static final String STORED = "stored";
    private static final String REMOVED = "removed";
    private static final String LOADED = "loaded";
    private static final String OFFLOADED = "offloaded";
    private static final String TIER_CHANGED = "tier-changed";

    private static final String NUMBER = "number";
    private static final String BLOCKS = "blocks";
    private static final String NAMESPACE = "namespace";
    private static final String BLOCK = "block";
    private static final String PARENT = "parent";
    private static final String TOKENS = "tokens";
    private static final String CAUSE = "cause";
    private static final String TIER = "tier";
    private static final String LOADS = "loads";
    private static final String STORES = "stores";
    private static final String FAILURE = "failure";

    /** What the first entry of contents says. */
    record Contents(long number, int blocks) {}

    private EntryFields() {}

    // ---- to text ----

    /** Says that a run begins: what was told before is void. */
    static Map<String, String> start() {
        return Map.of(TYPE, START);
    }

    static Map<String, String> of(Contents contents) {
        Map<String, String> fields = type(CONTENTS);
        fields.put(NUMBER, String.valueOf(contents.number));
        fields.put(BLOCKS, String.valueOf(contents.blocks));
        return fields;
    }

    static Map<String, String> of(CachedBlock block) {
        Map<String, String> fields = ofBlock(STORED, block.namespace(), block.block());
        fields.put(PARENT, String.valueOf(block.parent()));
        fields.put(TOKENS, text(block.tokens()));
        int at = 1;
        for (Identity identity : block.identities()) {
            fields.put(kind(at), identity.kind());
            fields.put(value(at), identity.value());
            at++;
        }
        return fields;
    }

    /**
     * Writes an event.
     *
     * @param event no {@link CacheEvent.Lost}: a gap is not told, contents fill it
     */
    static Map<String, String> of(CacheEvent event) {
        return switch (event) {
            case CacheEvent.Stored stored ->
                of(new CachedBlock(
                        stored.namespace(), stored.identities(), stored.block(), stored.parent(), stored.tokens()));
            case CacheEvent.Removed removed -> {
                Map<String, String> fields = ofBlock(REMOVED, removed.namespace(), removed.block());
                fields.put(PARENT, String.valueOf(removed.parent()));
                fields.put(CAUSE, removed.cause().name());
                yield fields;
            }
            case CacheEvent.Loaded loaded -> {
                Map<String, String> fields = ofBlock(LOADED, loaded.namespace(), loaded.block());
                fields.put(TIER, loaded.tier());
                yield fields;
            }
            case CacheEvent.Offloaded offloaded -> {
                Map<String, String> fields = ofBlock(OFFLOADED, offloaded.namespace(), offloaded.block());
                fields.put(TIER, offloaded.tier());
                yield fields;
            }
            case CacheEvent.TierChanged changed -> ofTier(changed);
            case CacheEvent.Lost lost -> throw new IllegalArgumentException("a gap is not told: event=" + lost);
        };
    }

    private static Map<String, String> ofTier(CacheEvent.TierChanged changed) {
        Map<String, String> fields = type(TIER_CHANGED);
        fields.put(TIER, changed.tier());
        fields.put(LOADS, String.valueOf(changed.loads()));
        fields.put(STORES, String.valueOf(changed.stores()));
        if (changed.lastFailure() != null) {
            fields.put(FAILURE, changed.lastFailure());
        }
        return fields;
    }

    private static Map<String, String> ofBlock(String type, String namespace, long block) {
        Map<String, String> fields = type(type);
        fields.put(NAMESPACE, namespace);
        fields.put(BLOCK, String.valueOf(block));
        return fields;
    }

    private static Map<String, String> type(String type) {
        Map<String, String> fields = new LinkedHashMap<>();
        fields.put(TYPE, type);
        return fields;
    }

    private static String text(List<Integer> tokens) {
        StringBuilder text = new StringBuilder(8 * tokens.size());
        for (int token : tokens) {
            text.append(text.isEmpty() ? "" : " ").append(token);
        }
        return text.toString();
    }

    private static String kind(int at) {
        return "identity." + at + ".kind";
    }

    private static String value(int at) {
        return "identity." + at + ".value";
    }

    // ---- from text ----

    /**
     * Reads an event.
     *
     * @throws IllegalArgumentException if it is malformed, or of a type that is not known
     */
    static CacheEvent event(long number, Map<String, String> fields) {
        String type = field(fields, TYPE);
        return switch (type) {
            case STORED -> {
                CachedBlock block = block(fields);
                yield new CacheEvent.Stored(
                        number, block.namespace(), block.identities(), block.block(), block.parent(), block.tokens());
            }
            case REMOVED ->
                new CacheEvent.Removed(
                        number,
                        field(fields, NAMESPACE),
                        number(fields, BLOCK),
                        number(fields, PARENT),
                        RemovalCause.valueOf(field(fields, CAUSE)));
            case LOADED ->
                new CacheEvent.Loaded(number, field(fields, NAMESPACE), number(fields, BLOCK), field(fields, TIER));
            case OFFLOADED ->
                new CacheEvent.Offloaded(number, field(fields, NAMESPACE), number(fields, BLOCK), field(fields, TIER));
            case TIER_CHANGED ->
                new CacheEvent.TierChanged(
                        number,
                        field(fields, TIER),
                        Boolean.parseBoolean(field(fields, LOADS)),
                        Boolean.parseBoolean(field(fields, STORES)),
                        fields.get(FAILURE));
            default -> throw new IllegalArgumentException("type is not known: number=" + number + " type=" + type);
        };
    }

    /**
     * Reads a block of contents.
     *
     * @throws IllegalArgumentException if it is malformed
     */
    static CachedBlock block(Map<String, String> fields) {
        List<Identity> identities = new ArrayList<>();
        for (String kind = fields.get(kind(1)); kind != null; kind = fields.get(kind(identities.size() + 1))) {
            identities.add(new Identity(kind, field(fields, value(identities.size() + 1))));
        }
        return new CachedBlock(
                field(fields, NAMESPACE),
                List.copyOf(identities),
                number(fields, BLOCK),
                number(fields, PARENT),
                tokens(field(fields, TOKENS)));
    }

    /**
     * Reads the first entry of contents.
     *
     * @throws IllegalArgumentException if it is malformed
     */
    static Contents contents(Map<String, String> fields) {
        String type = field(fields, TYPE);
        if (!type.equals(CONTENTS)) {
            throw new IllegalArgumentException("contents begin with another entry: type=" + type);
        }
        return new Contents(number(fields, NUMBER), Math.toIntExact(number(fields, BLOCKS)));
    }

    private static List<Integer> tokens(String text) {
        List<Integer> tokens = new ArrayList<>();
        for (int from = 0; from < text.length(); ) {
            int space = text.indexOf(' ', from);
            int end = space < 0 ? text.length() : space;
            tokens.add(Integer.parseInt(text, from, end, 10));
            from = end + 1;
        }
        return tokens;
    }

    private static long number(Map<String, String> fields, String name) {
        return Long.parseLong(field(fields, name));
    }

    private static String field(Map<String, String> fields, String name) {
        @Nullable String value = fields.get(name);
        if (value == null) {
            throw new IllegalArgumentException("entry has no such field: field=" + name + " fields=" + fields.keySet());
        }
        return value;
    }
}
