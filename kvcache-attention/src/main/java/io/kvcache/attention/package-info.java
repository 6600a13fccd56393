/** Attention that reads keys and values where the cache keeps them; see {@link io.kvcache.attention.PagedAttention}. */
@NullMarked
package io.kvcache.attention;

import org.jspecify.annotations.NullMarked;
