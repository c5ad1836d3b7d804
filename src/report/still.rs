//! What the page shows where no script runs: the timeline as a drawing, the last observation as a table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Run;
use super::esd::rounded;
use super::words::probability;
use crate::record::{Record, Stamp, Subject};

/// A run without a script.
pub(super) struct Plain {
    pub(super) timeline: Timeline,
    pub(super) rows: Vec<Row>,
    /// What was left out for the page's size.
    pub(super) note: Option<String>,
}

impl Plain {
    /// These observations and layers of a run, or what fits of them.
    pub(super) fn of(run: &Run, stamps: &[Stamp], layers: &[String], room: usize) -> Self {
        let (mut every, mut first) = (1, layers.len());
        loop {
            let last = stamps.len().saturating_sub(1);
            let kept = stamps.iter().enumerate();
            let kept = kept.filter(|(i, _)| (last - i).is_multiple_of(every));
            let kept: Vec<Stamp> = kept.map(|(_, &stamp)| stamp).collect();
            let mut plain = Self {
                timeline: Timeline::of(run, &kept, &layers[..first]),
                rows: rows(run, &layers[..first]),
                note: None,
            };
            let bytes = plain.bytes();
            if bytes > room && kept.len() > 2 {
                every *= 2;
            } else if bytes > room && first > 1 {
                first = (first * room / bytes).min(first * 4 / 5).max(1);
            } else {
                if every > 1 || first < layers.len() {
                    plain.note = Some(format!(
                        "For the page's size, here are {} of {} observations, and {first} of {} layers.",
                        kept.len(),
                        stamps.len(),
                        layers.len()
                    ));
                }
                return plain;
            }
        }
    }

    /// About how long it is on the page.
    fn bytes(&self) -> usize {
        let rows = self.timeline.rows.iter();
        let drawing = rows.map(|row| {
            let tile = |tile: &Tile| if tile.width >= LETTER { 140 } else { 80 };
            100 + row.name.len() + row.tiles.iter().map(tile).sum::<usize>()
        });
        let table = self.rows.iter();
        let table = table.map(|row| 240 + row.layer.len() + row.phase.len());
        drawing.sum::<usize>() + table.sum::<usize>()
    }
}

/// The timeline of a run, in units of the drawing.
#[derive(Serialize)]
pub(super) struct Timeline {
    width: f64,
    height: f64,
    /// Where the tiles begin.
    left: f64,
    rows: Vec<TileRow>,
    /// Epochs under the tiles: place and number.
    ticks: Vec<(f64, usize)>,
}

#[derive(Serialize)]
struct TileRow {
    y: f64,
    name: String,
    tiles: Vec<Tile>,
}

/// Neighbours of the same verdict are one tile.
#[derive(Serialize, PartialEq)]
struct Tile {
    x: f64,
    width: f64,
    /// The phase's letter, or `-`.
    phase: char,
    /// What is written on it: the letter, or `?` where the verdict is uncertain.
    letter: char,
}

const LEFT: f64 = 220.0;
const ROW: f64 = 22.0;
const TILES: f64 = 760.0;
/// A tile of this width has its letter; the template knows it too.
const LETTER: f64 = 9.0;

fn letters(record: &Record) -> (char, char) {
    match record.phase() {
        None => ('-', '–'),
        Some(phase) if record.is_determinate() => (phase.letter(), phase.letter()),
        Some(phase) => (phase.letter(), '?'),
    }
}

/// A hundredth of a unit is below a pixel.
fn short(v: f64) -> f64 {
    (100.0 * v).round() / 100.0
}

impl Timeline {
    fn of(run: &Run, stamps: &[Stamp], layers: &[String]) -> Self {
        let place: BTreeMap<Stamp, usize> = stamps.iter().copied().zip(0..).collect();
        let tile = (TILES / stamps.len().max(1) as f64).min(44.0);
        let mut verdicts: BTreeMap<&str, BTreeMap<usize, (char, char)>> = BTreeMap::new();
        for record in &run.trajectory.records {
            if let Some(&at) = place.get(&record.stamp) {
                let row = verdicts.entry(&record.layer).or_default();
                row.insert(at, letters(record));
            }
        }
        let rows = layers.iter().enumerate().map(|(i, layer)| {
            let mut tiles: Vec<Tile> = Vec::new();
            let mut end = usize::MAX;
            for (&at, &(phase, letter)) in verdicts.get(layer.as_str()).into_iter().flatten() {
                let joined = tile < 14.0 && end == at;
                end = at + 1;
                match tiles.last_mut() {
                    Some(last) if joined && (last.phase, last.letter) == (phase, letter) => {
                        last.width = short(LEFT + tile * end as f64 - last.x);
                    }
                    _ => tiles.push(Tile {
                        x: short(LEFT + tile * at as f64),
                        width: short(tile),
                        phase,
                        letter,
                    }),
                }
            }
            TileRow {
                y: ROW * i as f64,
                name: tail(layer, 30),
                tiles,
            }
        });
        let every = stamps.len().div_ceil(20).max(1);
        let ticks = stamps.iter().enumerate().step_by(every);
        Self {
            width: LEFT + tile * stamps.len() as f64 + 10.0,
            height: ROW * layers.len() as f64 + 40.0,
            left: LEFT,
            rows: rows.collect(),
            ticks: ticks
                .map(|(i, s)| (short(LEFT + tile * (i as f64 + 0.5)), s.epoch))
                .collect(),
        }
    }
}

/// The end of a name: it says most.
fn tail(name: &str, length: usize) -> String {
    let count = name.chars().count();
    if count <= length {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count + 1 - length).collect();
    format!("…{end}")
}

/// A layer's last observation.
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
    for record in &run.trajectory.records {
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
    let mark = |subject| if record.is_marked(subject) { "?" } else { "" };
    let (mark, bulk) = (mark(Subject::Alpha), mark(Subject::Bulk));
    let alpha = match values.map(|v| (v.row.alpha, v.row.sigma)) {
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
        lambda_max: digits(values.map(|v| v.row.lambda_max)),
        spikes: digits(values.and_then(|v| v.num_spikes).map(|k| k as f64)) + bulk,
        stable_rank: digits(values.map(|v| v.row.stable_rank)),
        entropy: digits(values.map(|v| v.row.entropy)),
    }
}
