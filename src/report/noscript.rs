//! The part of the HTML report that is shown without a script: the timeline as a drawing, and the
//! last observation as a table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Run;
use super::esd::rounded;
use super::run_summary::probability;
use super::svg::svg;
use crate::record::{DoubtSubject, Record, Stamp};
use crate::scene::timeline::{self, Layout, Timeline};

/// The part of one run that is shown without a script.
pub(super) struct Fallback {
    /// The timeline as SVG.
    pub(super) timeline: String,
    pub(super) rows: Vec<Row>,
    /// A note about what was left out to limit the page's size.
    pub(super) note: Option<String>,
}

impl Fallback {
    /// The given observations and layers of a run, reduced until they fit into `room` bytes.
    pub(super) fn new(run: &Run, stamps: &[Stamp], layers: &[String], room: usize) -> Self {
        let tiles = timeline::rows(run.trajectory.records(), layers);
        let (mut every, mut first) = (1, layers.len());
        loop {
            let last = stamps.len().saturating_sub(1);
            let kept = stamps.iter().enumerate();
            let kept = kept.filter(|(i, _)| (last - i).is_multiple_of(every));
            let kept: Vec<Stamp> = kept.map(|(_, &stamp)| stamp).collect();
            let mut fallback = Self {
                timeline: drawing(&tiles[..first], &kept),
                rows: rows(run, &layers[..first]),
                note: None,
            };
            let bytes = fallback.bytes();
            if bytes > room && kept.len() > 2 {
                every *= 2;
            } else if bytes > room && first > 1 {
                first = (first * room / bytes).min(first * 4 / 5).max(1);
            } else {
                if every > 1 || first < layers.len() {
                    fallback.note = Some(format!(
                        "For the page's size, here are {} of {} observations, and {first} of {} layers.",
                        kept.len(),
                        stamps.len(),
                        layers.len()
                    ));
                }
                return fallback;
            }
        }
    }

    /// Approximate size on the page, in bytes.
    fn bytes(&self) -> usize {
        let table = self.rows.iter();
        let table = table.map(|row| 240 + row.layer.len() + row.phase.len());
        self.timeline.len() + table.sum::<usize>()
    }
}

/// The timeline as SVG, as wide as the page.
fn drawing(rows: &[timeline::Row<'_>], stamps: &[Stamp]) -> String {
    const WIDTH: f64 = 1056.0;
    /// Minimal width in pixels. The title of the axis needs it if there are few tiles.
    const LEAST: f64 = 460.0;
    let layout = Layout {
        top: 0.0,
        right: WIDTH - MARGIN,
        text_width,
    };
    let timeline = Timeline::new(rows, stamps, layout);
    let size = (timeline.right.max(LEAST) + MARGIN, timeline.bottom + 50.0);
    svg(&timeline.shapes, size, "Timeline of phases")
}

const MARGIN: f64 = 10.0;

/// Approximate width of a text. The reader's font is unknown.
fn text_width(text: &str, em: f64, bold: bool) -> f64 {
    let latin = if bold { 0.7 } else { 0.62 };
    let widths = text.chars().map(|c| if c.is_ascii() { latin } else { 1.0 });
    em * widths.sum::<f64>()
}

/// The last observation of a layer.
#[derive(Serialize)]
pub(super) struct Row {
    layer: String,
    epoch: usize,
    phase: String,
    confidence: String,
    alpha: String,
    noise: String,
    lambda_max: String,
    spikes: String,
    stable_rank: String,
    entropy: String,
}

fn digits(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| rounded(v, 4).to_string())
}

fn rows(run: &Run, layers: &[String]) -> Vec<Row> {
    let mut last: BTreeMap<&str, &Record> = BTreeMap::new();
    for record in run.trajectory.records() {
        last.insert(&record.layer, record);
    }
    layers
        .iter()
        .filter_map(|layer| last.get(layer.as_str()).copied())
        .map(row)
        .collect()
}

fn row(record: &Record) -> Row {
    let values = record.values();
    let phase = match record.phase() {
        Some(phase) if record.is_determinate() => phase.title().to_owned(),
        Some(phase) => format!("{}?", phase.title()),
        None => record
            .no_phase()
            .map_or_else(|| "–".to_owned(), |why| why.to_string()),
    };
    let mark = |subject| {
        if record.is_questionable(subject) {
            "?"
        } else {
            ""
        }
    };
    let (mark, bulk) = (mark(DoubtSubject::Alpha), mark(DoubtSubject::Bulk));
    let alpha = match values.map(|v| (v.primary.alpha, v.primary.sigma)) {
        Some((Some(alpha), Some(sigma))) => format!("{alpha:.2}{mark} ± {sigma:.2}"),
        _ => "–".to_owned(),
    };
    let noise = values.and_then(|v| Some((v.noise_alpha_low?, v.noise_alpha_high?)));
    Row {
        layer: record.layer.clone(),
        epoch: record.stamp.epoch,
        phase,
        confidence: values
            .and_then(|v| v.phase_confidence)
            .map_or_else(|| "–".to_owned(), probability),
        alpha,
        noise: noise.map_or_else(|| "–".to_owned(), |(a, b)| format!("{a:.1} … {b:.1}")),
        lambda_max: digits(values.map(|v| v.primary.lambda_max)),
        spikes: digits(values.and_then(|v| v.num_spikes).map(|k| k as f64)) + bulk,
        stable_rank: digits(values.map(|v| v.primary.stable_rank)),
        entropy: digits(values.map(|v| v.primary.entropy)),
    }
}
