package io.kvcache;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a cache should do, said as plainly as possible: lists of tokens, a map from prefixes to blocks, and nearly every number
 * counted when it is needed. Slow.
 *
 * <p>Not thread-safe.
 */
final class CacheModel {
    /** How many siblings that begin with the same token are looked at for a partial hit, newest first. */
    private static final int CANDIDATES = 8;

    private static final int NOT_CONTINUED = -1;
    private static final long NEVER = Long.MAX_VALUE;

    /** A namespace of the model; limits in blocks. */
    final class Space {
        private final int floor;
        private final int ceiling;
        private final int pinnable;
        private final Retention retention;
        private int epoch; // how often erased or renewed
        int evicted;
        int expired;
        int erased;

        Space(int floor, int ceiling, int pinnable, Retention retention) {
            this.floor = floor;
            this.ceiling = ceiling;
            this.pinnable = pinnable;
            this.retention = retention;
            spaces.add(this);
        }

        int pinnable() {
            return pinnable;
        }

        int used() {
            return count(block -> block.space == this && isHeld(block));
        }

        int cached() {
            return count(block -> block.space == this && !isHeld(block));
        }

        int pinned() {
            return count(block -> block.space == this && isPinned(block));
        }

        private int blocks() {
            return count(block -> block.space == this);
        }

        private int withheld() {
            int blocks = blocks();
            int borrowed = Math.max(0, blocks - floor);
            return Math.max(0, floor - blocks) + Math.max(0, cached() - borrowed);
        }
    }

    /** The name of a published block: who shares it, and all tokens up to its end. */
    private record Prefix(Space space, int epoch, List<Identity> identities, List<Integer> tokens) {
        Prefix upTo(int count) {
            return new Prefix(space, epoch, identities, tokens.subList(0, count));
        }
    }

    /** Whoever lists the same object shares the block. A stamp stands for all rows of a token. */
    private static final class Block {
        final Space space;
        final @Nullable Integer[] stamps;

        @Nullable
        Prefix prefix; // where it is published

        @Nullable
        Block parent; // the block before it there

        int holders; // sequences that list it
        int publication;
        int released;
        boolean pinned;
        boolean notContinued;
        int priority;
        long priorityEnds = NEVER;
        long ttl; // since last use
        long expires = NEVER;

        Block(Space space, int tokensPerBlock) {
            this.space = space;
            stamps = new Integer[tokensPerBlock];
        }

        int band() {
            return notContinued ? NOT_CONTINUED : priority;
        }
    }

    /** A sequence of the model. */
    final class Model {
        private final Prefix root;
        private final Retention retention;
        private boolean publishes;
        private int published; // how many of the first blocks have been
        private final List<Integer> tokens = new ArrayList<>();
        private final List<Block> blocks = new ArrayList<>();
        private int reserved;

        private Model(Prefix root, Retention retention, boolean publishes) {
            this.root = root;
            this.retention = retention;
            this.publishes = publishes;
        }

        Space space() {
            return root.space;
        }

        List<Integer> tokens() {
            return tokens;
        }

        int reserved() {
            return reserved;
        }

        int blocks() {
            return blocks.size();
        }

        /** The stamp at a position; null where nothing was written. */
        @Nullable
        Integer stamp(int position) {
            return blocks.get(position / tokensPerBlock).stamps[position % tokensPerBlock];
        }

        boolean reserve(int slots) {
            if (slots <= reserved) {
                return true;
            }
            int wanted = Math.ceilDiv(tokens.size() + slots, tokensPerBlock);
            boolean copy =
                    reserved == 0 && tokens.size() % tokensPerBlock != 0 && isSharedOrPublished(blocks.getLast());
            int needed = wanted - blocks.size() + (copy ? 1 : 0);
            Block takeOver = null;
            int obtainable = Math.min(room(root.space), root.space.ceiling - root.space.used());
            if (needed > obtainable && copy && isOnlyMine(blocks.getLast())) {
                takeOver = blocks.getLast();
                copy = false;
                needed--;
            }
            if (needed > obtainable) {
                return false;
            }
            while (root.space.blocks() + needed > root.space.ceiling) {
                evict(leaves().filter(block -> block.space == root.space));
            }
            while (live.size() + needed > maximumBlocks) {
                boolean borrowed = leaves().anyMatch(CacheModel::isBorrowed);
                evict(leaves().filter(block -> borrowed ? isBorrowed(block) : block.space == root.space));
            }
            if (takeOver != null) {
                root.space.evicted++;
                unpublish(takeOver);
            }
            if (copy) {
                copyLast();
            }
            while (blocks.size() < wanted) {
                hold(new Block(root.space, tokensPerBlock));
            }
            reserved = slots;
            return true;
        }

