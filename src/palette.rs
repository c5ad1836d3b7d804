//! The colours of figures, the report page and the terminal.
//!
//! Categories have the colours of Okabe and Ito, which people with any of the common colour-vision
//! deficiencies can distinguish. Ordered values have those of viridis. Colour is never the only
//! mark: phases also have letters, layers also have markers.
//!
//! The colours of paper, frames and grey text are not here. Figures, page and terminal define their
//! own.

use std::fmt;

use crate::phase::Phase;

/// Red, green and blue of a colour in sRGB. `Display` writes it as CSS does: `#56b4e9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Okabe and Ito's orange.
pub const ORANGE: Rgb = Rgb(0xE6, 0x9F, 0x00);
/// Okabe and Ito's sky blue.
pub const SKY: Rgb = Rgb(0x56, 0xB4, 0xE9);
/// Okabe and Ito's bluish green.
pub const GREEN: Rgb = Rgb(0x00, 0x9E, 0x73);
/// Okabe and Ito's yellow.
pub const YELLOW: Rgb = Rgb(0xF0, 0xE4, 0x42);
/// Okabe and Ito's blue.
pub const BLUE: Rgb = Rgb(0x00, 0x72, 0xB2);
/// Okabe and Ito's vermillion.
pub const VERMILLION: Rgb = Rgb(0xD5, 0x5E, 0x00);
/// Okabe and Ito's reddish purple.
pub const PURPLE: Rgb = Rgb(0xCC, 0x79, 0xA7);
/// A near-black in place of Okabe and Ito's black, which is for text.
const SOOT: Rgb = Rgb(0x1A, 0x1A, 0x1A);

/// Colours of a few categories. Yellow is left out, because it is too pale for a line on white.
pub const SERIES: [Rgb; 6] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY];

/// [`SERIES`] for dark paper.
#[cfg(feature = "report")]
pub(crate) const SERIES_ON_DARK: [Rgb; 6] = [
    Rgb(0x3D, 0x9B, 0xE0),
    Rgb(0xF0, 0x7A, 0x2A),
    Rgb(0x2B, 0xBF, 0x93),
    Rgb(0xE2, 0x9A, 0xC3),
    Rgb(0xF2, 0xB6, 0x32),
    Rgb(0x8F, 0xD0, 0xF5),
];

/// viridis at equal steps, from dark to light.
#[cfg(any(feature = "plot", feature = "report"))]
pub(crate) const VIRIDIS: [Rgb; 9] = [
    Rgb(0x44, 0x01, 0x54),
    Rgb(0x47, 0x2D, 0x7B),
    Rgb(0x3B, 0x52, 0x8B),
    Rgb(0x2C, 0x72, 0x8E),
    Rgb(0x21, 0x91, 0x8C),
    Rgb(0x28, 0xAE, 0x80),
    Rgb(0x5E, 0xC9, 0x62),
    Rgb(0xAD, 0xDC, 0x30),
    Rgb(0xFD, 0xE7, 0x25),
];

/// viridis for lines on white paper. The lightest colours are darkened or left out.
#[cfg(feature = "report")]
pub(crate) const SEQUENCE: [Rgb; 8] = [
    VIRIDIS[0],
    VIRIDIS[1],
    VIRIDIS[2],
    VIRIDIS[3],
    VIRIDIS[4],
    VIRIDIS[5],
    VIRIDIS[6],
    Rgb(0x9F, 0xCF, 0x20),
];

/// viridis for lines on dark paper. The darkest colours are lightened.
#[cfg(feature = "report")]
pub(crate) const SEQUENCE_ON_DARK: [Rgb; 8] = [
    Rgb(0x8B, 0x6F, 0xC9),
    Rgb(0x6F, 0x7F, 0xD0),
    Rgb(0x4F, 0x97, 0xC4),
    Rgb(0x35, 0xA7, 0xAD),
    Rgb(0x35, 0xB5, 0x8F),
    VIRIDIS[6],
    VIRIDIS[7],
    VIRIDIS[8],
];

