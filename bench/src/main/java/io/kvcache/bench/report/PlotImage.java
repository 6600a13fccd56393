package io.kvcache.bench.report;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.GraphicsEnvironment;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Optional;
import javax.imageio.ImageIO;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws plots. Stateless, hence thread-safe. */
public final class PlotImage {
    static final int WIDTH = 860; // pixels, about the text width of a page
    static final int HEIGHT = 400;
    private static final int SCALE = 2; // dots a pixel, for sharp displays
    private static final int MOST_MARKED_POINTS = 30; // more of them hide the line

    private PlotImage() {}

    /** Draws a plot as PNG; nothing where the machine has no font to letter it with. */
    public static Optional<byte[]> png(Plot plot) {
        System.setProperty("java.awt.headless", "true");
        if (!hasFonts()) {
            return Optional.empty();
        }
        BufferedImage image = new BufferedImage(SCALE * WIDTH, SCALE * HEIGHT, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = image.createGraphics();
        graphics.scale(SCALE, SCALE);
        chart(plot).paint(graphics, WIDTH, HEIGHT);
        graphics.dispose();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            ImageIO.write(image, "png", bytes);
        } catch (IOException e) {
            throw new IllegalStateException("memory cannot fail to be written", e);
        }
        return Optional.of(bytes.toByteArray());
    }

    private static boolean hasFonts() {
        try {
            return GraphicsEnvironment.getLocalGraphicsEnvironment().getAvailableFontFamilyNames().length > 0;
        } catch (RuntimeException | LinkageError e) {
            return false; // the JDK fails in several ways where the system has no font configuration
        }
    }

    private static XYChart chart(Plot plot) {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(plot.title())
                .xAxisTitle(plot.x().label())
                .yAxisTitle(plot.y().label())
                .build();
        XYStyler style = chart.getStyler();
        style.setXAxisLogarithmic(plot.x().logarithmic());
        style.setYAxisLogarithmic(plot.y().logarithmic());
        style.setLegendPosition(LegendPosition.OutsideE);
        style.setLegendLayout(LegendLayout.Vertical);
        style.setChartBackgroundColor(Color.WHITE);
        style.setPlotBorderVisible(false);
        for (Plot.Line line : plot.lines()) {
            double[] x = line.points().stream().mapToDouble(Plot.Point::x).toArray();
            double[] y = line.points().stream().mapToDouble(Plot.Point::y).toArray();
            var series = chart.addSeries(line.name(), x, y);
            if (x.length > MOST_MARKED_POINTS) {
                series.setMarker(SeriesMarkers.NONE);
            }
        }
        return chart;
    }
}
