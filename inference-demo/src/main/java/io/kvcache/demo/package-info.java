/** A small Llama decoder over kvcache: model files, tokenizer, sampler, the decode loop and the command line. */
@NullMarked
package io.kvcache.demo;

import org.jspecify.annotations.NullMarked;
