//! Colours, once: the figures, the page and the terminal take theirs from here. Colour never stands alone: phases have
//! letters, layers have markers.

use crate::phase::Phase;

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

// Okabe and Ito's colours, told apart with any of the common colour-vision deficiencies.
/// Orange.
pub const ORANGE: Rgb = Rgb(0xE6, 0x9F, 0x00);
/// Sky blue.
pub const SKY: Rgb = Rgb(0x56, 0xB4, 0xE9);
/// Bluish green.
pub const GREEN: Rgb = Rgb(0x00, 0x9E, 0x73);
/// Yellow.
pub const YELLOW: Rgb = Rgb(0xF0, 0xE4, 0x42);
/// Blue.
pub const BLUE: Rgb = Rgb(0x00, 0x72, 0xB2);
/// Vermillion.
pub const VERMILLION: Rgb = Rgb(0xD5, 0x5E, 0x00);
/// Reddish purple.
pub const PURPLE: Rgb = Rgb(0xCC, 0x79, 0xA7);
/// Text.
pub const INK: Rgb = Rgb(0x26, 0x26, 0x26);
/// Paper.
pub const PAPER: Rgb = Rgb(0xFF, 0xFF, 0xFF);

/// Categories in order. Yellow is too pale for a line on white; black is for text.
pub const CATEGORIES: [Rgb; 6] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY];

/// Cool to hot in the order in which training walks through the phases; collapse is black.
pub const fn phase(phase: Phase) -> Rgb {
    match phase {
        Phase::RandomLike => SKY,
        Phase::BleedingOut => GREEN,
        Phase::BulkPlusSpikes => YELLOW,
        Phase::BulkDecay => ORANGE,
        Phase::HeavyTailed => VERMILLION,
        Phase::RankCollapse => Rgb(0x1A, 0x1A, 0x1A),
    }
}

impl Rgb {
    /// Dark or light text, whichever is easier to read on the colour.
    pub fn ink(self) -> Rgb {
        let Rgb(r, g, b) = self;
        let luminance = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
        if luminance > 115.0 { INK } else { PAPER }
    }

    /// As `#rrggbb`.
    pub fn hex(self) -> String {
        let Rgb(r, g, b) = self;
        format!("#{r:02x}{g:02x}{b:02x}")
    }

    /// The nearest of a terminal's 256 colours, the first 16 of which are the user's and never taken.
    pub fn indexed(self) -> u8 {
        let level = |i: u8| if i == 0 { 0 } else { 55 + 40 * i };
        let colour = |index: u8| match index {
            16..=231 => {
                let i = index - 16;
                Rgb(level(i / 36), level(i / 6 % 6), level(i % 6))
            }
            gray => {
                let v = 8 + 10 * (gray.max(232) - 232);
                Rgb(v, v, v)
            }
        };
        let square = |a: u8, b: u8| (i32::from(a) - i32::from(b)).pow(2);
        let distance = |&index: &u8| {
            let other = colour(index);
            square(self.0, other.0) + square(self.1, other.1) + square(self.2, other.2)
        };
        (16..=255).min_by_key(distance).unwrap_or(16)
    }
}

/// A style sheet with the palette's colours in place of `@R` to `@C`, the phases by their letters, and `@0` to `@5`, the
/// categories.
#[cfg(feature = "report")]
pub(crate) fn style_sheet(template: &str) -> String {
    let phases = Phase::ALL.map(|p| (format!("@{};", p.letter()), phase(p)));
    let categories = CATEGORIES.iter().enumerate();
    let categories = categories.map(|(i, &colour)| (format!("@{i};"), colour));
    let mut sheet = template.to_owned();
    for (token, colour) in phases.into_iter().chain(categories) {
        sheet = sheet.replace(&token, &format!("{};", colour.hex()));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_the_nearest_colour() {
        assert_eq!(SKY.indexed(), 74);
        assert_eq!(PAPER.indexed(), 231);
        assert_eq!(Rgb(0, 0, 0).indexed(), 16);
        assert_eq!(phase(Phase::RankCollapse).indexed(), 234);
    }

    #[test]
    fn ink_is_readable() {
        assert_eq!(YELLOW.ink(), INK);
        assert_eq!(phase(Phase::RankCollapse).ink(), PAPER);
    }

    #[cfg(feature = "report")]
    #[test]
    fn the_page_has_the_same_colours() {
        let sheet = style_sheet(include_str!("report/page/report.css"));
        for p in Phase::ALL {
            let rule = format!("--{}: {};", p.letter(), phase(p).hex());
            assert!(sheet.contains(&rule), "{rule}");
        }
        assert!(!sheet.contains(": @"));
    }
}