/// The colour of a phase. The order in which training passes through the phases goes from cool to
/// hot colours. Rank-collapse is black.
pub fn phase(phase: Phase) -> Rgb {
    match phase {
        Phase::RandomLike => SKY,
        Phase::BleedingOut => GREEN,
        Phase::BulkPlusSpikes => YELLOW,
        Phase::BulkDecay => ORANGE,
        Phase::HeavyTailed => VERMILLION,
        Phase::RankCollapse => SOOT,
    }
}

/// The colour of a phase on dark paper. There [`SOOT`] would not be visible.
#[cfg(feature = "report")]
pub(crate) fn phase_on_dark(of: Phase) -> Rgb {
    match of {
        Phase::RankCollapse => Rgb(0, 0, 0),
        other => phase(other),
    }
}

/// The colour of a phase as an index into a terminal's 256 colours.
pub fn terminal_color(phase: Phase) -> u8 {
    match phase {
        Phase::RandomLike => 74,
        Phase::BleedingOut => 36,
        Phase::BulkPlusSpikes => 221,
        // 178 is nearer, but it is a yellow like the index above.
        Phase::BulkDecay => 172,
        Phase::HeavyTailed => 166,
        Phase::RankCollapse => 234,
    }
}

impl Rgb {
    /// A colour of a terminal's 256: one of the 6×6×6 cube (from 16 on) or of the greys (from 232
    /// on). The terminal defines the first 16, so they are black here.
    pub fn from_index(index: u8) -> Self {
        match index {
            0..=15 => Self(0, 0, 0),
            16..=231 => {
                let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
                let cube = index - 16;
                Self(level(cube / 36), level(cube / 6 % 6), level(cube % 6))
            }
            232..=255 => {
                let grey = 8 + 10 * (index - 232);
                Self(grey, grey, grey)
            }
        }
    }

    /// Whether text on this colour should be dark rather than light.
    pub fn needs_dark_text(self) -> bool {
        let Self(r, g, b) = self;
        0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b) > 115.0
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: Rgb, b: Rgb) -> f64 {
        let square = |x: u8, y: u8| f64::from(x.abs_diff(y)).powi(2);
        (square(a.0, b.0) + square(a.1, b.1) + square(a.2, b.2)).sqrt()
    }

    #[test]
    fn indices_are_near_and_apart() {
        let indices = Phase::ALL.map(terminal_color);
        for (i, p) in Phase::ALL.into_iter().enumerate() {
            let nearest = (16..=255u8).map(|i| distance(phase(p), Rgb::from_index(i)));
            let nearest = nearest.fold(f64::INFINITY, f64::min);
            let chosen = distance(phase(p), Rgb::from_index(indices[i]));
            assert!(chosen <= nearest + 7.0, "{p}: {chosen} for {nearest}");
            for &other in &indices[..i] {
                let apart = distance(Rgb::from_index(other), Rgb::from_index(indices[i]));
                assert!(apart >= 40.0, "{p}: {apart}");
            }
        }
    }

    /// For each phase, figures, the style of the page and this module must agree.
    #[cfg(all(feature = "plot", feature = "report"))]
    #[test]
    fn figures_and_the_page_have_these_colours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phases.svg");
        let cell = |phase| crate::plot::PhaseCell {
            phase: Some(phase),
            ..Default::default()
        };
        let cells = vec![Phase::ALL.map(cell).to_vec()];
        crate::plot::phase_table("t", "a", &["w".into()], &[("r".into(), cells)], &path).unwrap();
        let figure = std::fs::read_to_string(path).unwrap().to_lowercase();
        let page = crate::report::html(&[]).unwrap();
        for p in Phase::ALL {
            let color = phase(p);
            assert!(
                figure.contains(&format!("fill=\"{color}\"")),
                "{p}: {color}"
            );
            assert!(page.contains(&format!("--{}: {color};", p.letter())), "{p}");
            let ink = if color.needs_dark_text() {
                "#1d1d1b"
            } else {
                "#ffffff"
            };
            assert!(
                page.contains(&format!("--on-{}: {ink};", p.letter())),
                "{p}"
            );
        }
        for (i, color) in SERIES.iter().enumerate() {
            assert!(page.contains(&format!("--c{i}: {color};")));
        }
    }
}
