/** The build's own formatter. */
@NullMarked
package io.kvcache.format;

import org.jspecify.annotations.NullMarked;
