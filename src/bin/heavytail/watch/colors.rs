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
    /// A phase's tile, in the colours of the figures or their neighbours among the 256.
    pub fn tile(self, phase: Phase) -> Style {
        let index = palette::terminal_color(phase);
        let (color, shown) = match self {
            Colors::None => return Style::new().add_modifier(Modifier::REVERSED),
            Colors::Indexed => (Color::Indexed(index), Rgb::from_index(index)),
            Colors::True => {
                let rgb = palette::phase(phase);
                (Color::Rgb(rgb.0, rgb.1, rgb.2), rgb)
            }
        };
        let ink = if shown.needs_dark_text() {
            BLACK
        } else {
            WHITE
        };
        Style::new().bg(color).fg(ink)
    }
}

/// Of the 256, as the first 16 may look like anything.
const BLACK: Color = Color::Indexed(16);
const WHITE: Color = Color::Indexed(231);

pub fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_have_the_palette_s_colours() {
        for phase in Phase::ALL {
            let Rgb(r, g, b) = palette::phase(phase);
            let tile = Colors::True.tile(phase);
            assert_eq!(tile.bg, Some(Color::Rgb(r, g, b)));
            let dark = palette::phase(phase).needs_dark_text();
            assert_eq!(tile.fg, Some(if dark { BLACK } else { WHITE }));
            let index = Color::Indexed(palette::terminal_color(phase));
            assert_eq!(Colors::Indexed.tile(phase).bg, Some(index));
        }
    }
}
