package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which loops run, and what is said where the fast ones do not. */
final class KernelLookupTest {
    private static final String USUAL = "mixed mode, sharing";

    @Test
    void shouldNameTheOptionWhereTheModuleIsMissing() {
        assertEquals(
                "the module jdk.incubator.vector is not there; start Java with --add-modules jdk.incubator.vector",
                KernelLookup.obstacle(false, USUAL, ByteOrder.LITTLE_ENDIAN));
    }

    @ParameterizedTest
    @ValueSource(strings = {"mixed mode, emulated-client, sharing", "interpreted mode, sharing"})
    void shouldSayThatC2IsOff(String vmInfo) {
        assertEquals(
                "the C2 compiler is off (java.vm.info=" + vmInfo
                        + "); start Java without -Xint and -XX:TieredStopAtLevel",
                KernelLookup.obstacle(true, vmInfo, ByteOrder.LITTLE_ENDIAN));
    }

    @Test
    void shouldSayThatTheMachineIsBigEndian() {
        assertEquals("this machine is big-endian", KernelLookup.obstacle(true, USUAL, ByteOrder.BIG_ENDIAN));
    }

    @ParameterizedTest
    @ValueSource(strings = {"mixed mode, sharing", "mixed mode", "compiled mode, sharing", ""})
    void shouldFindNothingAgainstVectorsOnAUsualVirtualMachine(String vmInfo) {
        assertEquals("", KernelLookup.obstacle(true, vmInfo, ByteOrder.LITTLE_ENDIAN));
    }

    @ParameterizedTest
    @ValueSource(strings = {"vector64", "vector", "", " scalar", "avx"})
    void shouldRefuseUnknownNames(String name) {
        IllegalArgumentException thrown = assertThrows(IllegalArgumentException.class, () -> KernelLookup.choose(name));
        assertEquals(
                "no such kernels: io.kvcache.attention.kernels=" + name
                        + " known=[auto, scalar, vector128, vector256, vector512]",
                thrown.getMessage());
    }

    @Test
    void shouldGiveTheLoopsAskedFor() {
        assertInstanceOf(ScalarProvider.class, KernelLookup.choose("scalar"));
        assertInstanceOf(ScalarProvider.class, KernelLookup.choose("SCALAR"));
        assertEquals("scalar", KernelLookup.choose("scalar").toString());
        for (int bits : new int[] {128, 256, 512}) {
            VectorProvider vectors = assertInstanceOf(VectorProvider.class, KernelLookup.choose("vector" + bits));
            assertEquals(bits, vectors.bits());
            assertEquals("vectors of " + bits + " bits", vectors.toString());
            assertEquals(
                    bits,
                    assertInstanceOf(VectorProvider.class, KernelLookup.choose("Vector" + bits))
                            .bits());
        }
    }

    @Test
    void shouldChooseOnceForAProcess() {
        assertSame(KernelLookup.chosen(), KernelLookup.chosen());
    }
}
