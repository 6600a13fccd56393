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

    /** So many removals later the cache surely remembers: at least 1,024, in whatever order blocks left together. */
    private static final int REMEMBERED = 900;

    /** A namespace of the model; limits in blocks. */
    final class Space {
        private final int floor;
        private final int ceiling;
        private final int pinnable;
        private final Retention retention;
        private int epoch; // how often erased or renewed
        private final Map<String, Stored> sessions = new HashMap<>();
        int evicted;
        int expired;
        int erased;
        int adopted;
        int sessionHits;
        int sessionMisses;
        int droppedSessions;

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

        private int reclaimable() {
            return count(block -> block.space == this && isReclaimable(block));
        }

        private int withheld() {
            int blocks = blocks();
            int borrowed = Math.max(0, blocks - floor);
            return Math.max(0, floor - blocks) + Math.max(0, reclaimable() - borrowed);
        }

        private int obtainable() {
            return Math.min(room(this), ceiling - blocks() + reclaimable());
        }

        /** Keys of sessions whose time is not over, in the order in which they would be given up. */
        List<String> keys() {
            return sessions.values().stream()
                    .filter(stored -> stored.expires > now)
                    .sorted(GIVEN_UP_FIRST)
                    .map(stored -> stored.key)
                    .toList();
        }

        int sessions() {
            return sessions.size();
        }
    }

    /** The name of a published block: who shares it, and all tokens up to its end. */
    private record Prefix(Space space, int epoch, List<Identity> identities, List<Integer> tokens) {
        Prefix upTo(int count) {
            return new Prefix(space, epoch, identities, tokens.subList(0, count));
        }

        /** The same whenever it was erased or renewed. */
        Prefix timeless() {
            return new Prefix(space, 0, identities, tokens);
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

        int holders; // sequences and sessions that list it
        int sessions; // how many of these are sessions
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

    /** A sequence stored by key. */
    private static final class Stored {
        final String key;
        final Model sequence; // not open: what it looked like when it was stored
        final int priority;
        final long ttl; // since the last use
        long expires;
        int use;
        long lookedAt; // the tick in which its end may come, as far as the timer knows
        int scheduled;

        Stored(String key, Model sequence, Retention retention, long now) {
            this.key = key;
            this.sequence = sequence;
            priority = retention.priority();
            ttl = retention.ttlSinceFirstUse() ? 0 : retention.ttlNanos();
            expires = retention.ttlNanos() == 0 ? NEVER : now + retention.ttlNanos();
        }
    }

    private static final Comparator<Stored> GIVEN_UP_FIRST =
            Comparator.comparingInt((Stored stored) -> stored.priority).thenComparingInt(stored -> stored.use);

    /** Where a search along a prompt ended. */
    private record Search(
            int position,
            int matched,
            boolean missing,
            boolean withheld,
            int reclaimable,
            boolean partialReclaimable) {}

    /** What has left: why, and when, counted over all that have left. */
    private record Ghost(MissReason reason, int number) {}

    /** A sequence of the model. */
    final class Model {
        private final Prefix root;
        private final Retention retention;
        private boolean publishes;
        private int published; // how many of the first blocks have been
        private final List<Integer> tokens = new ArrayList<>();
        private final List<Block> blocks = new ArrayList<>();
        private int reserved;
        private boolean ownsTail; // since a reserve; lets the next one do without looking

        // What it is going to compute of its prompt, if it shares: the block behind position comes next.
        private @Nullable List<Integer> announced;
        private int position;
        private @Nullable Block behind; // the published block before it; null: the root
        private boolean listed; // counts when it is asked who computes what
        private Set<MissReason> missReasons = Set.of(MissReason.NONE);
        private int missedAt;

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

        Set<MissReason> missReasons() {
            return missReasons;
        }

        int missedAt() {
            return missedAt;
        }

        boolean reserve(int slots) {
            if (slots <= reserved) {
                return true;
            }
            int wanted = Math.ceilDiv(tokens.size() + slots, tokensPerBlock);
            if (wanted > blocks.size() || (!ownsTail && tokens.size() % tokensPerBlock != 0)) {
                if (!grow(wanted)) {
                    listed = false; // others may compute what it has no memory for
                    return false;
                }
                lookAgain();
            }
            reserved = slots;
            ownsTail = true;
            settle();
            return true;
        }

        private boolean grow(int wanted) {
            boolean copy =
                    reserved == 0 && tokens.size() % tokensPerBlock != 0 && isSharedOrPublished(blocks.getLast());
            int needed = wanted - blocks.size() + (copy ? 1 : 0);
            Block takeOver = null;
            int obtainable = root.space.obtainable();
            if (needed > obtainable && copy && isOnlyMine(blocks.getLast())) {
                takeOver = blocks.getLast();
                copy = false;
                needed--;
            }
            if (needed > obtainable) {
                return false;
            }
            reclaim(needed);
            if (takeOver != null) {
                giveUpHolders(root.space, takeOver);
                if (takeOver.prefix != null) {
                    root.space.evicted++;
                    unpublish(takeOver, MissReason.EVICTED);
                }
            }
            if (copy) {
                copyLast();
            }
            while (blocks.size() < wanted) {
                hold(new Block(root.space, tokensPerBlock));
            }
            return true;
        }

        private void reclaim(int needed) {
            while (root.space.blocks() + needed > root.space.ceiling) {
                CacheModel.this.reclaim(space -> space == root.space);
            }
            while (live.size() + needed > maximumBlocks) {
                boolean borrowed = leaves().anyMatch(CacheModel::isBorrowed)
                        || yieldingSessions(CacheModel::isBorrowed).findAny().isPresent();
                CacheModel.this.reclaim(borrowed ? CacheModel::isBorrowed : space -> space == root.space);
            }
        }

        // ---- what is computed together ----

        /** Says what comes next of a prompt, from the end of what was found. */
        private void announce(List<Integer> prompt, Search search) {
            announced = List.copyOf(prompt);
            position = search.position;
            join();
        }

        /** Goes on along what is published; asks for the block behind it if that is not there. */
        private void join() {
            List<Integer> prompt = Objects.requireNonNull(announced);
            int room = room(root.space);
            boolean missing = true;
            while (position + tokensPerBlock <= prompt.size()) {
                Block block = CacheModel.this.published.get(name(prompt, position + tokensPerBlock));
                missing = block == null;
                if (block == null || (isReclaimable(block) && isWithheld(--room)) || isExpired(block)) {
                    break;
                }
                position += tokensPerBlock;
                missing = true;
            }
            behind = position == 0
                    ? null
                    : CacheModel.this.published.get(name(prompt, Math.min(position, prompt.size())));
            listed = missing && position + tokensPerBlock <= prompt.size();
        }

        private Prefix name(List<Integer> prompt, int length) {
            return new Prefix(root.space, root.epoch, root.identities, List.copyOf(prompt.subList(0, length)));
        }

        /** The block that it computes, or waits for; null: none. */
        @Nullable
        Object next() {
            return listed ? name(Objects.requireNonNull(announced), position + tokensPerBlock) : null;
        }

        /** Lists it again where its own blocks end, if it goes as its prompt says. */
        private void lookAgain() {
            List<Integer> prompt = announced;
            if (prompt == null || listed || position + tokensPerBlock > prompt.size()) {
                return;
            }
            int own = published * tokensPerBlock;
            int compared = Math.min(own, prompt.size());
            if (isBelowPublished() && tokens.subList(0, compared).equals(prompt.subList(0, compared))) {
                position = own;
                join();
            } else {
                endClaim();
            }
        }

        private boolean isBelowPublished() {
            return published == 0 ? root.epoch == root.space.epoch : blocks.get(published - 1).prefix != null;
        }

        private void endClaim() {
            announced = null;
            position = 0;
            listed = false;
        }

        int adopt() {
            List<Integer> prompt = announced;
            int length = tokens.size();
            if (prompt == null || prompt.size() <= length || !tokens.equals(prompt.subList(0, length))) {
                return 0;
            }
            int own = published * tokensPerBlock;
            if (isBelowPublished() && match(root, prompt, own, prompt.size() - 1, null).matched > length) {
                releaseTo(published);
                tokens.subList(own, length).clear();
                match(root, prompt, own, prompt.size() - 1, this);
                published = tokens.size() / tokensPerBlock;
                ownsTail = false;
            }
            lookAgain();
            settle();
            root.space.adopted += tokens.size() - length;
            return tokens.size() - length;
        }

        // ---- write and publish ----

        private boolean isOnlyMine(Block block) {
            boolean leaf =
                    block.prefix == null || (!isPinned(block) && children(block).isEmpty());
            return leaf && block.holders - block.sessions == 1;
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
            int first = published;
            if (!publishes || first == tokens.size() / tokensPerBlock) {
                return;
            }
            while (publishes && published < tokens.size() / tokensPerBlock) {
                publishNext();
            }
            int known = announced == null ? 0 : Math.min(announced.size(), published * tokensPerBlock);
            if (announced != null && !tokens.subList(0, known).equals(announced.subList(0, known))) {
                endClaim();
            }
            for (int count = first + 1; count <= published; count++) {
                Prefix done = name(tokens, count * tokensPerBlock);
                sequences.stream().filter(other -> done.equals(other.next())).forEach(Model::join);
            }
            settle();
        }

        private void publishNext() {
            Prefix name = new Prefix(
                    root.space,
                    root.epoch,
                    root.identities,
                    List.copyOf(tokens.subList(0, (published + 1) * tokensPerBlock)));
            if (!isBelowPublished()) {
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
                ghosts.remove(name.timeless());
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
            ownsTail = false;
            if (published > length / tokensPerBlock) {
                published = length / tokensPerBlock;
                endClaim();
            }
            releaseTo(Math.ceilDiv(length, tokensPerBlock));
            settle();
        }

        /** Drops tokens; what is behind them is written again in front, uncommitted. */
        boolean discard(int from, int to) {
            List<@Nullable Integer> moving = new ArrayList<>();
            for (int position = to; position < tokens.size(); position++) {
                moving.add(stamp(position));
            }
            int end = Math.ceilDiv(from + moving.size(), tokensPerBlock);
            int first = moving.isEmpty() ? end : from / tokensPerBlock;
            int needed = (int) blocks.subList(first, end).stream()
                    .filter(CacheModel::isSharedOrPublished)
                    .count();
            if (needed > Math.max(0, root.space.obtainable())) {
                return false;
            }
            reclaim(needed);
            List<Block> before = List.copyOf(blocks);
            ownBlocks(first, end, from);
            tokens.subList(from, tokens.size()).clear();
            reserved = moving.size();
            ownsTail = reserved > 0;
            published = Math.min(published, from / tokensPerBlock);
            publishes = false;
            endClaim();
            for (int i = 0; i < reserved; i++) {
                blocks.get((from + i) / tokensPerBlock).stamps[(from + i) % tokensPerBlock] = moving.get(i);
            }
            for (int i = before.size() - 1; i >= first; i--) {
                if (i >= blocks.size() || blocks.get(i) != before.get(i)) {
                    letGo(before.get(i));
                }
            }
            settle();
            return true;
        }

        /** Replaces what others may see from one block to another, the tokens before {@code from} kept, and drops what is behind. */
        private void ownBlocks(int first, int end, int from) {
            blocks.subList(end, blocks.size()).clear();
            for (int i = first; i < end; i++) {
                if (isSharedOrPublished(blocks.get(i))) {
                    Block own = new Block(root.space, tokensPerBlock);
                    int kept = Math.max(0, from - i * tokensPerBlock);
                    System.arraycopy(blocks.get(i).stamps, 0, own.stamps, 0, kept);
                    own.holders++;
                    live.add(own);
                    blocks.set(i, own);
                }
            }
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
            Model fork = copy();
            sequences.add(fork);
            return fork;
        }

        private Model copy() {
            Model copy = new Model(root, retention, publishes);
            copy.tokens.addAll(tokens);
            blocks.forEach(copy::hold);
            copy.published = published;
            ownsTail = false;
            return copy;
        }

        boolean put(String key, Retention wanted) {
            if (root.epoch != root.space.epoch) {
                return false;
            }
            Stored stored = new Stored(key, copy(), wanted, now);
            blocks.forEach(block -> block.sessions++);
            drop(root.space.sessions.get(key));
            root.space.sessions.put(key, stored);
            stored.use = uses++;
            schedule(stored);
            settle();
            return true;
        }

        void close(boolean continued) {
            if (!continued) {
                markUnshared();
            }
            sequences.remove(this);
            releaseTo(0);
            settle();
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
    private final Map<Prefix, Ghost> ghosts = new HashMap<>();
    private int removals;
    private int publications;
    private int releases;
    private int uses;
    private int schedules;
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
        return open(space, prompt, options, prompt.size() - 1);
    }

    private Model open(Space space, List<Integer> prompt, OpenOptions options, int most) {
        Retention retention = Objects.requireNonNullElse(options.retention(), space.retention);
        Prefix root = root(space, options);
        Model model = new Model(root, retention, options.publish());
        Search search =
                options.lookup() ? match(root, prompt, 0, most, model) : new Search(0, 0, true, false, 0, false);
        model.published = model.tokens.size() / tokensPerBlock;
        model.missReasons = missReasons(root, prompt, options, search);
        model.missedAt = search.matched;
        boolean missed = search.missing && options.lookup() && search.matched < prompt.size() - 1;
        if (missed && options.publish() && search.position + tokensPerBlock <= prompt.size()) {
            model.announce(prompt, search);
            Object next = model.next();
            if (next != null && sequences.stream().anyMatch(other -> next.equals(other.next()))) {
                model.missReasons = Set.of(MissReason.IN_FLIGHT);
            }
        }
        sequences.add(model);
        settle();
        return model;
    }

    private static Prefix root(Space space, OpenOptions options) {
        return new Prefix(space, space.epoch, options.identities(), List.of());
    }

    /** Opens with room for all of the prompt; null if there is none. */
    @Nullable
    Model openWithRoom(Space space, List<Integer> prompt, OpenOptions options) {
        Search search = options.lookup()
                ? match(root(space, options), prompt, 0, prompt.size() - 1, null)
                : new Search(0, 0, true, false, 0, false);
        int wanted = Math.ceilDiv(prompt.size(), tokensPerBlock);
        int floors = spaces.stream().mapToInt(other -> other.floor).sum();
        if (wanted > Math.min(maximumBlocks - floors + space.floor, space.ceiling)) {
            return null;
        }
        int needed = wanted - search.position / tokensPerBlock + search.reclaimable;
        int obtainable = space.obtainable();
        if (needed - (search.partialReclaimable ? 1 : 0) > obtainable) {
            return null;
        }
        Model model = open(space, prompt, options, needed <= obtainable ? prompt.size() - 1 : search.position);
        if (!model.grow(wanted)) {
            throw new IllegalStateException("there is room for a prompt that fits: " + prompt.size());
        }
        model.reserved = prompt.size() - model.tokens.size();
        model.ownsTail = true;
        settle();
        return model;
    }

    /** Why a search ended: several where it depends on whether the cache still remembers. */
    private Set<MissReason> missReasons(Prefix root, List<Integer> prompt, OpenOptions options, Search search) {
        if (!options.lookup()) {
            return Set.of(MissReason.DISABLED);
        }
        if (search.matched >= prompt.size() - 1) {
            return Set.of(MissReason.NONE);
        }
        if (search.withheld) {
            return Set.of(MissReason.NO_ROOM);
        }
        List<Integer> found = prompt.subList(0, search.position);
        boolean continues = search.matched > 0
                && published.keySet().stream()
                        .anyMatch(prefix -> prefix.tokens.size() == search.position + tokensPerBlock
                                && prefix.upTo(0).equals(root)
                                && prefix.tokens.subList(0, search.position).equals(found));
        MissReason otherwise = continues ? MissReason.DIVERGED : MissReason.NEVER_SEEN;
        int next = search.position + tokensPerBlock;
        Ghost ghost = next > prompt.size()
                ? null
                : ghosts.get(new Prefix(root.space, root.epoch, root.identities, prompt.subList(0, next)).timeless());
        if (ghost == null) {
            return Set.of(otherwise);
        }
        boolean remembered = removals - ghost.number < REMEMBERED;
        return remembered ? Set.of(ghost.reason) : Set.of(ghost.reason, otherwise);
    }

    /** What {@link #open} would find. */
    int probe(Space space, List<Integer> prompt, OpenOptions options) {
        return options.lookup() ? match(root(space, options), prompt, 0, prompt.size() - 1, null).matched : 0;
    }

    /** Searches a prompt behind {@code from} tokens that are known, leaving the prompt's last one. */
    private Search match(Prefix root, List<Integer> prompt, int from, int most, @Nullable Model into) {
        int room = room(root.space);
        int before = room;
        int matched = from;
        while (matched + tokensPerBlock <= most) {
            Block block = published.get(
                    new Prefix(root.space, root.epoch, root.identities, prompt.subList(0, matched + tokensPerBlock)));
            if (block == null) {
                break;
            }
            if (isReclaimable(block) && isWithheld(--room)) {
                return new Search(matched, matched, false, true, before - room - 1, false);
            }
            if (isOver(block, into)) {
                boolean gone = into != null;
                return new Search(matched, matched, gone, false, before - room - (isReclaimable(block) ? 1 : 0), false);
            }
            matched += tokensPerBlock;
            adopt(block, prompt.subList(matched - tokensPerBlock, matched), into);
        }
        Block partial = most < prompt.size() - 1 ? null : bestPartial(root, prompt, matched);
        int tokens = partial == null ? 0 : matching(partial, prompt, matched);
        if (partial == null || tokens < minimumPartialHit) {
            return new Search(matched, matched, true, false, before - room, false);
        }
        boolean reclaimable = isReclaimable(partial);
        if (reclaimable && isWithheld(room - 1)) {
            return new Search(matched, matched, true, true, before - room, false);
        }
        if (isOver(partial, into)) {
            return new Search(matched, matched, true, false, before - room, false);
        }
        adopt(partial, prompt.subList(matched, matched + tokens), into);
        return new Search(matched, matched + tokens, true, false, before - room + (reclaimable ? 1 : 0), reclaimable);
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

    /** Whether nobody, or nobody but sessions, holds a block. */
    private boolean isReclaimable(Block block) {
        return block.holders == block.sessions && !isPinned(block);
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
        int room = maximumBlocks - count(block -> !isReclaimable(block));
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
        return isBorrowed(block.space);
    }

    private static boolean isBorrowed(Space space) {
        return space.blocks() > space.floor;
    }

    /** Gives up a cached block; where there is none, a session that alone holds memory. */
    private void reclaim(Predicate<Space> condition) {
        Block victim = leaves().filter(block -> condition.test(block.space))
                .min(Comparator.comparingInt(Block::band).thenComparingInt(block -> block.released))
                .orElse(null);
        if (victim != null) {
            victim.space.evicted++;
            unpublish(victim, MissReason.EVICTED);
        } else {
            Stored stored = yieldingSessions(condition).min(GIVEN_UP_FIRST).orElseThrow();
            stored.sequence.root.space.droppedSessions++;
            drop(stored);
        }
    }

    private void giveUpHolders(Space space, Block block) {
        List<Stored> holders = space.sessions.values().stream()
                .filter(stored -> stored.sequence.blocks.contains(block))
                .sorted(GIVEN_UP_FIRST)
                .toList();
        space.droppedSessions += holders.size();
        holders.forEach(this::drop);
    }

    private Stream<Stored> yieldingSessions(Predicate<Space> condition) {
        return spaces.stream()
                .filter(condition)
                .flatMap(space -> space.sessions.values().stream())
                .filter(stored -> stored.sequence.blocks.stream().anyMatch(this::isReclaimable));
    }

    // ---- sessions ----

    @Nullable
    Model get(Space space, String key) {
        Stored stored = space.sessions.get(key);
        if (stored != null && stored.expires <= now) {
            drop(stored);
            stored = null;
        }
        if (stored != null && isWithheld(stored, space)) {
            stored = null;
        }
        settle();
        if (stored == null) {
            space.sessionMisses++;
            return null;
        }
        space.sessionHits++;
        stored.use = uses++;
        stored.expires = stored.ttl == 0 ? stored.expires : now + stored.ttl;
        return stored.sequence.fork();
    }

    private boolean isWithheld(Stored stored, Space space) {
        long taken = stored.sequence.blocks.stream().filter(this::isReclaimable).count();
        return taken > 0 && isWithheld(room(space) - (int) taken);
    }

    boolean remove(Space space, String key) {
        Stored stored = space.sessions.get(key);
        drop(stored);
        settle();
        return stored != null && stored.expires > now;
    }

    private void drop(@Nullable Stored stored) {
        if (stored != null) {
            stored.sequence.root.space.sessions.remove(stored.key);
            stored.sequence.blocks.forEach(block -> block.sessions--);
            stored.sequence.releaseTo(0);
        }
    }

    private void schedule(Stored stored) {
        stored.lookedAt = stored.expires / ExpiryWheel.TICK_NANOS;
        stored.scheduled = schedules++;
    }

    /** Ends sessions whose time is over, in the order in which their timers are looked at. */
    private void endSessions() {
        Comparator<Stored> order = Comparator.comparingLong((Stored stored) -> stored.lookedAt)
                .thenComparingInt(stored -> -stored.scheduled);
        Stored due = nextDue(order);
        while (due != null) {
            if (due.expires <= now) {
                drop(due);
            } else {
                schedule(due);
            }
            due = nextDue(order);
        }
    }

    private @Nullable Stored nextDue(Comparator<Stored> order) {
        return spaces.stream()
                .flatMap(space -> space.sessions.values().stream())
                .filter(stored -> stored.lookedAt < now / ExpiryWheel.TICK_NANOS)
                .min(order)
                .orElse(null);
    }

    // ---- who computes what ----

    /** Finds a new place for those whose next block cannot be published where they stood, as what is before it has left. */
    private void settle() {
        for (Model model : List.copyOf(sequences)) {
            boolean left = model.behind == null
                    ? model.position == 0 && model.root.epoch != model.root.space.epoch
                    : model.behind.prefix == null;
            if (model.listed && left) {
                model.listed = false;
                model.lookAgain();
            }
        }
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
        block.space.expired += unpublish(block, MissReason.EXPIRED);
    }

    /** Takes out a block and all that continues it. */
    private int unpublish(Block top, MissReason reason) {
        List<Block> gone = published.values().stream()
                .filter(block -> continues(block, top))
                .toList();
        for (Block block : gone) {
            Prefix prefix = Objects.requireNonNull(block.prefix);
            published.remove(prefix);
            ghosts.put(prefix.timeless(), new Ghost(reason, removals++));
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
        endSessions();
        settle();
    }

    /**
     * Takes out all that a namespace has published and stored: what nobody holds is overwritten at once, the rest when sequences
     * let go of it.
     */
    Erasure erase(Space space) {
        Set<Block> gone = new HashSet<>();
        for (Stored stored : List.copyOf(space.sessions.values())) {
            gone.addAll(stored.sequence.blocks);
            drop(stored);
        }
        gone.removeIf(block -> block.prefix != null);
        List<Block> unpublished = published.values().stream()
                .filter(block -> block.space == space)
                .toList();
        gone.addAll(unpublished);
        gone.forEach(block -> block.pinned = false);
        int held = (int) gone.stream().filter(block -> block.holders > 0).count();
        unpublished.stream()
                .filter(block -> block.parent == null)
                .toList()
                .forEach(block -> unpublish(block, MissReason.ERASED));
        space.epoch++;
        space.erased += unpublished.size();
        settle();
        return new Erasure(gone.size() - held, held);
    }

    /** Sequences by the block that they compute or wait for. */
    Map<Object, List<Model>> together() {
        Map<Object, List<Model>> together = new HashMap<>();
        for (Model model : sequences) {
            Object next = model.next();
            if (next != null) {
                together.computeIfAbsent(next, key -> new ArrayList<>()).add(model);
            }
        }
        return together;
    }
}