        private boolean isOnlyMine(Block block) {
            return block.prefix != null
                    && block.holders == 1
                    && !isPinned(block)
                    && children(block).isEmpty();
        }

        private void copyLast() {
            Block source = blocks.removeLast();
            Block copy = new Block(root.space, tokensPerBlock);
            System.arraycopy(source.stamps, 0, copy.stamps, 0, tokens.size() % tokensPerBlock);
            hold(copy);
            letGo(source);
        }

        void write(int position, int stamp) {
            blocks.get(position / tokensPerBlock).stamps[position % tokensPerBlock] = stamp;
        }

        void commit(List<Integer> added) {
            tokens.addAll(added);
            reserved -= added.size();
            while (publishes && published < tokens.size() / tokensPerBlock) {
                publishNext();
            }
        }

        private void publishNext() {
            Prefix name = new Prefix(
                    root.space,
                    root.epoch,
                    root.identities,
                    List.copyOf(tokens.subList(0, (published + 1) * tokensPerBlock)));
            boolean below = published == 0 ? root.epoch == root.space.epoch : blocks.get(published - 1).prefix != null;
            if (!below) {
                publishes = false;
                return;
            }
            Block equal = CacheModel.this.published.get(name);
            if (equal != null && isExpired(equal)) {
                expire(equal);
                equal = null;
            }
            Block own = blocks.get(published);
            if (equal == null) {
                own.prefix = name;
                own.parent = published == 0 ? null : blocks.get(published - 1);
                own.publication = publications++;
                CacheModel.this.published.put(name, own);
                give(own, retention);
            } else {
                referenced(equal);
                blocks.set(published, equal);
                equal.holders++;
                letGo(own);
            }
            published++;
        }

        void truncate(int length) {
            tokens.subList(length, tokens.size()).clear();
            reserved = 0;
            published = Math.min(published, length / tokensPerBlock);
            releaseTo(Math.ceilDiv(length, tokensPerBlock));
        }

        private void releaseTo(int kept) {
            while (blocks.size() > kept) {
                letGo(blocks.removeLast());
            }
        }

        private void hold(Block block) {
            blocks.add(block);
            block.holders++;
            live.add(block);
        }

        RetentionOutcome retain(int from, int to, Retention wanted) {
            int first = Math.ceilDiv(from, tokensPerBlock);
            int asked = Math.max(0, to / tokensPerBlock - first);
            int retained = 0;
            while (retained < asked && retain(blocks.get(first + retained), first + retained, wanted)) {
                retained++;
            }
            return RetentionOutcome.of(retained, asked);
        }

        private boolean retain(Block block, int at, Retention wanted) {
            if (at >= published || block.prefix == null) {
                return false;
            }
            boolean before = block.pinned;
            block.pinned = wanted.pinned();
            if (wanted.pinned() && root.space.pinned() > root.space.pinnable) {
                block.pinned = before;
                return false;
            }
            give(block, wanted);
            return true;
        }

        Model fork() {
            Model fork = new Model(root, retention, publishes);
            fork.tokens.addAll(tokens);
            blocks.forEach(fork::hold);
            fork.published = published;
            sequences.add(fork);
            return fork;
        }

        void close(boolean continued) {
            if (!continued) {
                markUnshared();
            }
            sequences.remove(this);
            releaseTo(0);
        }

        private void markUnshared() {
            Block child = null;
            for (int i = published - 1; i >= 0; i--) {
                Block block = blocks.get(i);
                boolean others = block.prefix == null || block.holders > 1 || isPinned(block);
                if (others || !children(block).equals(child == null ? List.of() : List.of(child))) {
                    return;
                }
                block.notContinued = true;
                child = block;
            }
        }
    }

    private final int tokensPerBlock;
    private final int maximumBlocks;
    private final int minimumPartialHit;
    private final List<Space> spaces = new ArrayList<>();
    private final List<Model> sequences = new ArrayList<>();
    private final Map<Prefix, Block> published = new HashMap<>();
    private final Set<Block> live = new LinkedHashSet<>(); // not free: listed by sequences or published
    private int publications;
    private int releases;
    private long now;

