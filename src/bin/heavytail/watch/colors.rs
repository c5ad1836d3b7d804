//! How phases and words look in a terminal.

use heavytail::Phase;
use heavytail::palette::{self, Rgb};
use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    None,
    Indexed,
    True,
}

impl Colors {
    /// A phase's tile: the palette's colour, or its neighbour among the 256.
    pub fn tile(self, phase: Phase) -> Style {
        let colour = palette::phase(phase);
        let Rgb(r, g, b) = colour;
        let ink = Color::Indexed(match colour.ink() {
            palette::PAPER => 231,
            _ => 16,
        });
        match self {
            Colors::None => Style::new().add_modifier(Modifier::REVERSED),
            Colors::Indexed => Style::new().bg(Color::Indexed(colour.indexed())).fg(ink),
            Colors::True => Style::new().bg(Color::Rgb(r, g, b)).fg(ink),
        }
    }
}

pub fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}
