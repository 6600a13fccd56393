package io.kvcache.bench;

/**
 * What workers have done.
 *
 * <p>Thread-safe: immutable.
 *
 * @param requests that were served or refused
 * @param refused that found no room
 * @param opened sequences opened with a prompt
 * @param continued sessions that went on
 * @param stored sessions stored
 * @param forks of a sequence
 * @param truncates of a sequence
 * @param pins asked for
 * @param erasures of a tenant
 * @param checkedTokens cached tokens whose keys were looked at, and right
 */
record SteadyTally(
        long requests,
        long refused,
        long opened,
        long continued,
        long stored,
        long forks,
        long truncates,
        long pins,
        long erasures,
        long checkedTokens) {
    static final SteadyTally NONE = new SteadyTally(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

    /** Sequences that began to exist, each a handle on the Java heap. */
    long sequences() {
        return opened + continued + forks;
    }

    SteadyTally plus(SteadyTally other) {
        return new SteadyTally(
                requests + other.requests,
                refused + other.refused,
                opened + other.opened,
                continued + other.continued,
                stored + other.stored,
                forks + other.forks,
                truncates + other.truncates,
                pins + other.pins,
                erasures + other.erasures,
                checkedTokens + other.checkedTokens);
    }
}
