//! The worker thread: it analyses observations and gives the results to the journal.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rayon::ThreadPool;
use rayon::prelude::*;

use super::super::Snapshot;
use super::super::carry_forward::CarryForward;
use super::super::journal::{Journal, SinkFailure};
use super::full::{FullRequest, FullWorker};
use super::pending::Pending;
use super::queue::{Job, Shared};
use crate::analysis::{Analyzer, LayerReport};
use crate::config::Config;
use crate::error::{LayerError, catch_panics, chain};
use crate::matrix::LayerTensor;
use crate::phase::Baseline;
use crate::record::{Event, LayerShape, Line, Record, Resumed, Stamp, Summary};
use crate::run::PhaseTracker;

/// Options of the worker.
pub(in crate::monitor) struct Settings {
    pub(in crate::monitor) config: Config,
    /// Number of layers and slices that are analysed at the same time.
    pub(in crate::monitor) threads: usize,
    /// A layer whose α is provably within this distance of its last analysis is not analysed again.
    pub(in crate::monitor) tolerance: Option<f64>,
    /// Folder for weights whose full analysis is not finished.
    pub(in crate::monitor) pending: Option<PathBuf>,
}

/// State of the worker thread.
pub(super) struct Thread {
    run: String,
    analyzer: Analyzer,
    /// Threads for layers and slices. None if only the worker thread analyses.
    pool: Option<ThreadPool>,
    carry_forward: Option<CarryForward>,
    baselines: HashMap<String, Baseline>,
    /// The layers of the newest observation without a full analysis. They get one if no other
    /// observation follows.
    last: Vec<FullRequest>,
    /// Started at the first observation.
    full: Option<FullWorker>,
    pending: Option<Pending>,
    journal: Journal,
    shared: Arc<Shared>,
    /// The observation from which this process continues.
    resumed: Option<Stamp>,
    /// Layers of that observation whose full analysis is missing. Their weights come with that
    /// observation only.
    missing_full: Vec<String>,
}

/// A layer of an observation: carried forward or analysed.
enum Layer {
    Carried(Box<Record>),
    Analysed(Arc<LayerTensor>, Box<Result<LayerReport, LayerError>>),
}

impl Thread {
    pub(super) fn new(
        run: &str,
        settings: Settings,
        journal: Journal,
        shared: Arc<Shared>,
    ) -> Self {
        let config = settings.config;
        let carry_forward = settings
            .tolerance
            .map(|t| CarryForward::new(t, config.solver));
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .thread_name(|i| format!("heavytail {i}"));
        let mut pending = settings.pending.map(Pending::new);
        if let (Some(pending), true) = (&mut pending, journal.is_empty()) {
            // Files here belong to an earlier run.
            pending.left(|_, _| false);
        }
        Self {
            run: run.to_owned(),
            analyzer: Analyzer::with_threads(config, settings.threads),
            // If the system refuses threads, the worker thread analyses alone.
            pool: (settings.threads > 1)
                .then(|| threads.build().ok())
                .flatten(),
            carry_forward,
            baselines: journal.baselines(),
            last: Vec::new(),
            full: None,
            pending,
            journal,
            shared,
            resumed: None,
            missing_full: Vec::new(),
        }
    }

    /// Executes jobs until the queue is closed. Returns the sinks that failed.
    pub(super) fn work(&mut self, header: Line) -> Vec<SinkFailure> {
        self.journal.keep(header);
        while let Some(job) = self.shared.next() {
            match job {
                Job::Line(line) => {
                    self.line(*line);
                    if self.shared.is_empty() {
                        self.journal.flush();
                    }
                }
                Job::Resume(resumed) => self.resume(resumed),
                Job::Number { epoch, name, value } => {
                    // The run may fail because of this number, so write the alarm now.
                    if self.journal.scalar(epoch, name, value) {
                        self.journal.flush();
                    }
                }
                Job::Observe { stamp, snapshot } => {
                    let seconds = self.observe(stamp, snapshot);
                    self.shared.observed(seconds);
                }
            }
        }
        self.close()
    }

    /// Runs the last full analyses, writes all remaining lines and the end of the run.
    fn close(&mut self) -> Vec<SinkFailure> {
        let last = std::mem::take(&mut self.last);
        match self.full.take() {
            Some(full) => full.finish(last),
            None if last.is_empty() => {}
            None => self.journal.notice(None, Event::NoFullAtEnd),
        }
        while let Some(Job::Line(line)) = self.shared.next() {
            self.line(*line);
        }
        let counts = self.shared.counts();
        let (deferred, dropped) = (counts.deferred, counts.dropped);
        if deferred + dropped > 0 {
            let event = Event::LaggedBehind { deferred, dropped };
            self.journal.notice(None, event);
        }
        if counts.over_budget > 0 {
            let count = counts.over_budget;
            self.journal.notice(None, Event::OverBudget { count });
        }
        let mut end = self.journal.end();
        end.how = counts.ending;
        (end.observed, end.over_budget) = (counts.observed, counts.over_budget);
        (end.deferred, end.dropped) = (deferred, dropped);
        self.journal.finish(end)
    }

