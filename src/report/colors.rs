//! The palette as CSS variables of the HTML report.

use crate::palette::{self, Rgb};
use crate::phase::Phase;

/// Text colours of the page for light and for dark backgrounds.
const DARK_INK: Rgb = Rgb(0x1D, 0x1D, 0x1B);
const LIGHT_INK: Rgb = Rgb(0xFF, 0xFF, 0xFF);

/// CSS variables for the colours. A phase has its colour `--R` and its text colour `--on-R`, with
/// its letter. Categories are `--c0` and so on, and sequences `--v0` and so on. The rules cover the
/// light theme, the dark theme (chosen by the reader or by the system), and print.
pub(super) fn style() -> String {
    let light = variables(palette::phase, palette::SERIES, palette::SEQUENCE);
    let dark = variables(
        palette::phase_on_dark,
        palette::SERIES_ON_DARK,
        palette::SEQUENCE_ON_DARK,
    );
    format!(
        ":root {{ {light}}}\n\
         :root[data-theme=\"dark\"] {{ {dark}}}\n\
         @media (prefers-color-scheme: dark) {{ :root:not([data-theme=\"light\"]) {{ {dark}}} }}\n\
         @media print {{ :root, :root[data-theme=\"dark\"] {{ {light}}} }}\n"
    )
}

fn variables(phase: fn(Phase) -> Rgb, series: [Rgb; 6], sequence: [Rgb; 8]) -> String {
    let phases = Phase::ALL.into_iter().flat_map(|p| {
        let color = phase(p);
        let ink = if color.needs_dark_text() {
            DARK_INK
        } else {
            LIGHT_INK
        };
        let letter = p.letter();
        [(letter.to_string(), color), (format!("on-{letter}"), ink)]
    });
    let series = series.into_iter().enumerate();
    let sequence = sequence.into_iter().enumerate();
    phases
        .chain(series.map(|(i, color)| (format!("c{i}"), color)))
        .chain(sequence.map(|(i, color)| (format!("v{i}"), color)))
        .map(|(name, color)| format!("--{name}: {color}; "))
        .collect()
}
