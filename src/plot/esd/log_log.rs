//! The spectral density on logarithmic axes, with the fitted power law over its support.

use super::{EIGENVALUE, PER_ROW, Panels, check, header, histogram, legend, page};
use crate::fit::{TailFit, fit_tail};
use crate::law::{Law, PowerLaw};
use crate::plot::axis::Axis;
use crate::plot::canvas::{Figure, TextStyle};
use crate::plot::legend::Key;
use crate::plot::panel::{Labels, Panel};
use crate::plot::style::{self, SMALL, digits};
use crate::plot::table::{Table, field};
use crate::record::Doubt;
use crate::record::trust::tail_doubts;
use crate::spectrum::Spectrum;

/// The figure.
pub(in crate::plot) fn log_log(
    layer: &str,
    spectra: &[(String, Spectrum)],
) -> Result<Figure, String> {
    check(spectra)?;
    let tails: Vec<_> = spectra
        .iter()
        .map(|(_, s)| fit_tail(s.eigenvalues()))
        .collect();
    let largest = spectra
        .iter()
        .map(|(_, s)| s.lambda_max())
        .fold(0.0, f64::max);
    // Eigenvalues near zero would stretch the axis and compress the tail.
    let floor = 1e-5 * largest;
    let smallest = spectra
        .iter()
        .flat_map(|(_, s)| s.eigenvalues())
        .copied()
        .filter(|&v| v >= floor)
        .fold(largest, f64::min);
    let x = Axis::log(smallest / 1.15, largest * 1.15);
    let m = spectra.iter().map(|(_, s)| s.len()).max().unwrap_or(1);
    let decades = (x.hi() / x.lo()).log10();
    let bins = (1.2 * (m as f64).sqrt() + 6.0 * decades).clamp(10.0, 70.0) as usize;
    let edges: Vec<f64> = (0..=bins)
        .map(|i| x.lo() * (x.hi() / x.lo()).powf(i as f64 / bins as f64))
        .collect();

    let mut table = Table::new(&[
        "observation",
        "lambda_low",
        "lambda_high",
        "count",
        "density",
        "power_law",
        "alpha",
        "sigma",
        "xmin",
        "D",
        "n_tail",
        "reason",
    ]);
    let mut parts = Vec::new();
    for ((label, spectrum), tail) in spectra.iter().zip(&tails) {
        let (counts, below, _) = histogram(spectrum.eigenvalues(), &edges);
        let points: Vec<(f64, f64, f64)> = edges
            .windows(2)
            .zip(&counts)
            .map(|(e, &c)| {
                (
                    e[0],
                    e[1],
                    c as f64 / (spectrum.len() as f64 * (e[1] - e[0])),
                )
            })
            .collect();
        for (&(low, high, density), count) in points.iter().zip(&counts) {
            let fit = tail.as_ref().ok();
            let centre = (low * high).sqrt();
            table.row([
                label.clone(),
                low.to_string(),
                high.to_string(),
                count.to_string(),
                density.to_string(),
                field(
                    fit.filter(|t| centre >= t.xmin && centre <= spectrum.lambda_max())
                        .map(|t| tail_density(t, spectrum, centre)),
                ),
                field(fit.map(|t| t.alpha)),
                field(fit.map(|t| t.sigma)),
                field(fit.map(|t| t.xmin)),
                field(fit.map(|t| t.d)),
                fit.map_or_else(String::new, |t| t.n_tail.to_string()),
                tail.as_ref()
                    .err()
                    .map_or_else(String::new, ToString::to_string),
            ]);
        }
        parts.push((label, spectrum, tail, points, below));
    }
    let densities = || {
        let all = parts.iter().flat_map(|p| &p.3).map(|p| p.2);
        all.filter(|&d| d > 0.0)
    };
    let y = Axis::log(
        densities().fold(f64::INFINITY, f64::min) / 2.5,
        densities().fold(0.0, f64::max) * 2.0,
    );
    let panels = Panels::new(parts.len(), true);
    let title = format!("Spectral density of {layer}, log–log");
    let mut figure = page(&title, spectra, &panels, table);
    for (i, (label, spectrum, tail, points, below)) in parts.iter().enumerate() {
        let panel = panels.panel(i, x, y);
        panel.grid(&mut figure);
        bars(&mut figure, &panel, points);
        let hidden = match below {
            0 => String::new(),
            k => format!("; {k} near 0 not shown"),
        };
        match tail {
            Ok(tail) => {
                draw_tail(&mut figure, &panel, tail, spectrum);
                let short =
                    |d: &Doubt| matches!(d, Doubt::ShortTail { .. } | Doubt::SmallSample { .. });
                let doubt = if tail_doubts(tail).iter().any(short) {
                    " (short tail)"
                } else {
                    ""
                };
                let (k, all) = (tail.n_tail, spectrum.len());
                let second = format!("tail: {k} of {all} eigenvalues{hidden}");
                let (alpha, sigma) = (tail.alpha, tail.sigma);
                let first = format!("α = {alpha:.2} ± {sigma:.2}{doubt}, D = {:.3}", tail.d);
                header(&mut figure, &panel, label, [&first, &second]);
            }
            Err(why) => {
                let first = format!("no α: {why}");
                let second = format!("{} eigenvalues{hidden}", spectrum.len());
                header(&mut figure, &panel, label, [&first, &second]);
            }
        }
        let labels = Labels {
            x: Some(EIGENVALUE),
            y: (i % PER_ROW == 0).then_some("density on logarithmic bins"),
        };
        panel.frame(&mut figure, labels);
    }
    legend(
        &mut figure,
        &panels,
        [
            (Key::Area(style::SKY, 0.55), "eigenvalues"),
            (
                Key::Plain(style::VERMILLION),
                "fitted power law, from xmin to λmax",
            ),
            (Key::Dashed(style::INK), "xmin"),
        ],
    );
    Ok(figure)
}

