//! What a page holds: the numbers of each layer and observation, and samples of the spectra, within
//! a budget of bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Run;
use super::cell::{Cell, FIELDS, Num, Texts};
use super::esd::{BODY, TOP};
use crate::law::{Law, TracyWidom};
use crate::phase::Phase;
use crate::record::{Record, Stamp};

/// Bytes of JSON that a page may hold.
const BYTES: usize = 5_000_000;
/// Cells (layer × observation, over all runs) that it may hold.
const CELLS: usize = 12_000;
/// Points of a scalar that it may hold.
const POINTS: usize = 2_000;
/// Fewer points than this are no spectrum.
const FEWEST: usize = 24;
/// Above so many cells, one digit less.
const MANY: usize = 3_000;
/// What a packed spectrum costs beside its points.
const OVERHEAD: usize = 44;

/// The page's data.
#[derive(Serialize)]
pub(super) struct Data {
    heavytail: &'static str,
    /// Whether nothing more is to come.
    done: bool,
    phases: Vec<PhaseName>,
    /// Names of the numbers in a cell.
    fields: &'static [&'static str],
    /// Width of the Tracy–Widom band, 1–99 %, in units of its 99 % point.
    tw_band: f64,
    runs: Vec<RunData>,
    /// What cells say, by number; U+FFFC stands for the next of their own numbers.
    texts: Vec<String>,
    /// What was left out for the page's size.
    #[serde(skip)]
    pub(super) notes: Vec<String>,
}

#[derive(Serialize)]
struct PhaseName {
    letter: char,
    /// As records have it.
    name: &'static str,
    title: &'static str,
}

#[derive(Serialize)]
struct RunData {
    name: String,
    /// Epoch and step of each observation.
    stamps: Vec<(usize, u64)>,
    layers: Vec<LayerData>,
    scalars: Vec<ScalarData>,
    /// By layer, by observation.
    cells: Vec<Vec<Option<Cell>>>,
}

#[derive(Serialize)]
struct LayerData {
    name: String,
    shape: Vec<usize>,
    /// N, M, Q of its matrix.
    sides: Option<(usize, usize, Num)>,
    /// α of noise of this shape: 5 %, median, 95 %.
    noise: Option<[Num; 3]>,
}

#[derive(Serialize)]
struct ScalarData {
    name: String,
    points: Vec<(usize, Num)>,
}

impl Data {
    /// Choose what fits.
    ///
    /// # Errors
    ///
    /// If the numbers do not serialise.
    pub(super) fn of(runs: &[Run]) -> serde_json::Result<Self> {
        let mut notes = Vec::new();
        let asked: usize = runs.iter().map(cells).sum();
        let digits = if asked > MANY { 3 } else { 4 };
        let stride = stride(runs);
        if stride > 1 {
            notes.push(format!(
                "Of each run, the first observation is shown and one in {stride} counted from the last."
            ));
        }
        let layers = CELLS / runs.len().max(1);
        if runs.iter().any(|r| r.trajectory.layers().len() > layers) {
            notes.push(format!("The first {layers} layers of each run are shown."));
        }
        let mut texts = Texts::default();
        let shown: Vec<RunData> = runs
            .iter()
            .map(|run| run_data(run, stride, layers, digits, &mut texts))
            .collect();
        let (low, high) = (TracyWidom.quantile(0.01), TracyWidom.quantile(0.99));
        let mut data = Self {
            heavytail: env!("CARGO_PKG_VERSION"),
            done: runs.iter().all(|r| r.done),
            phases: Phase::ALL
                .map(|p| PhaseName {
                    letter: p.letter(),
                    name: p.name(),
                    title: p.title(),
                })
                .into(),
            fields: &FIELDS,
            tw_band: (high - low) / high,
            runs: shown,
            texts: texts.list,
            notes,
        };
        data.add_spectra(runs)?;
        Ok(data)
    }

    /// The data as JSON that is safe inside of a script element.
    ///
    /// # Errors
    ///
    /// If the numbers do not serialise.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        // `<` occurs in strings only, where its escape means the same.
        Ok(serde_json::to_string(self)?.replace('<', "\\u003c"))
    }

    /// Spectra as fine as the rest of the budget allows.
    fn add_spectra(&mut self, runs: &[Run]) -> serde_json::Result<()> {
        let room = BYTES.saturating_sub(self.json()?.len());
        let largest = runs.iter().flat_map(|r| r.spectra.values());
        let largest = largest.flat_map(BTreeMap::values).map(|e| e.points());
        let largest = largest.max().unwrap_or(0);
        let mut every = 1;
        let points = loop {
            let count: usize = self.runs.iter().map(|r| r.with_spectra(every)).sum();
            let points = (room / count.max(1)).saturating_sub(OVERHEAD) / 2;
            if points >= FEWEST.min(largest) || count <= self.runs.len() {
                break points.clamp(FEWEST, TOP + BODY);
            }
            every += 1;
        };
        let mut sampled = false;
        for (shown, run) in self.runs.iter_mut().zip(runs) {
            sampled |= shown.add_spectra(run, every, points);
        }
        if every > 1 {
            self.notes.push(format!(
                "Spectra are shown for one in {every} of these observations, counted from the last."
            ));
        }
        if sampled {
            let top = points * TOP / (TOP + BODY);
            self.notes.push(format!(
                "A spectrum of more than {points} eigenvalues is drawn from its {top} largest ones and {} \
                 quantiles of the others; the whole is in the run's folder spectra/.",
                points - top
            ));
        }
        Ok(())
    }
}

