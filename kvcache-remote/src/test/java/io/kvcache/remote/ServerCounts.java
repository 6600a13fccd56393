package io.kvcache.remote;

import io.kvcache.localredis.LocalRedis;

/**
 * What a server has seen so far; asking counts, too.
 *
 * @param connections that were made to it
 * @param commands that it has carried out
 */
record ServerCounts(long connections, long commands) {
    static ServerCounts of(LocalRedis server) {
        String info = server.command("INFO", "stats");
        return new ServerCounts(number(info, "total_connections_received:"), number(info, "total_commands_processed:"));
    }

    /** How often it has answered by an error that begins with a word. */
    static long errors(LocalRedis server, String word) {
        return number(server.command("INFO", "errorstats"), "errorstat_" + word + ":count=");
    }

    private static long number(String info, String before) {
        return info.lines()
                .filter(line -> line.startsWith(before))
                .mapToLong(line -> Long.parseLong(line.substring(before.length())))
                .sum();
    }
}
