//! A picture as plain data, drawn by plotters in a figure and by the browser on a page. What is
//! shown where, and in which words, is decided here; what the roles look like is the renderer's.

pub(crate) mod timeline;

use timeline::Tile;

/// Ems of names, and of numbers beside them.
pub(crate) const LABEL: f64 = 12.5;
pub(crate) const SMALL: f64 = 11.5;

/// x to the right, y down, in pixels.
pub(crate) type Point = (f64, f64);

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Role {
    /// Text on paper.
    Ink,
    /// Ticks.
    Muted,
    /// The colour of a tile.
    Tile(Tile),
    /// Text on a tile.
    OnTile(Tile),
}

/// Which point of a text its position names. Vertically it is always the middle of the capitals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A filled rectangle, from its upper left to its lower right corner.
    Rect(Point, Point, Role),
    /// A thin line.
    Line(Point, Point, Role),
    Text {
        at: Point,
        text: String,
        /// Pixels of an em.
        em: f64,
        bold: bool,
        anchor: Anchor,
        role: Role,
    },
}

/// The text, or its end with an ellipsis: the end of a layer's path says most.
pub(crate) fn elide(text: &str, width: f64, width_of: impl Fn(&str) -> f64) -> String {
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
