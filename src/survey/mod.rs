//! Analyses every matrix of a checkpoint. Each matrix has one row, with a reason where a value is
//! missing.

mod dedup;
mod lora;
mod options;
mod parts;
mod plan;
mod weightwatcher;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::analysis::Analyzer;
use crate::checkpoint::{Checkpoint, TensorInfo};
use crate::config::Config;
use crate::error::{LayerError, Result};
use crate::matrix::{Cuts, Layout};
use crate::phase::Unclassifiable;
use crate::record::{Record, Stamp, Summary};
use crate::spectrum::{Solver, Spectrum};
use dedup::skip_duplicates;
use lora::{Adapter, adapters, base_of, product, scaling};
pub use options::SurveyOptions;
pub use parts::{Part, heads, parts};
use plan::{Job, Plan, Task, layer_shape};

/// The rows of a checkpoint and their summary.
///
/// With [`weightwatcher`](SurveyOptions::weightwatcher), the rows follow the conventions of the
/// tool WeightWatcher:
///
/// - The row of a convolution uses the eigenvalues of all its slices together, each multiplied by
///   ½.
/// - The power-law fit leaves out eigenvalues below an absolute 1e-5.
/// - `entropy` is divided by the logarithm of the rank.
/// - `matrix_rank` counts singular values above sv_max·N·ε of f64.
/// - Values that need a Marchenko–Pastur fit are empty.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Survey {
    /// The rows in file order. `status` is `success`, `failed` or `skipped`. The last two have a
    /// reason.
    pub rows: Vec<Record>,
    /// The spectrum of each row, X = WᵀW/N, of the whole matrix or the unfolding of a convolution.
    /// `None` for a row that failed or was skipped.
    pub spectra: Vec<Option<Spectrum>>,
    /// The summary over the rows that succeeded.
    pub summary: Summary,
    /// The tensor and the part of it that each row describes.
    sources: Vec<Option<(usize, Part)>>,
}

impl Survey {
    /// Reads the matrices of a row again. `None` for a row without a matrix, and for an adapter's
    /// product.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read any more.
    pub fn cuts(&self, checkpoint: &Checkpoint, row: usize) -> Result<Option<Cuts>> {
        let Some(Some((index, part))) = self.sources.get(row) else {
            return Ok(None);
        };
        let Some(info) = checkpoint.tensors().get(*index) else {
            return Ok(None);
        };
        part.cut(&info.shape, &checkpoint.read(*index)?).map(Some)
    }
}

/// Summarises the rows that succeeded.
pub fn summarise(run: &str, rows: &[Record]) -> Summary {
    let succeeded = rows.iter().filter(|r| r.is_success());
    let succeeded: Vec<Record> = succeeded.cloned().collect();
    Summary::new(run, Stamp::default(), &succeeded, 0.0)
}

/// The factors of low-rank adapters: the position of each tensor and the name of its adapted layer.
/// [`survey`] analyses the product of an adapter, not its factors.
pub fn adapter_factors(tensors: &[TensorInfo]) -> HashMap<usize, String> {
    let factors = |a: Adapter| [(a.a, a.layer.clone()), (a.b, a.layer)];
    adapters(tensors).into_iter().flat_map(factors).collect()
}

