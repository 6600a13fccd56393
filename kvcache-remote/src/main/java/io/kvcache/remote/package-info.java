/** A store that many machines share, and what a cache holds, told to others; both by a Valkey or Redis server or cluster. */
@NullMarked
package io.kvcache.remote;

import org.jspecify.annotations.NullMarked;
