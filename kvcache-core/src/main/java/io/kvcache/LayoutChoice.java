package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * Chooses what the caller of a layout's builder left open, and says why.
 *
 * <p>Thread-safe: immutable.
 */
final class LayoutChoice {
    // Attention reads K and V of one layer from a block, then jumps to the next block. Runs below 64 KiB cost a share
    // of the memory's speed that grows as they shrink; from 128 KiB on nothing is left to gain. Where even 64 tokens
    // make a short run, the model is small and its reading cheap, and 16 tokens waste less and share more finely.
    private static final int MANY_TOKENS = 64;
    private static final int FEW_TOKENS = 16;
    private static final long RUN_BYTES = 64 << 10;

    private final BlockOrder order;
    private final int tokensPerBlock;
    private final String rationale;

    /**
     * Chooses.
     *
     * @param wantedOrder what the caller wants, or null
     * @param wantedTokens what the caller wants, or 0
     * @param rowBytes K and V of a token in the largest layer
     * @param heads heads of queries and of K/V as {@code name=value}, or nothing
     */
    LayoutChoice(@Nullable BlockOrder wantedOrder, int wantedTokens, long rowBytes, String heads) {
        tokensPerBlock = wantedTokens != 0 ? wantedTokens : tokens(rowBytes);
        boolean tiled = tokensPerBlock % BlockMatrix.TILE_TOKENS == 0;
        if (wantedOrder == BlockOrder.TILES && !tiled) {
            throw new IllegalArgumentException("tiles need a multiple of " + BlockMatrix.TILE_TOKENS
                    + " tokens in a block: tokensPerBlock=" + tokensPerBlock + " order=" + wantedOrder);
        }
        order = wantedOrder != null ? wantedOrder : tiled ? BlockOrder.TILES : BlockOrder.ROWS;
        rationale = (wantedTokens != 0 ? chosenByCaller("tokensPerBlock", tokensPerBlock) : whyTokens(rowBytes))
                + " "
                + (wantedOrder != null ? chosenByCaller("order", order) : whyOrder(heads));
    }

    private static int tokens(long rowBytes) {
        return rowBytes >= RUN_BYTES / MANY_TOKENS ? MANY_TOKENS : FEW_TOKENS;
    }

    private static String chosenByCaller(String name, Object value) {
        return name + "=" + value + " was chosen by the caller.";
    }

    private String whyTokens(long rowBytes) {
        return "tokensPerBlock=" + tokensPerBlock + " by default, because K and V of a token take " + rowBytes
                + " bytes in the largest layer: "
                + (tokensPerBlock == MANY_TOKENS
                        ? MANY_TOKENS
                                + " tokens make a run of at least 64 KiB, which memory delivers near its full speed."
                        : "even " + MANY_TOKENS + " tokens would make a run below 64 KiB, and small blocks waste less"
                                + " and share more finely.");
    }

    private String whyOrder(String heads) {
        return "order=" + order + " by default, because "
                + (order == BlockOrder.TILES
                        ? "tokensPerBlock is a multiple of 16, and vector kernels read tiles of 16 tokens once for all"
                                + " query heads of a K/V head" + (heads.isEmpty() ? "" : " (" + heads + ")") + "."
                        : "tokensPerBlock is not a multiple of 16, the tokens of a tile.");
    }

    BlockOrder order() {
        return order;
    }

    int tokensPerBlock() {
        return tokensPerBlock;
    }

    /** Why, in two sentences. */
    String rationale() {
        return rationale;
    }
}
