//! Colours for plotters, markers and the font. No information depends on colour alone: layers also
//! have marker shapes, and phases have letters.

use std::sync::OnceLock;

use plotters::style::{FontDesc, FontFamily, FontStyle, RGBAColor, RGBColor, register_font};

use crate::palette::{self, Rgb, SERIES, VIRIDIS};
use crate::phase::Phase;
use crate::scene::{self, Role};

/// Font sizes of titles and headings, in pixels.
pub(super) const TITLE: f64 = 17.0;
pub(super) const HEADING: f64 = 13.0;
pub(super) use crate::scene::{LABEL, SMALL};

/// Text and frames.
pub(super) const INK: RGBColor = RGBColor(0x26, 0x26, 0x26);
/// Secondary text.
pub(super) const MUTED: RGBColor = RGBColor(0x63, 0x63, 0x63);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xE4, 0xE4, 0xE4);
/// Tiles without a phase.
pub(super) const EMPTY: RGBColor = RGBColor(0xF1, 0xF1, 0xF1);
/// The background.
pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);

pub(super) const SKY: RGBColor = rgb(palette::SKY);
pub(super) const GREEN: RGBColor = rgb(palette::GREEN);
pub(super) const YELLOW: RGBColor = rgb(palette::YELLOW);
pub(super) const BLUE: RGBColor = rgb(palette::BLUE);
pub(super) const VERMILLION: RGBColor = rgb(palette::VERMILLION);
pub(super) const PURPLE: RGBColor = rgb(palette::PURPLE);

const fn rgb(Rgb(r, g, b): Rgb) -> RGBColor {
    RGBColor(r, g, b)
}

/// Shape of a data point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Pentagon,
}

const MARKERS: [Marker; 6] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::TriangleDown,
    Marker::Pentagon,
];

/// Colour and marker of layer `index` of `count`. The colours are categories for few layers, and
/// otherwise a sequence from dark (first) to light (last).
pub(super) fn layer(index: usize, count: usize) -> (RGBColor, Marker) {
    let color = if count <= SERIES.len() {
        rgb(SERIES[index % SERIES.len()])
    } else {
        // The lightest tenth is too pale for a line.
        viridis(0.9 * index as f64 / (count - 1) as f64)
    };
    (color, MARKERS[index % MARKERS.len()])
}

/// The colour of viridis at t in [0, 1].
pub(super) fn viridis(t: f64) -> RGBColor {
    let t = t.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let i = (t as usize).min(VIRIDIS.len() - 2);
    let (a, b, f) = (VIRIDIS[i], VIRIDIS[i + 1], t - i as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + f * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// The colour of a scene's role in a figure.
pub(super) fn role(role: Role) -> RGBColor {
    match role {
        Role::Ink => INK,
        Role::Muted => MUTED,
        Role::Tile(tile) => tile.phase().map_or(EMPTY, phase),
        Role::OnTile(tile) => ink_on(self::role(Role::Tile(tile))),
    }
}

/// The colour of a phase.
pub(super) fn phase(phase: Phase) -> RGBColor {
    rgb(palette::phase(phase))
}

/// Dark or light text, whichever has the better contrast on the colour.
pub(super) fn ink_on(RGBColor(r, g, b): RGBColor) -> RGBColor {
    if Rgb(r, g, b).needs_dark_text() {
        INK
    } else {
        PAPER
    }
}

/// The colour with this opacity.
pub(super) fn faint(RGBColor(r, g, b): RGBColor, opacity: f64) -> RGBAColor {
    RGBAColor(r, g, b, opacity)
}

static REGULAR: &[u8] = include_bytes!("../../assets/font/DejaVuSans-subset.ttf");
static BOLD: &[u8] = include_bytes!("../../assets/font/DejaVuSans-Bold-subset.ttf");

/// (ascent − descent)/em of the font in this crate. plotters measures font sizes as line heights.
pub(super) const LINE_HEIGHT: f64 = 1.164;

/// The font of the figures, at plotters' `size`. SVG files contain only the name of its generic
/// family.
pub(super) fn font(size: f64, bold: bool) -> FontDesc<'static> {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    // If the font cannot be registered, drawing text reports the error.
    REGISTERED.get_or_init(|| {
        let _ = register_font("sans-serif", FontStyle::Normal, REGULAR);
        let _ = register_font("sans-serif", FontStyle::Bold, BOLD);
    });
    let style = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    FontDesc::new(FontFamily::SansSerif, size, style)
}

/// Width in pixels of a line of text with the font size `em` in pixels.
pub(super) fn text_width(text: &str, em: f64, bold: bool) -> f64 {
    // Measure at a large size, because plotters rounds to whole pixels.
    let measured = font(100.0 * LINE_HEIGHT, bold).box_size(text);
    em * measured.map_or(0.6 * text.chars().count() as f64, |(width, _)| {
        f64::from(width) / 100.0
    })
}

/// Shortens a text to a width: keeps its end and puts an ellipsis before it.
pub(super) fn truncate_start(text: &str, em: f64, width: f64) -> String {
    scene::truncate_start(text, width, |t| text_width(t, em, false))
}

/// A number with three significant digits.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let exponent = value.abs().log10().floor() as i32;
    match exponent {
        -3..=2 => format!("{value:.*}", (2 - exponent).max(0) as usize),
        3..=5 => format!("{value:.0}"),
        _ => format!(
            "{:.2}·10{}",
            value / 10f64.powi(exponent),
            superscript(exponent)
        ),
    }
}

/// A number with three significant digits, in units of 10^`exponent` like the axis beside it.
pub(super) fn digits_in(value: f64, exponent: i32) -> String {
    // A number of a very different magnitude keeps its own power of ten.
    let far = value != 0.0 && (value.abs().log10() - f64::from(exponent)).abs() >= 5.0;
    if exponent == 0 || far {
        return digits(value);
    }
    let mantissa = digits(value / 10f64.powi(exponent));
    format!("{mantissa}·10{}", superscript(exponent))
}

/// An integer in superscript digits.
pub(super) fn superscript(exponent: i32) -> String {
    exponent
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            // U+2070 plus the digit is the superscript of 0 and of 4–9.
            c => c
                .to_digit(10)
                .and_then(|d| char::from_u32(0x2070 + d))
                .unwrap_or(c),
        })
        .collect()
}
