package io.kvcache.bench.report;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

final class HtmlReportTest {
    private final String page = HtmlReport.of(List.of(Samples.RESULTS), List.of());

    @Test
    void shouldOpenWithWhatWasMeasuredOnAndWhatIsNotShown() {
        int machine = page.indexOf("a processor, 2 processors, 1 GiB");
        int notShown = page.indexOf("copying: Other machines.");
        int ratios = page.indexOf("at least 2.00: met");
        assertTrue(0 < machine && machine < notShown && notShown < ratios, page);
        assertTrue(page.contains("a 1.0") && page.contains("-Xmx1g"), page);
    }

    @Test
    void shouldSayWhatFailed() {
        String failed = HtmlReport.of(List.of(Samples.RESULTS), List.of("study failed: name=<copying>"));
        assertTrue(failed.contains("study failed: name=&lt;copying&gt;"), failed);
        assertFalse(page.contains("What failed"), page);
    }

    @Test
    void shouldNeedNothingBesideItself() {
        assertFalse(Pattern.compile("(src|href)=\"(?!#|data:)").matcher(page).find(), page);
        assertFalse(page.contains("<script"), page);
    }

    @Test
    void shouldMarkBarsAndEscapeTexts() {
        assertTrue(page.contains("class=\"missed\">at least 1.00: missed"), page);
        assertTrue(page.contains("Copying &lt;things&gt;"), page);
    }

    @Test
    void shouldDrawPlotsWhereThereAreFonts() {
        boolean drawn = page.contains("data:image/png;base64,");
        assertTrue(drawn || page.contains("this machine has no fonts"), page);
    }
}