    CacheModel(int tokensPerBlock, int maximumBlocks, int minimumPartialHit) {
        this.tokensPerBlock = tokensPerBlock;
        this.maximumBlocks = maximumBlocks;
        this.minimumPartialHit = minimumPartialHit;
    }

    void advanceTo(long nanos) {
        now = nanos;
    }

    // ---- look up ----

    Model open(Space space, List<Integer> prompt, OpenOptions options) {
        Retention retention = Objects.requireNonNullElse(options.retention(), space.retention);
        Prefix root = new Prefix(space, space.epoch, options.identities(), List.of());
        Model model = new Model(root, retention, options.publish());
        sequences.add(model);
        if (options.lookup()) {
            match(root, prompt, model);
        }
        model.published = model.tokens.size() / tokensPerBlock;
        return model;
    }

    /** What {@link #open} would find. */
    int probe(Space space, List<Integer> prompt, OpenOptions options) {
        if (!options.lookup()) {
            return 0;
        }
        return match(new Prefix(space, space.epoch, options.identities(), List.of()), prompt, null);
    }

    private int match(Prefix root, List<Integer> prompt, @Nullable Model into) {
        int room = room(root.space);
        int matched = 0;
        while (matched + tokensPerBlock < prompt.size()) {
            Block block = published.get(
                    new Prefix(root.space, root.epoch, root.identities, prompt.subList(0, matched + tokensPerBlock)));
            if (block == null) {
                break;
            }
            room -= isHeld(block) ? 0 : 1;
            if (isWithheld(room) || isOver(block, into)) {
                return matched;
            }
            matched += tokensPerBlock;
            adopt(block, prompt.subList(matched - tokensPerBlock, matched), into);
        }
        Block partial = bestPartial(root, prompt, matched);
        int tokens = partial == null ? 0 : matching(partial, prompt, matched);
        if (partial == null || tokens < minimumPartialHit) {
            return matched;
        }
        room -= isHeld(partial) ? 0 : 1;
        if (isWithheld(room) || isOver(partial, into)) {
            return matched;
        }
        adopt(partial, prompt.subList(matched, matched + tokens), into);
        return matched + tokens;
    }

    private boolean isWithheld(int room) {
        return room < 0 && spaces.stream().anyMatch(space -> space.floor > 0);
    }

    private boolean isOver(Block block, @Nullable Model into) {
        if (isExpired(block) && into != null) {
            expire(block);
        }
        return isExpired(block) || block.prefix == null;
    }

    private void adopt(Block block, List<Integer> tokens, @Nullable Model into) {
        if (into != null) {
            referenced(block);
            into.hold(block);
            into.tokens.addAll(tokens);
        }
    }

    private @Nullable Block bestPartial(Prefix root, List<Integer> prompt, int from) {
        return published.values().stream()
                .filter(block -> isChildWithFirstToken(block, root, prompt, from))
                .sorted(Comparator.comparingInt((Block block) -> -block.publication))
                .limit(CANDIDATES)
                .min(Comparator.comparingInt((Block block) -> -matching(block, prompt, from)))
                .filter(block -> matching(block, prompt, from) > 0)
                .orElse(null);
    }

    private boolean isChildWithFirstToken(Block block, Prefix root, List<Integer> prompt, int from) {
        Prefix prefix = block.prefix;
        return prefix != null
                && prefix.tokens.size() == from + tokensPerBlock
                && prefix.upTo(0).equals(root)
                && prefix.tokens.subList(0, from + 1).equals(prompt.subList(0, from + 1));
    }

    /** First tokens that a block shares with the prompt behind {@code from}, leaving the prompt's last one. */
    private int matching(Block block, List<Integer> prompt, int from) {
        List<Integer> tokens = block.prefix == null ? List.of() : block.prefix.tokens;
        int matched = 0;
        while (from + matched < Math.min(tokens.size(), prompt.size() - 1)
                && tokens.get(from + matched).equals(prompt.get(from + matched))) {
            matched++;
        }
        return matched;
    }

    // ---- what is held ----

    private int count(Predicate<Block> condition) {
        int count = 0;
        for (Block block : live) {
            count += condition.test(block) ? 1 : 0;
        }
        return count;
    }

