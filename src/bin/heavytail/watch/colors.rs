//! How phases and words look in a terminal.

use heavytail::Phase;
use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    None,
    Indexed,
    True,
}

impl Colors {
    /// A phase's tile: Okabe and Ito's colours as in the figures, or their neighbours among the 256.
    pub fn tile(self, phase: Phase) -> Style {
        let (index, rgb) = match phase {
            Phase::RandomLike => (74, Color::Rgb(0x56, 0xB4, 0xE9)),
            Phase::BleedingOut => (36, Color::Rgb(0x00, 0x9E, 0x73)),
            Phase::BulkPlusSpikes => (221, Color::Rgb(0xF0, 0xE4, 0x42)),
            Phase::BulkDecay => (172, Color::Rgb(0xE6, 0x9F, 0x00)),
            Phase::HeavyTailed => (166, Color::Rgb(0xD5, 0x5E, 0x00)),
            Phase::RankCollapse => (234, Color::Rgb(0x1A, 0x1A, 0x1A)),
        };
        let ink = match phase {
            Phase::RankCollapse => Color::Indexed(231),
            _ => Color::Indexed(16),
        };
        match self {
            Colors::None => Style::new().add_modifier(Modifier::REVERSED),
            Colors::Indexed => Style::new().bg(Color::Indexed(index)).fg(ink),
            Colors::True => Style::new().bg(rgb).fg(ink),
        }
    }
}

pub fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

pub fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}
