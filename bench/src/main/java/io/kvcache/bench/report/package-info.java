/** What studies find out, and how it is written down: JSON, tables, plots and one page of HTML. */
@NullMarked
package io.kvcache.bench.report;

import org.jspecify.annotations.NullMarked;
