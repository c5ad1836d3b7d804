//! The data of an HTML report: the numbers of each layer and observation, and samples of the
//! spectra. It stays within a size limit.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Run;
use super::cell::{Cell, Num, Texts, fields};
use super::esd::{BODY, Esd, TOP};
use super::noscript::Fallback;
use super::page_budget::{PageBudget, Scalars, Size};
use crate::law::{Law, TracyWidom};
use crate::phase::Phase;
use crate::record::{Record, Stamp};

/// Limit of the data in bytes of JSON.
const BYTES: usize = 5_000_000;
/// Approximate limit in bytes of the part that is shown without a script.
const PLAIN: usize = 600_000;
/// Bytes of [`BYTES`] that are reserved for spectra, if there are any.
const FOR_SPECTRA: usize = BYTES / 5;
/// Smallest number of points in a sampled spectrum.
const MIN_POINTS: usize = 24;
/// With more cells than this, numbers have one digit less.
const MANY_CELLS: usize = 3_000;
/// Bytes of a packed spectrum besides its points.
const OVERHEAD: usize = 44;

/// The data of the page.
#[derive(Serialize)]
pub(super) struct Data {
    heavytail: &'static str,
    /// Whether all runs are over.
    done: bool,
    phases: Vec<PhaseName>,
    /// Names of the numbers in a cell.
    fields: Vec<&'static str>,
    /// Width of the Tracy–Widom band from 1 % to 99 %, divided by its 99 % point.
    tw_band: f64,
    runs: Vec<RunData>,
    /// The texts of the cells. U+FFFC is the placeholder of a number.
    texts: Vec<String>,
    /// Notes about what was left out to limit the page's size.
    #[serde(skip)]
    pub(super) notes: Vec<String>,
    /// The part of each run that is shown without a script.
    #[serde(skip)]
    pub(super) fallbacks: Vec<Fallback>,
}

#[derive(Serialize)]
struct PhaseName {
    letter: char,
    /// Name of the phase in records.
    name: &'static str,
    title: &'static str,
}

#[derive(Serialize)]
struct RunData {
    name: String,
    /// Epoch and step of each observation.
    stamps: Vec<(usize, u64)>,
    layers: Vec<LayerData>,
    scalars: Vec<Scalars>,
    /// The cells by layer and observation.
    cells: Vec<Vec<Option<Cell>>>,
}

#[derive(Serialize)]
struct LayerData {
    name: String,
    shape: Vec<usize>,
    /// N, M and Q of the layer's matrix.
    sides: Option<(usize, usize, Num)>,
    /// α of noise of the same shape: 5 % point, median, 95 % point.
    noise: Option<[Num; 3]>,
}

impl Data {
    /// The data of these runs, reduced until it fits the limit.
    ///
    /// # Errors
    ///
    /// If the numbers cannot be serialised.
    pub(super) fn new(runs: &[Run]) -> serde_json::Result<Self> {
        let mut budget = PageBudget::new(runs.iter().map(Size::new).collect());
        let spectra = runs.iter().any(|r| !r.spectra.is_empty());
        let limit = BYTES - if spectra { FOR_SPECTRA } else { 0 };
        loop {
            let mut data = Self::within(runs, &budget);
            let bytes = data.json()?.len();
            if bytes <= limit || !budget.tighten(bytes, limit) {
                data.add_spectra(runs, BYTES.saturating_sub(bytes));
                return Ok(data);
            }
        }
    }

    /// The data within a budget, without spectra.
    fn within(runs: &[Run], budget: &PageBudget) -> Self {
        let digits = if budget.asked() > MANY_CELLS { 3 } else { 4 };
        let share = PLAIN / runs.len().max(1);
        let mut texts = Texts::default();
        let mut fallbacks = Vec::new();
        let mut shown = Vec::new();
        for run in runs {
            let kept = budget.kept(&run.trajectory.stamps());
            let layers = run.trajectory.layers();
            let layers = &layers[..layers.len().min(budget.layers)];
            fallbacks.push(Fallback::new(run, &kept, layers, share));
            shown.push(run_data(run, &kept, layers, budget, digits, &mut texts));
        }
        let (low, high) = (TracyWidom.quantile(0.01), TracyWidom.quantile(0.99));
        Self {
            heavytail: env!("CARGO_PKG_VERSION"),
            done: runs.iter().all(Run::is_over),
            phases: Phase::ALL
                .map(|p| PhaseName {
                    letter: p.letter(),
                    name: p.name(),
                    title: p.title(),
                })
                .into(),
            fields: fields().map(|f| f.name).collect(),
            tw_band: (high - low) / high,
            runs: shown,
            texts: texts.list,
            notes: budget.notes(),
            fallbacks,
        }
    }