    fn line(&mut self, line: Line) {
        let of = match &line {
            Line::Full(full) => Some((full.stamp, full.layer.clone())),
            _ => None,
        };
        self.journal.line(line);
        if let (Some(pending), Some((stamp, layer))) = (&mut self.pending, of) {
            // Remove weights only after their full analysis is in the log.
            self.journal.flush();
            pending.done(stamp, &layer);
        }
    }

    /// Continues a run, and does the full analyses that a killed process did not finish.
    fn resume(&mut self, resumed: Resumed) {
        self.resumed = (!resumed.anew).then_some(resumed.from);
        self.journal.resume(resumed);
        self.baselines = self.journal.baselines();
        let missing_full_analyses = self.journal.with_run(missing_full_analyses);
        let wanted = |stamp: Stamp, layer: &str| {
            missing_full_analyses
                .iter()
                .any(|(s, l)| *s == stamp && l == layer)
        };
        let left = self.pending.as_mut().map(|p| p.left(wanted));
        let left = left.unwrap_or_default();
        let missing: Vec<String> = missing_full_analyses
            .iter()
            .filter(|(stamp, layer)| {
                let has = |(s, t): &(Stamp, LayerTensor)| s == stamp && t.name == *layer;
                !left.iter().any(has)
            })
            .filter_map(|(stamp, layer)| {
                if Some(*stamp) == self.resumed {
                    self.missing_full.push(layer.clone());
                    return None;
                }
                Some(format!("{layer} at epoch {}", stamp.epoch))
            })
            .collect();
        if !missing.is_empty() {
            let event = Event::FullMissing { layers: missing };
            self.journal.notice(None, event);
        }
        if left.is_empty() {
            return;
        }
        let layers = self.journal.with_run(|run| run.layers().len());
        self.spawn_full(left.len() + 2 * layers);
        for (stamp, tensor) in left {
            self.request(FullRequest {
                stamp,
                tensor: Arc::new(tensor),
                report: None,
            });
        }
    }

    fn spawn_full(&mut self, room: usize) {
        if self.full.is_none() {
            self.full =
                FullWorker::spawn(&self.run, self.analyzer.config(), &self.shared, room.max(1));
        }
    }

    fn request(&mut self, live: FullRequest) {
        let refused = match &self.full {
            Some(full) => full.request(live).err().map(|live| *live),
            None => Some(live),
        };
        if let Some(live) = refused {
            let layer = live.tensor.name.clone();
            let epoch = Some(live.stamp.epoch);
            if let Some(pending) = &mut self.pending {
                pending.done(live.stamp, &layer);
            }
            self.journal.notice(epoch, Event::FullRefused { layer });
        }
    }

    /// Analyses and writes an observation. Returns its cost in seconds, including the copy. None if
    /// the log has the observation.
    fn observe(&mut self, stamp: Stamp, snapshot: Snapshot) -> Option<f64> {
        self.spawn_full(2 * snapshot.tensors.len());
        if self.journal.contains(stamp) {
            if self.resumed.take() == Some(stamp) {
                self.keep_resume_point(stamp, snapshot.tensors);
            }
            return None;
        }
        self.resumed = None;
        let first = self.journal.is_empty();
        let start = Instant::now();
        let layers = self.analyze(stamp, snapshot.tensors);
        let analysed = start.elapsed();
        let mut records = Vec::with_capacity(layers.len());
        let mut spectra = Vec::with_capacity(layers.len());
        let mut before = std::mem::take(&mut self.last);
        for (id, layer) in layers.into_iter().enumerate() {
            match layer {
                Layer::Carried(record) => {
                    // The last analysis is still valid, and gets a full analysis if the run ends
                    // here.
                    let at = before.iter().position(|l| l.tensor.name == record.layer);
                    self.last.extend(at.map(|at| before.swap_remove(at)));
                    records.push(*record);
                }
                Layer::Analysed(tensor, report) => match *report {
                    Ok(report) => {
                        let record = Record::success(&self.run, stamp, id, &report);
                        self.remember(&tensor, &report, &record);
                        spectra.push((report.layer.clone(), report.primary.spectrum.clone()));
                        if report.full.is_none() {
                            let report = Some(report);
                            self.last.push(FullRequest {
                                stamp,
                                tensor,
                                report,
                            });
                        }
                        records.push(record);
                    }
                    Err(why) => {
                        let layer = LayerShape {
                            name: tensor.name.clone(),
                            shape: tensor.shape.clone(),
                        };
                        records.push(Record::failed(&self.run, stamp, id, layer, why));
                    }
                },
            }
        }
        let summary = Summary::new(&self.run, stamp, &records, snapshot.seconds);
        let seconds = summary.seconds_snapshot + summary.seconds_analysis;
        let (turned, alarms) = self.journal.assess(&records);
        let full =
            self.take_for_full_analysis(stamp, |live| first || turned.contains(&live.tensor.name));
        self.journal
            .observation(stamp, records, summary, &spectra, alarms);
        for live in full {
            self.request(live);
        }
        // The time of analysis is summed over threads. The rest of the elapsed time is writing.
        Some(seconds + (start.elapsed() - analysed).as_secs_f64())
    }