    int used() {
        return count(this::isHeld);
    }

    int cached() {
        return count(block -> !isHeld(block));
    }

    private static boolean isSharedOrPublished(Block block) {
        return block.prefix != null || block.holders > 1;
    }

    private boolean isHeld(Block block) {
        return block.holders > 0 || isPinned(block);
    }

    /** Whether a block, or one that continues it, is pinned. */
    private boolean isPinned(Block block) {
        return block.space.pinnable > 0
                && block.prefix != null
                && count(other -> other.pinned && continues(other, block)) > 0;
    }

    private static boolean continues(Block block, Block ancestor) {
        Block at = block;
        while (at != null && at != ancestor) {
            at = at.parent;
        }
        return at == ancestor;
    }

    private List<Block> children(Block block) {
        return published.values().stream()
                .filter(other -> other.parent == block)
                .toList();
    }

    private void referenced(Block block) {
        block.notContinued = false;
        if (block.ttl > 0) {
            block.expires = NEVER;
        }
    }

    /** A sequence does not list a block any more. */
    private void letGo(Block block) {
        block.holders--;
        if (!isHeld(block)) {
            if (block.prefix == null) {
                live.remove(block);
            } else {
                block.released = releases++;
                block.expires = block.ttl > 0 ? now + block.ttl : block.expires;
            }
        }
    }

    // ---- what stays ----

    private int room(Space asker) {
        int room = maximumBlocks - used();
        for (Space space : spaces) {
            room -= space == asker || space.floor == 0 ? 0 : space.withheld();
        }
        return room;
    }

    private Stream<Block> leaves() {
        Set<@Nullable Block> parents = new HashSet<>();
        published.values().forEach(block -> parents.add(block.parent));
        return published.values().stream().filter(block -> !isHeld(block) && !parents.contains(block));
    }

    private static boolean isBorrowed(Block block) {
        return block.space.blocks() > block.space.floor;
    }

    private void evict(Stream<Block> candidates) {
        Block victim = candidates
                .min(Comparator.comparingInt(Block::band).thenComparingInt(block -> block.released))
                .orElseThrow();
        victim.space.evicted++;
        unpublish(victim);
    }

    private void give(Block block, Retention wanted) {
        block.notContinued = false;
        block.priority = wanted.priority();
        block.priorityEnds = wanted.priorityNanos() == 0 ? NEVER : now + wanted.priorityNanos();
        block.ttl = wanted.ttlSinceFirstUse() ? 0 : wanted.ttlNanos();
        block.expires = wanted.ttlSinceFirstUse() ? now + wanted.ttlNanos() : NEVER;
    }

    private boolean isExpired(Block block) {
        return block.prefix != null && block.expires <= now;
    }

    private void expire(Block block) {
        block.space.expired += unpublish(block);
    }

    /** Takes out a block and all that continues it. */
    private int unpublish(Block top) {
        List<Block> gone = published.values().stream()
                .filter(block -> continues(block, top))
                .toList();
        for (Block block : gone) {
            published.remove(Objects.requireNonNull(block.prefix));
        }
        for (Block block : gone) {
            block.prefix = null;
            block.parent = null;
            block.pinned = false;
            block.ttl = 0;
            block.expires = NEVER;
            if (block.holders == 0) {
                live.remove(block);
            }
        }
        return gone.size();
    }

    /** A maintenance that runs until nothing is due; the time is the end of a tick, and no deadline falls on it. */
    void maintain() {
        for (Block block : List.copyOf(published.values())) {
            if (isExpired(block)) {
                expire(block);
            }
        }
        for (Block block : published.values()) {
            if (block.priorityEnds <= now) {
                block.priority = block.space.retention.priority();
                block.priorityEnds = NEVER;
            }
        }
    }

    /** Takes out all that a namespace has published: free blocks first, then those that sequences hold. */
    Erasure erase(Space space) {
        List<Block> gone = published.values().stream()
                .filter(block -> block.space == space)
                .toList();
        gone.forEach(block -> block.pinned = false);
        int held = (int) gone.stream().filter(block -> block.holders > 0).count();
        gone.stream().filter(block -> block.parent == null).toList().forEach(this::unpublish);
        space.epoch++;
        space.erased += gone.size();
        return new Erasure(gone.size() - held, held);
    }
}
