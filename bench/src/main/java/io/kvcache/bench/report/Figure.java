package io.kvcache.bench.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** How numbers are written for people. Stateless, hence thread-safe. */
final class Figure {
    private static final int RATIO_DIGITS = 3;

    private Figure() {}

    /** Writes a number with so many significant digits, or as a whole number for 0; nothing for null. */
    static String text(@Nullable Double value, int digits) {
        if (value == null) {
            return "";
        }
        if (!Double.isFinite(value)) {
            return value.toString();
        }
        if (digits == 0) {
            return String.format(Locale.ROOT, "%,d", Math.round(value));
        }
        BigDecimal rounded = new BigDecimal(value).round(new MathContext(digits, RoundingMode.HALF_EVEN));
        int exponent = rounded.precision() - rounded.scale() - 1;
        int decimals = rounded.signum() == 0 ? 0 : Math.max(0, digits - 1 - exponent);
        return String.format(Locale.ROOT, "%,." + decimals + "f", rounded);
    }

    /** Writes a ratio. */
    static String ratio(double value) {
        return text(value, RATIO_DIGITS);
    }
}