    fn remember(&mut self, tensor: &Arc<LayerTensor>, report: &LayerReport, record: &Record) {
        if let (true, Ok(bulk)) = (record.stamp == Stamp::default(), &report.bulk) {
            let sigma2 = bulk.sigma2;
            let name = tensor.name.clone();
            self.baselines.insert(name, Baseline { sigma2 });
        }
        if let Some(carry_forward) = &mut self.carry_forward {
            carry_forward.anchor(tensor, report.primary.spectrum.eigenvalues(), record);
        }
    }

    /// Keeps the observation from which a resumed run continues. If no other observation follows,
    /// it is the last one and gets its missing full analyses.
    fn keep_resume_point(&mut self, stamp: Stamp, tensors: Vec<LayerTensor>) {
        let unwritten_lines: Vec<LayerTensor> = self.journal.with_run(|run| {
            let lacks = |name: &str| {
                let values = run.record(name, stamp).and_then(Record::values);
                values.is_some_and(|v| v.full.is_none())
            };
            tensors.into_iter().filter(|t| lacks(&t.name)).collect()
        });
        let live = |tensor| FullRequest {
            stamp,
            tensor: Arc::new(tensor),
            report: None,
        };
        let missing_full = std::mem::take(&mut self.missing_full);
        for tensor in unwritten_lines {
            if missing_full.contains(&tensor.name) {
                self.request(live(tensor));
            } else {
                self.last.push(live(tensor));
            }
        }
    }

    /// Carries forward or analyses each layer.
    fn analyze(&self, stamp: Stamp, tensors: Vec<LayerTensor>) -> Vec<Layer> {
        let (analyzer, baselines) = (&self.analyzer, &self.baselines);
        let carry_forward = self.carry_forward.as_ref();
        let layer = |tensor: LayerTensor| {
            let carried = catch_panics(|| Ok(carry_forward.and_then(|c| c.carry(stamp, &tensor))));
            if let Ok(Some(record)) = carried {
                return Layer::Carried(Box::new(record));
            }
            let baseline = baselines.get(&tensor.name);
            let report = catch_panics(|| analyzer.analyze_tensor(&tensor, baseline));
            Layer::Analysed(Arc::new(tensor), Box::new(report))
        };
        match &self.pool {
            Some(pool) => pool.install(|| tensors.into_par_iter().map(layer).collect()),
            None => tensors.into_iter().map(layer).collect(),
        }
    }

    /// Takes the layers of `last` for which `worth` holds, for a full analysis. They are those of
    /// the first observation, and those with a confirmed phase change. Their weights are stored
    /// before the observation is in the log, so that a killed process loses none of them.
    fn take_for_full_analysis(
        &mut self,
        stamp: Stamp,
        worth: impl Fn(&FullRequest) -> bool,
    ) -> Vec<FullRequest> {
        let (full, rest): (Vec<FullRequest>, Vec<FullRequest>) =
            std::mem::take(&mut self.last).into_iter().partition(worth);
        self.last = rest;
        if let Some(pending) = &mut self.pending {
            let tensors: Vec<&LayerTensor> = full.iter().map(|live| live.tensor.as_ref()).collect();
            if let Err(error) = pending.keep(stamp, &tensors) {
                let (sink, message) = (pending.name(), chain(&error));
                let event = Event::SinkFailed { sink, message };
                self.journal.notice(Some(stamp.epoch), event);
            }
        }
        full
    }
}

/// The layers that should have a full analysis and have none in the log: those of the first
/// observation, and those with a confirmed phase change.
fn missing_full_analyses(run: &crate::run::Trajectory) -> Vec<(Stamp, String)> {
    let first = run.summaries().first().map(|s| s.stamp);
    let mut phases: HashMap<&str, PhaseTracker> = HashMap::new();
    let mut missing_full_analyses = Vec::new();
    for record in run.records() {
        let turned = phases.entry(&record.layer).or_default().see(record);
        let lacks = record.values().is_some_and(|v| v.full.is_none());
        let due = Some(record.stamp) == first || turned.is_some();
        if due && lacks && record.carried.is_none() {
            missing_full_analyses.push((record.stamp, record.layer.clone()));
        }
    }
    missing_full_analyses
}
