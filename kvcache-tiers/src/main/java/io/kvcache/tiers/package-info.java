/** Stores below memory for blocks of a cache: files on a disk. */
@NullMarked
package io.kvcache.tiers;

import org.jspecify.annotations.NullMarked;
