//! Legends outside the plot area: a column to its right, or a strip below it.

use plotters::style::RGBColor;

use super::canvas::{Figure, Point, TextStyle};
use super::style::{self, Marker, SMALL};

/// The symbol of a legend entry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// A line with its marker.
    Line(RGBColor, Marker),
    /// A marker alone.
    Dot(RGBColor, Marker),
    /// A line alone.
    Plain(RGBColor),
    /// A dashed line.
    Dashed(RGBColor),
    /// A dashed line with its marker.
    DashedLine(RGBColor, Marker),
    /// An area with this colour and opacity.
    Area(RGBColor, f64),
    /// A tile with its letter.
    Tile(RGBColor, char),
    /// A hollow marker.
    Hollow,
    /// The arrow that marks a value beyond the axis.
    Beyond,
    /// A short upright tick.
    Rug(RGBColor),
    /// No symbol. The text is a remark.
    Remark,
}

/// A symbol and its text.
pub(super) type Entry = (Key, String);

/// Vertical distance between entries, in pixels.
pub(super) const ROW: f64 = 19.0;
const SIGN: f64 = 26.0;

/// Draws the entries below each other. Returns the y of the next entry.
pub(super) fn column(figure: &mut Figure, (x, y): Point, width: f64, entries: &[Entry]) -> f64 {
    for (i, (key, text)) in entries.iter().enumerate() {
        entry(figure, (x, y + ROW * i as f64), width, *key, text);
    }
    y + ROW * entries.len() as f64
}

/// Draws the entries next to each other, in as many rows as needed. Returns the y of the next row.
pub(super) fn strip(figure: &mut Figure, (left, top): Point, right: f64, entries: &[Entry]) -> f64 {
    let (places, height) = lay((left, right), entries);
    for ((x, y), (key, text)) in places.into_iter().zip(entries) {
        entry(figure, (x, top + y), right - x, *key, text);
    }
    top + height
}

/// Height of a [`strip`] in pixels.
pub(super) fn height(span: (f64, f64), entries: &[Entry]) -> f64 {
    lay(span, entries).1
}

fn lay((left, right): (f64, f64), entries: &[Entry]) -> (Vec<Point>, f64) {
    let (mut x, mut y) = (left, 0.0);
    let mut places = Vec::new();
    for (_, text) in entries {
        let width = SIGN + 8.0 + style::text_width(text, SMALL, false);
        if x > left && x + width > right {
            (x, y) = (left, y + ROW);
        }
        places.push((x, y));
        x += width + 22.0;
    }
    (places, y + ROW)
}

fn entry(figure: &mut Figure, (x, y): Point, width: f64, key: Key, text: &str) {
    let (middle, end) = (x + SIGN / 2.0, x + SIGN);
    let line = vec![(x, y), (end, y)];
    match key {
        Key::Line(color, marker) => {
            figure.path(line, color, 2.0);
            figure.marker((middle, y), marker, 4.0, color, false);
        }
        Key::Dot(color, marker) => figure.marker((middle, y), marker, 4.0, color, false),
        Key::Plain(color) => figure.path(line, color, 2.2),
        Key::Dashed(color) => figure.dashed(&line, color, 1.4, (6.0, 4.0)),
        Key::DashedLine(color, marker) => {
            figure.dashed(&line, color, 1.8, (6.0, 4.0));
            figure.marker((middle, y), marker, 4.0, color, false);
        }
        Key::Area(color, opacity) => {
            figure.rect((x, y - 6.0), (end, y + 6.0), style::faint(color, opacity));
        }
        Key::Tile(color, letter) => {
            figure.rect((x + 3.0, y - 8.0), (end - 3.0, y + 8.0), color);
            let kind = TextStyle::new(SMALL, style::ink_on(color)).bold().middle();
            figure.text((middle, y), letter.to_string(), kind);
        }
        Key::Hollow => figure.marker((middle, y), Marker::Circle, 4.5, style::MUTED, true),
        Key::Beyond => figure.arrow((middle, y - 4.0), true, style::MUTED),
        Key::Rug(color) => {
            for dx in [-6.0, 1.0, 6.0] {
                let x = middle + dx;
                figure.path(vec![(x, y - 6.0), (x, y + 6.0)], color, 1.6);
            }
        }
        Key::Remark => {}
    }
    let (start, color) = match key {
        Key::Remark => (x, style::MUTED),
        _ => (end + 8.0, style::INK),
    };
    let text = style::truncate_start(text, SMALL, width - (start - x));
    figure.text((start, y), text, TextStyle::new(SMALL, color));
}