fn stamps(run: &Run) -> BTreeSet<Stamp> {
    run.trajectory.records.iter().map(|r| r.stamp).collect()
}

fn cells(run: &Run) -> usize {
    stamps(run).len() * run.trajectory.layers().len()
}

/// Every how manieth observation fits.
fn stride(runs: &[Run]) -> usize {
    let sizes: Vec<(usize, usize)> = runs
        .iter()
        .map(|r| (stamps(r).len(), r.trajectory.layers().len()))
        .collect();
    let longest = sizes.iter().map(|s| s.0).max().unwrap_or(1).max(1);
    let fits = |stride: &usize| {
        let kept = |&(stamps, layers): &(usize, usize)| (stamps.div_ceil(*stride)) * layers;
        sizes.iter().map(kept).sum::<usize>() <= CELLS
    };
    (1..longest).find(fits).unwrap_or(longest)
}

fn run_data(run: &Run, stride: usize, layers: usize, digits: usize, texts: &mut Texts) -> RunData {
    let all: Vec<Stamp> = stamps(run).into_iter().collect();
    let kept: Vec<Stamp> = all
        .iter()
        .enumerate()
        .filter(|(i, _)| *i == 0 || (all.len() - 1 - i).is_multiple_of(stride))
        .map(|(_, &stamp)| stamp)
        .collect();
    let names = run.trajectory.layers();
    let names = &names[..names.len().min(layers)];
    let mut records: BTreeMap<(&str, Stamp), &Record> = BTreeMap::new();
    for record in &run.trajectory.records {
        records.insert((&record.layer, record.stamp), record);
    }
    let cell = |name: &String, stamp: &Stamp| records.get(&(name.as_str(), *stamp)).copied();
    let layers = names.iter().map(|name| {
        let mut of_layer = kept.iter().filter_map(|stamp| cell(name, stamp));
        let first = of_layer.next();
        let values = first
            .into_iter()
            .chain(of_layer)
            .find_map(|r| r.values.as_deref());
        let noise = values.and_then(|v| {
            let three = [v.noise_alpha_low?, v.noise_alpha?, v.noise_alpha_high?];
            Some(three.map(|a| Num::of(a, digits)))
        });
        LayerData {
            name: name.clone(),
            shape: first.map_or_else(Vec::new, |r| r.shape.clone()),
            sides: values.map(|v| (v.row.n, v.row.m, Num::of(v.q, digits))),
            noise,
        }
    });
    let layers = layers.collect();
    let cells = names
        .iter()
        .map(|name| {
            let one = |stamp| cell(name, stamp).map(|r| Cell::of(r, digits, texts));
            kept.iter().map(one).collect()
        })
        .collect();
    RunData {
        name: run.name.clone(),
        stamps: kept.iter().map(|s| (s.epoch, s.step)).collect(),
        layers,
        scalars: scalars(run),
        cells,
    }
}

impl RunData {
    /// Whether this observation has its spectra, of those counted from the last.
    fn has_spectra(&self, observation: usize, every: usize) -> bool {
        (self.stamps.len() - 1 - observation).is_multiple_of(every)
    }

    fn with_spectra(&self, every: usize) -> usize {
        let shown = (0..self.stamps.len()).filter(|&i| self.has_spectra(i, every));
        shown.count() * self.layers.len()
    }

    /// Whether any of them was sampled.
    fn add_spectra(&mut self, run: &Run, every: usize, points: usize) -> bool {
        let mut sampled = false;
        for observation in 0..self.stamps.len() {
            let (epoch, step) = self.stamps[observation];
            let Some(spectra) = run.spectra.get(&Stamp { epoch, step }) else {
                continue;
            };
            if !self.has_spectra(observation, every) {
                continue;
            }
            for (layer, row) in self.layers.iter().zip(&mut self.cells) {
                if let (Some(cell), Some(esd)) = (&mut row[observation], spectra.get(&layer.name)) {
                    let esd = esd.thin(points);
                    sampled |= esd.is_sampled();
                    cell.spectrum = Some(esd.packed());
                }
            }
        }
        sampled
    }
}

fn scalars(run: &Run) -> Vec<ScalarData> {
    let mut series: Vec<ScalarData> = Vec::new();
    for scalar in &run.trajectory.scalars {
        let point = (scalar.epoch, Num::of(scalar.value, 5));
        match series.iter_mut().find(|s| s.name == scalar.name) {
            Some(known) => known.points.push(point),
            None => series.push(ScalarData {
                name: scalar.name.clone(),
                points: vec![point],
            }),
        }
    }
    for one in &mut series {
        one.points.sort_by_key(|p| p.0);
        let every = one.points.len().div_ceil(POINTS).max(1);
        let last = one.points.len().saturating_sub(1);
        let mut place = 0..;
        one.points.retain(|_| {
            place
                .next()
                .is_some_and(|i: usize| (last - i).is_multiple_of(every))
        });
    }
    series
}