    /// The data as JSON that is safe inside a script element.
    ///
    /// # Errors
    ///
    /// If the numbers cannot be serialised.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        // `<` occurs only in strings, where the escape has the same meaning.
        Ok(serde_json::to_string(self)?.replace('<', "\\u003c"))
    }

    /// Adds spectra, at the finest resolution for which `room` bytes suffice.
    pub(super) fn add_spectra(&mut self, runs: &[Run], room: usize) {
        let largest = runs.iter().flat_map(|r| r.spectra.values());
        let largest = largest.flat_map(BTreeMap::values).map(Esd::points);
        let fewest = MIN_POINTS.min(largest.max().unwrap_or(0));
        let longest = self.runs.iter().map(|r| r.stamps.len()).max();
        let longest = longest.unwrap_or(1).max(1);
        let points = |every| {
            let chosen = self.runs.iter().zip(runs);
            let count: usize = chosen.map(|(r, run)| r.spectra(run, every).len()).sum();
            (room / count.max(1)).saturating_sub(OVERHEAD) / 2
        };
        let fine = (1..=longest).map(|every| (every, points(every)));
        let fine = fine.into_iter().find(|&(_, points)| points >= fewest);
        // If even the spectra of the last observation do not fit, take those of the first layers.
        let few = room / (OVERHEAD + 2 * MIN_POINTS) / runs.len().max(1);
        let (every, points, layers) = match fine {
            Some((every, points)) => (every, points.clamp(MIN_POINTS, TOP + BODY), usize::MAX),
            None => (longest, MIN_POINTS, few),
        };
        let mut sampled = false;
        for (shown, run) in self.runs.iter_mut().zip(runs) {
            for (layer, observation, esd) in shown.spectra(run, every) {
                if layer >= layers {
                    continue;
                }
                if let Some(cell) = &mut shown.cells[layer][observation] {
                    let esd = esd.thin(points);
                    sampled |= esd.is_sampled();
                    cell.spectrum = Some(esd.packed());
                }
            }
        }
        if fine.is_none() {
            self.notes.push(match few {
                0 => "Spectra are not shown: there is no room for them.".to_owned(),
                n => format!(
                    "Spectra are shown for the last observation of the first {n} layers of each run."
                ),
            });
        } else if every > 1 {
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
    }
}

fn run_data(
    run: &Run,
    kept: &[Stamp],
    names: &[String],
    budget: &PageBudget,
    digits: usize,
    texts: &mut Texts,
) -> RunData {
    let mut records: BTreeMap<(&str, Stamp), &Record> = BTreeMap::new();
    for record in run.trajectory.records() {
        records.insert((&record.layer, record.stamp), record);
    }
    let cell = |name: &String, stamp: &Stamp| records.get(&(name.as_str(), *stamp)).copied();
    let layers = names.iter().map(|name| {
        let mut of_layer = kept.iter().filter_map(|stamp| cell(name, stamp));
        let first = of_layer.next();
        let values = first.into_iter().chain(of_layer).find_map(Record::values);
        let noise = values.and_then(|v| {
            let three = [v.noise_alpha_low?, v.noise_alpha?, v.noise_alpha_high?];
            Some(three.map(|a| Num::new(a, digits)))
        });
        LayerData {
            name: name.clone(),
            shape: first.map_or_else(Vec::new, |r| r.shape.clone()),
            sides: values.map(|v| (v.primary.n, v.primary.m, Num::new(v.q, digits))),
            noise,
        }
    });
    let layers = layers.collect();
    let cells = names
        .iter()
        .map(|name| {
            let one = |stamp| cell(name, stamp).map(|r| Cell::new(r, digits, texts));
            kept.iter().map(one).collect()
        })
        .collect();
    RunData {
        name: run.name.clone(),
        stamps: kept.iter().map(|s| (s.epoch, s.step)).collect(),
        layers,
        scalars: budget.scalars(run),
        cells,
    }
}

impl RunData {
    /// The spectra of every `every`-th observation, counted from the last, as (layer, observation,
    /// spectrum). A spectrum that several observations share is included once.
    fn spectra<'a>(&self, run: &'a Run, every: usize) -> Vec<(usize, usize, &'a Esd)> {
        let mut chosen = Vec::new();
        for (layer, (about, row)) in self.layers.iter().zip(&self.cells).enumerate() {
            let mut newest = None;
            for observation in (0..self.stamps.len()).rev().step_by(every) {
                let Some(cell) = &row[observation] else {
                    continue;
                };
                let (epoch, step) = cell.carried.unwrap_or(self.stamps[observation]);
                let of = Stamp { epoch, step };
                if newest == Some(of) {
                    continue;
                }
                if let Some(esd) = run.spectra.get(&of).and_then(|all| all.get(&about.name)) {
                    newest = Some(of);
                    chosen.push((layer, observation, esd));
                }
            }
        }
        chosen
    }
}
