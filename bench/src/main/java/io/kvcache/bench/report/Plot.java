package io.kvcache.bench.report;

import java.util.List;

/**
 * Lines through points.
 *
 * <p>Thread-safe: immutable.
 *
 * @param name short, of letters and hyphens, unique within a study
 * @param title what it shows
 * @param x the horizontal axis
 * @param y the vertical axis
 * @param lines what is drawn
 */
public record Plot(String name, String title, Axis x, Axis y, List<Line> lines) {
    /** Copies the list. */
    public Plot {
        lines = List.copyOf(lines);
    }

    /**
     * A direction.
     *
     * @param label what and in which unit
     * @param logarithmic whether equal distances are equal ratios; then all values are above 0
     */
    public record Axis(String label, boolean logarithmic) {}

    /**
     * A line.
     *
     * @param name in the legend
     * @param points from left to right
     */
    public record Line(String name, List<Point> points) {
        /** Copies the list. */
        public Line {
            points = List.copyOf(points);
        }
    }

    /**
     * A point.
     *
     * @param x horizontally
     * @param y vertically
     */
    public record Point(double x, double y) {}
}
