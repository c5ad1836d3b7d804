//! What a page holds: the numbers of each layer and observation, and samples of the spectra, within
//! a budget of bytes.

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

/// Bytes of JSON that a page may hold.
const BYTES: usize = 5_000_000;
/// Bytes that it may hold beside them, about, for what is shown without a script.
const PLAIN: usize = 600_000;
/// So many of them are for spectra, where there are any.
const FOR_SPECTRA: usize = BYTES / 5;
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
    fields: Vec<&'static str>,
    /// Width of the Tracy–Widom band, 1–99 %, in units of its 99 % point.
    tw_band: f64,
    runs: Vec<RunData>,
    /// What cells say, by number; U+FFFC stands for the next of their own numbers.
    texts: Vec<String>,
    /// What was left out for the page's size.
    #[serde(skip)]
    pub(super) notes: Vec<String>,
    /// What each run shows without a script.
    #[serde(skip)]
    pub(super) fallbacks: Vec<Fallback>,
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
    scalars: Vec<Scalars>,
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

impl Data {
    /// Choose what fits.
    ///
    /// # Errors
    ///
    /// If the numbers do not serialise.
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

    /// All but the spectra.
    fn within(runs: &[Run], budget: &PageBudget) -> Self {
        let digits = if budget.asked() > MANY { 3 } else { 4 };
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
    pub(super) fn add_spectra(&mut self, runs: &[Run], room: usize) {
        let largest = runs.iter().flat_map(|r| r.spectra.values());
        let largest = largest.flat_map(BTreeMap::values).map(Esd::points);
        let fewest = FEWEST.min(largest.max().unwrap_or(0));
        let longest = self.runs.iter().map(|r| r.stamps.len()).max();
        let longest = longest.unwrap_or(1).max(1);
        let points = |every| {
            let chosen = self.runs.iter().zip(runs);
            let count: usize = chosen.map(|(r, run)| r.spectra(run, every).len()).sum();
            (room / count.max(1)).saturating_sub(OVERHEAD) / 2
        };
        let fine = (1..=longest).map(|every| (every, points(every)));
        let fine = fine.into_iter().find(|&(_, points)| points >= fewest);
        // Not even the last observation's fit: those of the first layers.
        let few = room / (OVERHEAD + 2 * FEWEST) / runs.len().max(1);
        let (every, points, layers) = match fine {
            Some((every, points)) => (every, points.clamp(FEWEST, TOP + BODY), usize::MAX),
            None => (longest, FEWEST, few),
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
    /// The spectra of one in so many observations, counted from the last: layer, observation, spectrum. One that
    /// was carried along is there once.
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
