//! The spectral density on linear axes: histogram, Marchenko–Pastur density with its edges,
//! Tracy–Widom band, and spikes.

use super::{EIGENVALUE, PER_ROW, Panels, check, header, histogram, legend, page};
use crate::fit::{BulkFit, NoFit, fit_bulk};
use crate::law::{Law, TracyWidom};
use crate::plot::axis::Axis;
use crate::plot::canvas::{Figure, TextStyle};
use crate::plot::legend::Key;
use crate::plot::panel::{Labels, Panel};
use crate::plot::style::{self, SMALL, digits, digits_in};
use crate::plot::table::{Table, field};
use crate::spectrum::Spectrum;

/// The quantiles of the Tracy–Widom distribution that bound the edge's band.
const EDGE_BAND: (f64, f64) = (0.01, 0.99);

/// The data of one panel.
struct Part<'a> {
    label: &'a str,
    spectrum: &'a Spectrum,
    bulk: Result<BulkFit, NoFit>,
    density: Vec<f64>,
    beyond: usize,
}

impl Part<'_> {
    /// Share of the eigenvalues in the bulk.
    fn weight(&self, bulk: &BulkFit) -> f64 {
        let all = self.spectrum.len();
        all.saturating_sub(bulk.num_spikes + bulk.num_null) as f64 / all as f64
    }

    /// The density of the bulk at equal angles, which samples its square-root edges finely.
    fn curve(&self, bulk: &BulkFit) -> Vec<(f64, f64)> {
        let law = bulk.law();
        let weight = self.weight(bulk);
        (0..=160)
            .map(|i| {
                let s = (std::f64::consts::FRAC_PI_2 * f64::from(i) / 160.0).sin();
                let x = law.lower() + (law.upper() - law.lower()) * s * s;
                (x, weight * law.pdf(x))
            })
            .collect()
    }
}

/// Lower end, upper end and narrowest bulk width of the axis. The bulk fills at least a good third
/// of the axis, wherever the spikes are.
fn range(spectra: &[(String, Spectrum)], bulks: &[Result<BulkFit, NoFit>]) -> (f64, f64, f64) {
    let eigenvalues = || spectra.iter().map(|(_, s)| s.eigenvalues());
    let smallest = eigenvalues().map(|e| e[0]).fold(f64::INFINITY, f64::min);
    let largest = spectra
        .iter()
        .map(|(_, s)| s.lambda_max())
        .fold(0.0, f64::max);
    let edge = bulks
        .iter()
        .flatten()
        .map(|b| b.threshold.max(b.lambda_plus))
        .fold(0.0, f64::max);
    let edge = if edge > 0.0 {
        edge
    } else {
        // Without a bulk, use the 90 % point of the eigenvalues.
        eigenvalues()
            .map(|e| e[e.len() * 9 / 10])
            .fold(0.0, f64::max)
    };
    let edge = if edge > 0.0 { edge } else { largest };
    // If the bulk is narrow and far from zero, the axis starts near it.
    let low = if smallest > 0.4 * edge {
        smallest - 0.15 * (edge - smallest).max(0.02 * edge)
    } else {
        0.0
    };
    let high = (largest + 0.03 * (largest - low)).min(edge + 1.6 * (edge - low));
    let thin = bulks
        .iter()
        .flatten()
        .map(|b| b.lambda_plus - b.lambda_minus)
        .filter(|w| *w > 0.0)
        .fold(edge - low, f64::min);
    (low, high, thin)
}

/// The horizontal axis and the bins of one or several panels.
struct Scene {
    x: Axis,
    /// Width of a bin.
    step: f64,
    edges: Vec<f64>,
}

impl Scene {
    fn new(spectra: &[(String, Spectrum)], bulks: &[Result<BulkFit, NoFit>]) -> Self {
        let (low, high, bulk_width) = range(spectra, bulks);
        let x = Axis::linear(low, high);
        let m = spectra.iter().map(|(_, s)| s.len()).max().unwrap_or(1);
        let bins = (1.3 * (m as f64).sqrt()).clamp(8.0, 60.0);
        // The axis holds a whole number of bins.
        let count = ((x.hi() - x.lo()) * bins / bulk_width)
            .ceil()
            .clamp(1.0, 400.0);
        let step = (x.hi() - x.lo()) / count;
        let edges = (0..=count as usize)
            .map(|i| x.lo() + step * i as f64)
            .collect();
        Self { x, step, edges }
    }
}

