package io.kvcache.demo;

/**
 * What a call of {@code make-model} made; the fields of its JSON.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param path the file, as it was named
 * @param parameters elements of all tensors
 * @param fileBytes bytes of the file
 * @param kvBytesPerToken bytes of a token's keys and values in all layers, as F16
 */
record MadeModel(String path, long parameters, long fileBytes, long kvBytesPerToken) {}