/// Analyses every matrix of a checkpoint. `progress` receives the number of finished tensors and
/// the number of all tensors, after each tensor.
///
/// # Errors
///
/// Returns an error if the file cannot be read any more. A layer that fails alone causes no error:
/// its row gives the reason.
pub fn survey(
    checkpoint: &Checkpoint,
    options: &SurveyOptions,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Survey> {
    let run = checkpoint.path().display().to_string();
    let mut plan = Plan::new(checkpoint, options, &run);
    if let Some((i, n)) = options.shard {
        plan.keep_part(i, n);
    }
    let Plan {
        rows,
        mut sources,
        queue,
        other_parts,
    } = plan;
    let spectra = vec![None; rows.len()];
    let total = queue.len();
    let shared = Shared {
        checkpoint,
        options,
        run: &run,
        queue: Mutex::new(queue),
        done: Mutex::new(Done {
            tensors: 0,
            rows,
            spectra,
        }),
    };
    std::thread::scope(|scope| {
        for _ in 1..options.jobs.clamp(1, total.max(1)) {
            scope.spawn(|| shared.work(total, &progress));
        }
        shared.work(total, &progress);
    });
    let done = shared.done.into_inner();
    let Done {
        mut rows,
        mut spectra,
        ..
    } = done.unwrap_or_else(PoisonError::into_inner);
    skip_duplicates(checkpoint, &mut rows, &mut spectra, &sources)?;
    let kept = |row: &usize| !other_parts.contains(row);
    let rows: Vec<Record> = (0..rows.len())
        .filter(kept)
        .map(|i| rows[i].clone())
        .collect();
    let spectra = (0..spectra.len())
        .filter(kept)
        .map(|i| spectra[i].take())
        .collect();
    let sources = (0..sources.len())
        .filter(kept)
        .map(|i| sources[i].take())
        .collect();
    let summary = summarise(&run, &rows);
    Ok(Survey {
        rows,
        spectra,
        summary,
        sources,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The results so far.
struct Done {
    /// The number of finished tensors.
    tensors: usize,
    rows: Vec<Record>,
    spectra: Vec<Option<Spectrum>>,
}

/// A row's position, its record and its spectrum.
type AnalysedRow = (usize, Record, Option<Spectrum>);

/// What all threads of a survey share.
struct Shared<'a> {
    checkpoint: &'a Checkpoint,
    options: &'a SurveyOptions,
    run: &'a str,
    queue: Mutex<VecDeque<Job>>,
    done: Mutex<Done>,
}

impl Shared<'_> {
    /// Takes jobs from the queue until it is empty.
    fn work(&self, total: usize, progress: &(impl Fn(usize, usize) + Sync)) {
        loop {
            let Some(job) = lock(&self.queue).pop_front() else {
                return;
            };
            // One analyzer serves the parts of one tensor. A longer-lived analyzer would keep the
            // buffers of the largest tensor.
            let analyzer = Analyzer::new(self.config());
            let analysed = match job {
                Job::Tensor(tasks) => self.tensor(&analyzer, tasks),
                Job::Adapter { adapter, rows } => self.adapter(&analyzer, &adapter, &rows),
            };
            let mut done = lock(&self.done);
            done.tensors += 1;
            for (row, record, spectrum) in analysed {
                done.rows[row] = record;
                done.spectra[row] = spectrum;
            }
            let count = done.tensors;
            drop(done);
            progress(count, total);
        }
    }

    /// Analyses the parts of one tensor.
    fn tensor(&self, analyzer: &Analyzer, tasks: Vec<Task>) -> Vec<AnalysedRow> {
        let Some(info) = tasks.first().map(|t| &self.checkpoint.tensors()[t.index]) else {
            return Vec::new();
        };
        let fail = |task: &Task, why: LayerError| {
            let part = &task.part;
            self.failed(task.row, &part.name, &part.shape, why)
        };
        let mut values = match self.checkpoint.read(tasks[0].index) {
            Ok(values) => values,
            Err(why) => {
                let why = LayerError::from(why);
                return tasks.iter().map(|t| fail(t, why.clone())).collect();
            }
        };
        let last = tasks.len() - 1;
        let scratch = analyzer.scratch();
        let analyse = |(i, task): (usize, &Task)| {
            let cuts = if i == last {
                task.part
                    .cut_owned(&info.shape, std::mem::take(&mut values), scratch)
            } else {
                task.part.cut_in(&info.shape, &values, scratch)
            };
            match cuts.and_then(|cuts| self.layer(analyzer, task.row, &cuts)) {
                Ok((record, spectrum)) => (task.row, record, Some(spectrum)),
                Err(why) => fail(task, why.into()),
            }
        };
        tasks.iter().enumerate().map(analyse).collect()
    }

    /// Analyses the product of an adapter, and the sum of the product and the base weight.
    fn adapter(&self, analyzer: &Analyzer, adapter: &Adapter, rows: &[usize]) -> Vec<AnalysedRow> {
        let name = |kind| adapter.row(kind);
        let fail = |row: usize, kind, shape: &[usize], why: LayerError| {
            self.failed(row, &name(kind), shape, why)
        };
        let tensors = self.checkpoint.tensors();
        let read = |index: usize| self.checkpoint.read(index);
        let (a, b) = match read(adapter.a).and_then(|a| Ok((a, read(adapter.b)?))) {
            Ok(factors) => factors,
            Err(why) => {
                let why = LayerError::from(why);
                let kinds = rows.iter().zip(["lora", "merged"]);
                return kinds
                    .map(|(&row, kind)| fail(row, kind, &[], why.clone()))
                    .collect();
            }
        };
        let scale = scaling(self.checkpoint.path(), self.options.lora_alpha);
        let shapes = (&tensors[adapter.a].shape, &tensors[adapter.b].shape);
        let Some((rank, shape, mut values)) =
            product((&a, shapes.0), (&b, shapes.1), adapter.layout, scale)
        else {
            return vec![fail(
                rows[0],
                "lora",
                &[],
                "the shapes of the LoRA factors do not match".into(),
            )];
        };
        let analyse = |row: usize, kind, values: &[f64]| {
            let scratch = analyzer.scratch();
            let layer = Cuts::in_scratch(&name(kind), Layout::Matrix, &shape, values, scratch);
            match layer.and_then(|cuts| self.layer(analyzer, row, &cuts)) {
                Ok((record, spectrum)) => (row, record, Some(spectrum)),
                Err(why) => fail(row, kind, &shape, why.into()),
            }
        };
        let mut analysed = vec![analyse(rows[0], "lora", &values)];
        if let Some(values) = analysed[0]
            .1
            .values_mut()
            .filter(|_| rank < shape[0].min(shape[1]))
        {
            // The product of an adapter has null directions by design. They are no rank collapse.
            values.phase = None;
            values.phase_confidence = None;
            values.phase_probabilities = None;
            values.indeterminate = None;
            values.phase_evidence.clear();
            values.phase_reason = Some(Unclassifiable::LowRank { rank });
            values.update_doubts();
        }
        if let (Some(base), Some(&row)) = (&self.options.base, rows.get(1)) {
            let merged = match base_of(&adapter.layer, base.tensors(), shape) {
                None => {
                    let why = format!(
                        "{}: it has no such layer of this shape",
                        base.path().display()
                    );
                    fail(row, "merged", &shape, why.into())
                }
                Some(index) => match base.read(index) {
                    Err(why) => fail(row, "merged", &shape, why.into()),
                    Ok(weights) => {
                        for (value, weight) in values.iter_mut().zip(weights) {
                            *value += weight;
                        }
                        analyse(row, "merged", &values)
                    }
                },
            };
            analysed.push(merged);
        }
        analysed
    }

    fn failed(&self, row: usize, name: &str, shape: &[usize], why: LayerError) -> AnalysedRow {
        let layer = layer_shape(name, shape);
        let record = Record::failed(self.run, Stamp::default(), row, layer, why);
        (row, record, None)
    }

    fn config(&self) -> Config {
        let mut config = self.options.config.clone();
        if self.options.weightwatcher {
            config.solver = Solver::Svd;
        }
        config
    }

    fn layer(&self, analyzer: &Analyzer, row: usize, cuts: &Cuts) -> Result<(Record, Spectrum)> {
        let report = analyzer.analyze_cuts(cuts, None)?;
        let mut record = Record::success(self.run, Stamp::default(), row, &report);
        if self.options.weightwatcher {
            weightwatcher::apply_conventions(&mut record, &report);
        }
        Ok((record, report.primary.spectrum))
    }
}
