//! A panel: two axes, the data between them, and the frame.

use plotters::style::{Color, RGBColor};

use super::axis::Axis;
use super::canvas::{Figure, Point, TextStyle};
use super::style::{self, LABEL, SMALL};

/// A panel with its two axes. Positions are in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

/// The titles of a panel's axes. An axis without a title has no tick labels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Labels<'a> {
    /// Title of the x axis.
    pub(super) x: Option<&'a str>,
    /// Title of the y axis.
    pub(super) y: Option<&'a str>,
}

impl Panel {
    /// Position of a data point, possibly outside the panel. None if it is not finite.
    pub(super) fn at(&self, x: f64, y: f64) -> Option<Point> {
        let (fx, fy) = (self.x.fraction(x), self.y.fraction(y));
        (fx.is_finite() && fy.is_finite()).then(|| {
            (
                self.left + fx.clamp(-1e4, 1e4) * (self.right - self.left),
                self.bottom - fy.clamp(-1e4, 1e4) * (self.bottom - self.top),
            )
        })
    }

    /// Position of a data point, moved to the nearest position inside the panel.
    pub(super) fn inside(&self, x: f64, y: f64) -> Option<Point> {
        self.at(x, y).map(|p| {
            (
                p.0.clamp(self.left, self.right),
                p.1.clamp(self.top, self.bottom),
            )
        })
    }

    /// The parts of a polyline inside the panel.
    pub(super) fn clip(&self, points: &[(f64, f64)]) -> Vec<Vec<Point>> {
        let mut parts: Vec<Vec<Point>> = Vec::new();
        for pair in points.windows(2) {
            let ends = self
                .at(pair[0].0, pair[0].1)
                .zip(self.at(pair[1].0, pair[1].1));
            let Some((a, b)) = ends.and_then(|(a, b)| self.clip_segment(a, b)) else {
                continue;
            };
            match parts.last_mut() {
                Some(part) if part.last() == Some(&a) => part.push(b),
                _ => parts.push(vec![a, b]),
            }
        }
        parts
    }

