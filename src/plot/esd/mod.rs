//! Empirical spectral densities of layers: on linear axes with the Marchenko–Pastur bulk, and on
//! logarithmic axes with the power-law tail.

mod linear;
mod log_log;

pub(super) use linear::linear;
pub(super) use log_log::log_log;

use super::axis::Axis;
use super::canvas::{Figure, TextStyle};
use super::legend::{self, Entry, Key};
use super::panel::Panel;
use super::style::{self, HEADING, SMALL};
use super::table::Table;
use crate::spectrum::Spectrum;

const LEFT: f64 = 78.0;
const GAP: f64 = 26.0;
const PER_ROW: usize = 3;
const WIDTH: f64 = 960.0;
const EIGENVALUE: &str = "eigenvalue λ of X = WᵀW/N";

/// The layout of the panels in rows. Panels with shared axes need less space between them.
struct Panels {
    rows: usize,
    gap: f64,
    width: f64,
    height: f64,
}

impl Panels {
    const TOP: f64 = 126.0;
    const BETWEEN: f64 = 112.0;

    fn new(count: usize, shared: bool) -> Self {
        let shown = count.clamp(1, PER_ROW) as f64;
        let gap = if shared { GAP } else { LEFT };
        Self {
            rows: count.div_ceil(PER_ROW),
            gap,
            width: (WIDTH - LEFT - 24.0 - gap * (shown - 1.0)) / shown,
            height: 250.0,
        }
    }

    fn bottom(&self) -> f64 {
        Self::TOP + self.height + (self.rows - 1) as f64 * (self.height + Self::BETWEEN)
    }

    fn panel(&self, i: usize, x: Axis, y: Axis) -> Panel {
        let (row, column) = (i / PER_ROW, i % PER_ROW);
        let left = LEFT + column as f64 * (self.width + self.gap);
        let top = Self::TOP + row as f64 * (self.height + Self::BETWEEN);
        Panel {
            left,
            top,
            right: left + self.width,
            bottom: top + self.height,
            x,
            y,
        }
    }
}

/// Draws a panel's title and two lines below it.
fn header(figure: &mut Figure, panel: &Panel, title: &str, lines: [&str; 2]) {
    let width = panel.right - panel.left;
    let title = style::truncate_start(title, HEADING, width);
    figure.text(
        (panel.left, panel.top - 48.0),
        title,
        TextStyle::new(HEADING, style::INK).bold(),
    );
    for (i, line) in lines.into_iter().enumerate() {
        let y = panel.top - 29.0 + 15.0 * i as f64;
        let kind = TextStyle::new(SMALL - 0.5, style::MUTED);
        figure.text(
            (panel.left, y),
            style::truncate_start(line, SMALL - 0.5, width),
            kind,
        );
    }
}

/// Returns an error if there is nothing to draw.
fn check(spectra: &[(String, Spectrum)]) -> Result<(), String> {
    if spectra.is_empty() {
        return Err("nothing to draw: no spectra".to_owned());
    }
    if spectra.iter().all(|(_, s)| s.lambda_max() <= 0.0) {
        return Err("nothing to draw: every eigenvalue is zero".to_owned());
    }
    Ok(())
}

/// A figure with its title, without panels and legend.
fn page(title: &str, spectra: &[(String, Spectrum)], panels: &Panels, table: Table) -> Figure {
    let mut figure = Figure::new(WIDTH, panels.bottom() + 92.0, table);
    figure.heading(title, "");
    // Show the matrix shape if all spectra have the same one.
    if let Some((_, s)) = spectra.first()
        && spectra
            .iter()
            .all(|(_, t)| (t.n(), t.m()) == (s.n(), s.m()))
    {
        let shape = format!("{} × {}, Q = {:.2}", s.n(), s.m(), s.q());
        figure.text((20.0, 48.0), shape, TextStyle::new(SMALL, style::MUTED));
    }
    figure
}

fn legend<const N: usize>(figure: &mut Figure, panels: &Panels, entries: [(Key, &str); N]) {
    let entries: [Entry; N] = entries.map(|(key, text)| (key, text.to_owned()));
    let at = (LEFT, panels.bottom() + 68.0);
    legend::strip(figure, at, WIDTH - 20.0, &entries);
}

/// The number of values between `edges`, below them and above them.
fn histogram(sorted: &[f64], edges: &[f64]) -> (Vec<usize>, usize, usize) {
    let below = |e: f64| sorted.partition_point(|&v| v < e);
    let counts = edges
        .windows(2)
        .map(|pair| below(pair[1]) - below(pair[0]))
        .collect();
    let (first, last) = (edges[0], edges[edges.len() - 1]);
    (counts, below(first), sorted.len() - below(last))
}
