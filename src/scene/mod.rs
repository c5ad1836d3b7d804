//! Pictures as plain data. plotters draws them in a figure, and the browser draws them on the HTML
//! report. A scene determines positions and texts. The renderer determines the look of each role.

pub(crate) mod timeline;

use timeline::Tile;

/// Font sizes of names and of small labels, in pixels.
pub(crate) const LABEL: f64 = 12.5;
pub(crate) const SMALL: f64 = 11.5;

/// A point in pixels: x to the right, y downwards.
pub(crate) type Point = (f64, f64);

/// The purpose of a colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Role {
    /// Text on paper.
    Ink,
    /// Ticks and secondary text.
    Muted,
    /// The colour of a tile.
    Tile(Tile),
    /// Text on a tile.
    OnTile(Tile),
}

/// The horizontal position of a text relative to its point. Vertically, the middle of the capitals
/// is at the point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A filled rectangle: upper left corner, lower right corner, role.
    Rect(Point, Point, Role),
    /// A thin line between two points.
    Line(Point, Point, Role),
    Text {
        at: Point,
        text: String,
        /// Font size in pixels.
        em: f64,
        bold: bool,
        anchor: Anchor,
        role: Role,
    },
}

/// Shortens a text to a width: keeps its end and puts an ellipsis before it. The end of a layer's
/// path distinguishes the layer best.
pub(crate) fn truncate_start(text: &str, width: f64, width_of: impl Fn(&str) -> f64) -> String {
    if text.chars().count() < 400 && width_of(text) <= width {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let mut kept = characters.len().min(200);
    loop {
        let end: String = characters[characters.len() - kept..].iter().collect();
        let short = format!("…{end}");
        if kept <= 1 || width_of(&short) <= width {
            return short;
        }
        kept -= 1;
    }
}