    /// Clips a segment by the Liang–Barsky algorithm.
    fn clip_segment(&self, a: Point, b: Point) -> Option<(Point, Point)> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut t0, mut t1) = (0f64, 1f64);
        for (p, q) in [
            (-dx, a.0 - self.left),
            (dx, self.right - a.0),
            (-dy, a.1 - self.top),
            (dy, self.bottom - a.1),
        ] {
            if p == 0.0 {
                if q < 0.0 {
                    return None;
                }
            } else if p < 0.0 {
                t0 = t0.max(q / p);
            } else {
                t1 = t1.min(q / p);
            }
        }
        let on = |t: f64| match t {
            0.0 => a,
            1.0 => b,
            t => (a.0 + t * dx, a.1 + t * dy),
        };
        (t0 <= t1).then(|| (on(t0), on(t1)))
    }

    /// Draws a clipped polyline.
    pub(super) fn line(
        &self,
        figure: &mut Figure,
        points: &[(f64, f64)],
        color: impl Color,
        width: f64,
    ) {
        for part in self.clip(points) {
            figure.path(part, color.to_rgba(), width);
        }
    }

    /// Draws a clipped dashed polyline.
    pub(super) fn dashed(
        &self,
        figure: &mut Figure,
        points: &[(f64, f64)],
        color: impl Color,
        width: f64,
    ) {
        for part in self.clip(points) {
            figure.dashed(&part, color.to_rgba(), width, (6.0, 4.0));
        }
    }

    /// Draws a dashed vertical line at x, if x is on the axis.
    pub(super) fn vertical(&self, figure: &mut Figure, x: f64, color: impl Color) {
        let ends = [(x, self.y.lo()), (x, self.y.hi())];
        self.dashed(figure, &ends, color, 1.4);
    }

    /// Fills the horizontal zone between two values.
    pub(super) fn zone(&self, figure: &mut Figure, lo: f64, hi: f64, color: impl Color) {
        if let Some((a, b)) = self
            .inside(self.x.lo(), lo)
            .zip(self.inside(self.x.hi(), hi))
            .filter(|(a, b)| a.1 > b.1)
        {
            figure.rect(a, b, color);
        }
    }

    /// Fills the area between two curves over the same x.
    pub(super) fn band(&self, figure: &mut Figure, points: &[(f64, f64, f64)], color: impl Color) {
        let upper = points.iter().filter_map(|p| self.inside(p.0, p.2));
        let lower = points.iter().rev().filter_map(|p| self.inside(p.0, p.1));
        figure.polygon(upper.chain(lower).collect(), color);
    }

    /// Draws an arrow at the upper or lower edge for a value beyond the axis. If `labelled`, the
    /// value is written beside it.
    pub(super) fn beyond(
        &self,
        figure: &mut Figure,
        x: f64,
        value: f64,
        color: RGBColor,
        labelled: bool,
    ) {
        let up = value > self.y.hi();
        let Some((x, y)) = self.inside(x, value).filter(|_| up || value < self.y.lo()) else {
            return;
        };
        let tip = if up { y + 1.0 } else { y - 1.0 };
        figure.arrow((x, tip), up, color);
        if labelled {
            let label = style::digits(value).replace('-', "−");
            let kind = TextStyle::new(SMALL, color);
            // At the top, the label is above the frame. At the bottom, the tick labels are below
            // it.
            if up {
                figure.text((x, y - 9.0), label, kind.middle());
            } else {
                figure.text((x + 9.0, y - 8.0), label, kind);
            }
        }
    }

    /// Draws the grid lines. Call it before drawing the data.
    pub(super) fn grid(&self, figure: &mut Figure) {
        for (x, _) in self.x.ticks(self.x_ticks()) {
            self.rule(figure, (x, self.y.lo()), (x, self.y.hi()), style::GRID);
        }
        for (y, _) in self.y.ticks(self.y_ticks()) {
            self.rule(figure, (self.x.lo(), y), (self.x.hi(), y), style::GRID);
        }
    }

    fn rule(&self, figure: &mut Figure, a: (f64, f64), b: (f64, f64), color: RGBColor) {
        if let Some((a, b)) = self.inside(a.0, a.1).zip(self.inside(b.0, b.1)) {
            figure.path(vec![a, b], color, 1.0);
        }
    }

    fn x_ticks(&self) -> usize {
        // Leave room for labels such as 10⁻³ or 250.
        ((self.right - self.left) / 55.0).clamp(2.0, 12.0) as usize
    }

    fn y_ticks(&self) -> usize {
        ((self.bottom - self.top) / 22.0).clamp(2.0, 10.0) as usize
    }

    /// Draws the axis lines, the ticks and their labels. Call it after drawing the data.
    pub(super) fn frame(&self, figure: &mut Figure, labels: Labels<'_>) {
        let corner = (self.left, self.bottom);
        let axes = vec![(self.left, self.top), corner, (self.right, self.bottom)];
        figure.path(axes, style::MUTED, 1.2);
        let number = TextStyle::new(SMALL, style::INK);
        for (value, label) in self.x.ticks(self.x_ticks()) {
            if let Some((x, _)) = self.inside(value, self.y.lo()) {
                let y = self.bottom;
                figure.path(vec![(x, y), (x, y + 5.0)], style::MUTED, 1.2);
                if labels.x.is_some() {
                    figure.text((x, y + 15.0), label, number.middle());
                }
            }
        }
        for value in self.x.minor() {
            if let Some((x, y)) = self.inside(value, self.y.lo()) {
                figure.path(vec![(x, y), (x, y + 3.0)], style::MUTED, 0.8);
            }
        }
        let mut widest = 0f64;
        for (value, label) in self.y.ticks(self.y_ticks()) {
            if let Some((x, y)) = self.inside(self.x.lo(), value) {
                figure.path(vec![(x - 5.0, y), (x, y)], style::MUTED, 1.2);
                if labels.y.is_some() {
                    widest = widest.max(style::text_width(&label, SMALL, false));
                    figure.text((x - 9.0, y), label, number.end());
                }
            }
        }
        for value in self.y.minor() {
            if let Some((x, y)) = self.inside(self.x.lo(), value) {
                figure.path(vec![(x - 3.0, y), (x, y)], style::MUTED, 0.8);
            }
        }
        let title = TextStyle::new(LABEL, style::INK).middle();
        if let Some(label) = labels.x {
            let at = ((self.left + self.right) / 2.0, self.bottom + 36.0);
            figure.text(at, with_unit(label, self.x.exponent()), title);
        }
        if let Some(label) = labels.y {
            let at = (
                (self.left - 9.0 - widest - 15.0).max(12.0),
                (self.top + self.bottom) / 2.0,
            );
            figure.text(at, with_unit(label, self.y.exponent()), title.upright());
        }
    }
}

fn with_unit(label: &str, exponent: i32) -> String {
    if exponent == 0 {
        label.to_owned()
    } else {
        format!("{label}  (in 10{})", style::superscript(exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_frame() {
        let panel = Panel {
            left: 0.0,
            top: 0.0,
            right: 10.0,
            bottom: 10.0,
            x: Axis::linear(0.0, 10.0),
            y: Axis::linear(0.0, 10.0),
        };
        let parts = panel.clip(&[
            (-5.0, 5.0),
            (5.0, 5.0),
            (5.0, 20.0),
            (f64::NAN, 1.0),
            (1.0, 1.0),
        ]);
        assert_eq!(parts, [[(0.0, 5.0), (5.0, 5.0), (5.0, 0.0)]]);
    }
}