/// The figure. If `shared`, all panels are of one layer and share their axes.
pub(in crate::plot) fn linear(
    title: &str,
    spectra: &[(String, Spectrum)],
    shared: bool,
) -> Result<Figure, String> {
    check(spectra)?;
    let bulks: Vec<_> = spectra.iter().map(|(_, s)| fit_bulk(s)).collect();
    let scenes: Vec<Scene> = if shared {
        vec![Scene::new(spectra, &bulks)]
    } else {
        let pairs = spectra.chunks(1).zip(bulks.chunks(1));
        pairs.map(|(s, b)| Scene::new(s, b)).collect()
    };
    let scene = |i: usize| &scenes[if shared { 0 } else { i }];

    let mut table = Table::new(&[
        "observation",
        "lambda_low",
        "lambda_high",
        "count",
        "density",
        "marchenko_pastur",
        "sigma_mp",
        "lambda_minus",
        "lambda_plus",
        "tracy_widom_edge",
        "num_spikes",
        "num_null",
    ]);
    let mut parts = Vec::new();
    for (i, ((label, spectrum), bulk)) in spectra.iter().zip(bulks).enumerate() {
        let Scene { edges, step, .. } = scene(i);
        let (counts, _, beyond) = histogram(spectrum.eigenvalues(), edges);
        let density = |count: usize| count as f64 / (spectrum.len() as f64 * step);
        let part = Part {
            label,
            spectrum,
            density: counts.iter().map(|&c| density(c)).collect(),
            bulk,
            beyond,
        };
        tabulate(&mut table, &part, edges, &counts);
        parts.push(part);
    }

    let curves: Vec<Vec<(f64, f64)>> = parts
        .iter()
        .map(|p| p.bulk.as_ref().map_or_else(|_| Vec::new(), |b| p.curve(b)))
        .collect();
    let tops: Vec<f64> = if shared {
        vec![density_axis(&parts, &curves)]
    } else {
        let pairs = parts.chunks(1).zip(curves.chunks(1));
        pairs.map(|(p, c)| density_axis(p, c)).collect()
    };
    let panels = Panels::new(parts.len(), shared);
    let mut figure = page(title, spectra, &panels, table);
    for (i, (part, curve)) in parts.iter().zip(&curves).enumerate() {
        let y = Axis::linear(0.0, tops[if shared { 0 } else { i }]);
        let panel = panels.panel(i, scene(i).x, y);
        draw_linear(&mut figure, &panel, part, curve, scene(i).step);
        let labels = Labels {
            x: Some(EIGENVALUE),
            y: (!shared || i % PER_ROW == 0).then_some("density"),
        };
        panel.frame(&mut figure, labels);
    }
    legend(
        &mut figure,
        &panels,
        [
            (Key::Area(style::SKY, 0.55), "eigenvalues"),
            (Key::Plain(style::INK), "Marchenko–Pastur bulk"),
            (Key::Dashed(style::GREEN), "its edges λ₋, λ₊"),
            (Key::Area(style::GREEN, 0.4), "Tracy–Widom edge, 1–99 %"),
            (Key::Rug(style::VERMILLION), "spikes beyond it"),
        ],
    );
    Ok(figure)
}

fn tabulate(table: &mut Table, part: &Part<'_>, edges: &[f64], counts: &[usize]) {
    let bulk = part.bulk.as_ref().ok();
    let law = bulk.map(BulkFit::law);
    let mut row = |low: f64, high: f64, count: usize| {
        let density = count as f64 / (part.spectrum.len() as f64 * (high - low));
        // The mean density of the law over the bin, comparable to the histogram.
        let expected = law
            .zip(bulk)
            .map(|(law, b)| part.weight(b) * (law.cdf(high) - law.cdf(low)) / (high - low));
        table.row([
            part.label.to_owned(),
            low.to_string(),
            high.to_string(),
            count.to_string(),
            density.to_string(),
            field(expected),
            field(bulk.map(|b| b.sigma_mp)),
            field(bulk.map(|b| b.lambda_minus)),
            field(bulk.map(|b| b.lambda_plus)),
            field(bulk.map(|b| b.threshold)),
            bulk.map_or_else(String::new, |b| b.num_spikes.to_string()),
            bulk.map_or_else(String::new, |b| b.num_null.to_string()),
        ]);
    };
    for (pair, &count) in edges.windows(2).zip(counts) {
        row(pair[0], pair[1], count);
    }
    if part.beyond > 0 {
        row(
            edges[edges.len() - 1],
            part.spectrum.lambda_max(),
            part.beyond,
        );
    }
}

