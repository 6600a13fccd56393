package io.kvcache.attention;

import java.nio.ByteOrder;
import java.util.Locale;

/**
 * Finds the fastest loops that this JVM can run, and says why others are off.
 *
 * <p>Thread-safe: stateless.
 */
final class KernelLookup {
    /** The property that forces loops: scalar, or vectors of a number of bits. */
    static final String PROPERTY = "io.kvcache.attention.kernels";

    private static final String MODULE = "jdk.incubator.vector";
    private static final System.Logger LOGGER = System.getLogger("io.kvcache.attention");

    private KernelLookup() {}

    /** The loops that everybody in this process uses. */
    private static final class Chosen {
        static final KernelProvider PROVIDER = choose(System.getProperty(PROPERTY, "auto"));
    }

    static KernelProvider chosen() {
        return Chosen.PROVIDER;
    }

    /** The loops that a value of the property asks for. */
    static KernelProvider choose(String wanted) {
        return switch (wanted.toLowerCase(Locale.ROOT)) {
            case "auto" -> fastest();
            case "scalar" -> new ScalarProvider();
            case "vector128" -> VectorProvider.of(128);
            case "vector256" -> VectorProvider.of(256);
            case "vector512" -> VectorProvider.of(512);
            default ->
                throw new IllegalArgumentException("no such kernels: " + PROPERTY + "=" + wanted
                        + " known=[auto, scalar, vector128, vector256, vector512]");
        };
    }

    private static KernelProvider fastest() {
        String obstacle = obstacle(
                ModuleLayer.boot().findModule(MODULE).isPresent(),
                System.getProperty("java.vm.info", ""),
                ByteOrder.nativeOrder());
        if (obstacle.isEmpty()) {
            VectorProvider provider = VectorProvider.preferred();
            if (provider.bits() >= 128) {
                LOGGER.log(System.Logger.Level.DEBUG, "attention runs on {0}", provider);
                return provider;
            }
            obstacle = "this machine has no vectors of 128 bits: bits=" + provider.bits();
        }
        LOGGER.log(
                System.Logger.Level.WARNING,
                "attention runs on plain loops, several times slower than on vectors: {0}",
                obstacle);
        return new ScalarProvider();
    }

    /** Says why vectors are off, and what turns them on; empty if nothing is known to speak against them. */
    static String obstacle(boolean hasModule, String vmInfo, ByteOrder order) {
        if (!hasModule) {
            return "the module " + MODULE + " is not there; start Java with --add-modules " + MODULE;
        }
        if (vmInfo.contains("emulated-client") || vmInfo.contains("interpreted mode")) {
            return "the C2 compiler is off (java.vm.info=" + vmInfo
                    + "); start Java without -Xint and -XX:TieredStopAtLevel";
        }
        if (order != ByteOrder.LITTLE_ENDIAN) {
            return "this machine is big-endian";
        }
        return "";
    }
}