/// The fitted density times the share of the eigenvalues in the tail.
fn tail_density(tail: &TailFit, spectrum: &Spectrum, x: f64) -> f64 {
    let share = tail.n_tail as f64 / spectrum.len() as f64;
    PowerLaw::new(tail.alpha, tail.xmin).map_or(0.0, |law| share * law.pdf(x))
}

fn bars(figure: &mut Figure, panel: &Panel, points: &[(f64, f64, f64)]) {
    for &(low, high, density) in points.iter().filter(|p| p.2 > 0.0) {
        let corners = panel
            .inside(low, panel.y.lo())
            .zip(panel.inside(high, density));
        if let Some((a, b)) = corners {
            let color = style::faint(style::SKY, 0.45);
            figure.rect((a.0 + 0.4, a.1), (b.0 - 0.4, b.1), color);
            // Draw the top of each bar, because the bottom is arbitrary on a logarithmic axis.
            figure.path(vec![(a.0, b.1), (b.0, b.1)], style::BLUE, 2.0);
        }
    }
}

fn draw_tail(figure: &mut Figure, panel: &Panel, tail: &TailFit, spectrum: &Spectrum) {
    panel.vertical(figure, tail.xmin, style::INK);
    let ends = [tail.xmin, spectrum.lambda_max()].map(|v| (v, tail_density(tail, spectrum, v)));
    panel.line(figure, &ends, style::VERMILLION, 2.6);
    if let Some((x, _)) = panel.inside(tail.xmin, panel.y.hi()) {
        let text = format!("xmin = {}", digits(tail.xmin));
        let room = panel.right - x > style::text_width(&text, SMALL, false) + 10.0;
        let kind = TextStyle::new(SMALL, style::INK);
        let at = if room { x + 6.0 } else { x - 6.0 };
        let kind = if room { kind } else { kind.end() };
        figure.text((at, panel.top + 8.0), text, kind);
    }
}