/// Upper end of the density axis. It ignores a mass at zero and a pole of the law, which would
/// flatten the rest.
fn density_axis(parts: &[Part<'_>], curves: &[Vec<(f64, f64)>]) -> f64 {
    let highest = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|v| v.is_finite()).fold(0.0, f64::max)
    };
    let top = highest(&mut parts.iter().flat_map(|p| p.density.iter().copied()));
    let rest = highest(&mut parts.iter().flat_map(|p| p.density.iter().skip(1).copied()));
    // Skip the first tenth of the angles, where the law may have a pole at zero.
    let law = highest(&mut curves.iter().flat_map(|c| c.iter().skip(16).map(|p| p.1)));
    let reference = rest.max(law);
    let cap = if reference > 0.0 {
        2.0 * reference
    } else {
        top
    };
    1.08 * top.max(law).min(cap)
}

fn draw_linear(
    figure: &mut Figure,
    panel: &Panel,
    part: &Part<'_>,
    curve: &[(f64, f64)],
    step: f64,
) {
    panel.grid(figure);
    for (i, &density) in part.density.iter().enumerate() {
        let from = panel.x.lo() + step * i as f64;
        if density == 0.0 {
            continue;
        }
        if let Some((a, b)) = panel
            .inside(from, 0.0)
            .zip(panel.inside(from + step, density))
        {
            let inset = if b.0 - a.0 > 3.0 { 0.4 } else { 0.0 };
            let color = style::faint(style::SKY, 0.55);
            figure.rect((a.0 + inset, a.1), (b.0 - inset, b.1), color);
            if density > panel.y.hi() {
                let at = (b.0 + 5.0, panel.top + 8.0);
                let kind = TextStyle::new(SMALL - 1.0, style::MUTED);
                figure.text(at, format!("↑ {}", digits(density)), kind);
            }
        }
    }
    let lambda_max = part.spectrum.lambda_max();
    let unit = |value| digits_in(value, panel.x.exponent());
    let first = format!("λmax = {}", unit(lambda_max));
    if part.beyond > 0 {
        let y = panel.top + 12.0;
        let note = TextStyle::new(SMALL, style::VERMILLION).bold().end();
        let text = format!("{} off the axis →", part.beyond);
        figure.text((panel.right - 4.0, y), text, note);
        let text = format!("up to λ = {}", unit(lambda_max));
        let plain = TextStyle {
            bold: false,
            ..note
        };
        figure.text((panel.right - 4.0, y + 16.0), text, plain);
    }
    let bulk = match &part.bulk {
        Ok(bulk) => bulk,
        Err(why) => {
            header(
                figure,
                panel,
                part.label,
                [&first, &format!("no bulk: {why}")],
            );
            return;
        }
    };
    let (low, high) = EDGE_BAND;
    let width = bulk.edge_scale * (TracyWidom.quantile(high) - TracyWidom.quantile(low));
    let band = panel
        .inside(bulk.threshold - width, panel.y.lo())
        .zip(panel.inside(bulk.threshold, panel.y.hi()));
    if let Some((a, b)) = band {
        // At least two pixels, because the band is very narrow for large matrices.
        let right = b.0.max(a.0 + 2.0);
        figure.rect(a, (right, b.1), style::faint(style::GREEN, 0.4));
    }
    panel.vertical(figure, bulk.lambda_minus, style::GREEN);
    panel.vertical(figure, bulk.lambda_plus, style::GREEN);
    panel.line(figure, curve, style::INK, 2.0);
    rug(figure, panel, part.spectrum, bulk.threshold);
    let spikes = match bulk.num_spikes {
        1 => "1 spike".to_owned(),
        k => format!("{k} spikes"),
    };
    let null = match bulk.num_null {
        0 => String::new(),
        k => format!(", {k} null directions"),
    };
    let second = format!("{spikes}{null}, σ_mp = {}", digits(bulk.sigma_mp));
    header(figure, panel, part.label, [&first, &second]);
}

/// Draws ticks at the eigenvalues beyond the noise edge.
fn rug(figure: &mut Figure, panel: &Panel, spectrum: &Spectrum, threshold: f64) {
    let eigenvalues = spectrum.eigenvalues();
    let from = eigenvalues.partition_point(|&v| v <= threshold);
    for &value in eigenvalues[from..].iter().filter(|&&v| v <= panel.x.hi()) {
        if let Some((x, y)) = panel.inside(value, panel.y.lo()) {
            figure.path(vec![(x, y), (x, y - 16.0)], style::VERMILLION, 1.3);
        }
    }
}
