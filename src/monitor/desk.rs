use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rayon::ThreadPool;
use rayon::prelude::*;

use super::alarms::Alarms;
use super::closer::{Closer, Live};
use super::gate::Gate;
use super::queue::{Job, Shared};
use super::{Snapshot, lock};
use crate::analysis::{LayerReport, analyze_tensor};
use crate::buffers::keep_buffers;
use crate::config::Config;
use crate::error::{LayerError, Result, chain, guarded};
use crate::matrix::LayerTensor;
use crate::phase::Baseline;
use crate::record::{Alarm, Event, LayerShape, Line, Notice, Record, Rule, Scalar, Stamp, Summary};
use crate::sink::Sink;
use crate::trajectory::{Hysteresis, Trajectory};

/// How the worker analyses.
pub(super) struct Manner {
    pub(super) config: Config,
    /// Layers and slices analysed at once.
    pub(super) threads: usize,
    /// Layers whose α is certainly within so much of the last one are not analysed again.
    pub(super) tolerance: Option<f64>,
    pub(super) rules: Vec<Rule>,
    pub(super) on_alarm: Vec<OnAlarm>,
}

/// What a user does about an alarm.
pub(super) type OnAlarm = Box<dyn FnMut(&Alarm) + Send>;

/// Everything that the worker's thread owns.
pub(super) struct Desk {
    run: String,
    config: Config,
    /// Threads for layers and slices; none if the worker's own is all.
    pool: Option<ThreadPool>,
    gate: Option<Gate>,
    baselines: HashMap<String, Baseline>,
    phases: HashMap<String, Hysteresis>,
    alarms: Alarms,
    on_alarm: Vec<OnAlarm>,
    /// What the newest observation said at depth live, to be looked at in full if it stays the last.
    last: Vec<Live>,
    /// The thread of the full analyses, from the first observation on.
    closer: Option<Closer>,
    state: Arc<Mutex<Trajectory>>,
    sinks: Vec<Box<dyn Sink>>,
    pub(super) shared: Arc<Shared>,
    failed_sinks: bool,
}

/// A layer of an observation.
enum Seen {
    Carried(Box<Record>),
    New(Arc<LayerTensor>, Box<Result<LayerReport, LayerError>>),
}

impl Desk {
    pub(super) fn new(
        run: &str,
        manner: Manner,
        state: Arc<Mutex<Trajectory>>,
        sinks: Vec<Box<dyn Sink>>,
        shared: Arc<Shared>,
    ) -> Self {
        let baselines = baselines(&lock(&state));
        let mut phases: HashMap<String, Hysteresis> = HashMap::new();
        let mut alarms = Alarms::new(run, manner.rules);
        {
            // What a resumed log holds. A moment that a crash cut short is observed again.
            let log = lock(&state);
            let whole: HashSet<Stamp> = log.summaries.iter().map(|s| s.stamp).collect();
            for record in log.records.iter().filter(|r| whole.contains(&r.stamp)) {
                let phase = phases.entry(record.layer.clone()).or_default();
                let _ = alarms.see(record, phase.see(record).as_ref());
            }
            alarms.raised_only(&log.alarms);
        }
        let config = manner.config;
        let gate = manner.tolerance.map(|t| Gate::new(t, config.solver));
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(manner.threads)
            .thread_name(|i| format!("heavytail {i}"))
            .start_handler(|_| std::mem::forget(keep_buffers()));
        Self {
            run: run.to_owned(),
            config,
            // Where the system refuses threads, the worker's own does.
            pool: (manner.threads > 1).then(|| threads.build().ok()).flatten(),
            gate,
            baselines,
            phases,
            alarms,
            on_alarm: manner.on_alarm,
            last: Vec::new(),
            closer: None,
            state,
            sinks,
            shared,
            failed_sinks: false,
        }
    }

    pub(super) fn work(&mut self) {
        let _kept = keep_buffers();
        while let Some(job) = self.shared.next() {
            match job {
                Job::Line(line) => {
                    self.line(*line);
                    if self.shared.is_empty() {
                        self.sinks(|s| s.flush());
                    }
                }
                Job::Number { epoch, name, value } => self.number(epoch, name, value),
                Job::Observe { stamp, snapshot } => {
                    let seconds = self.observe(stamp, snapshot);
                    self.shared.observed(seconds);
                }
            }
        }
        // The last observation in full, then whatever the closer looks have found.
        let last = std::mem::take(&mut self.last);
        match self.closer.take() {
            Some(closer) => closer.finish(last),
            None if last.is_empty() => {}
            None => {
                self.notice(None, Event::NoFullAtEnd);
            }
        }
        while let Some(Job::Line(line)) = self.shared.next() {
            self.line(*line);
        }
        let counts = self.shared.counts();
        if counts.deferred + counts.dropped > 0 {
            let (deferred, dropped) = (counts.deferred, counts.dropped);
            self.notice(None, Event::LaggedBehind { deferred, dropped });
        }
        if counts.spared > 0 {
            let count = counts.spared;
            self.notice(None, Event::OverBudget { count });
        }
        self.sinks(|s| s.flush());
        let state = Arc::clone(&self.state);
        let finished = self.sinks.finish(&lock(&state));
        self.check(finished);
    }

    /// What it cost, copying included; `None` for a moment that was recorded before.
    fn observe(&mut self, stamp: Stamp, snapshot: Snapshot) -> Option<f64> {
        if lock(&self.state).summaries.iter().any(|s| s.stamp == stamp) {
            return None;
        }
        let first = lock(&self.state).summaries.is_empty();
        if self.closer.is_none() {
            let room = (2 * snapshot.tensors.len()).max(1);
            self.closer = Closer::spawn(&self.run, &self.config, &self.shared, room);
        }
        let start = Instant::now();
        let seen = self.look(stamp, snapshot.tensors);
        let looked = start.elapsed();
        let mut records = Vec::with_capacity(seen.len());
        let mut spectra = Vec::with_capacity(seen.len());
        let mut before = std::mem::take(&mut self.last);
        for (id, seen) in seen.into_iter().enumerate() {
            let (tensor, report) = match seen {
                Seen::Carried(record) => {
                    // What the last analysis said still stands, should the run end here.
                    let at = before.iter().position(|l| l.tensor.name == record.layer);
                    self.last.extend(at.map(|at| before.swap_remove(at)));
                    records.push(*record);
                    continue;
                }
                Seen::New(tensor, report) => (tensor, *report),
            };
            records.push(match report {
                Ok(report) => {
                    if let (0, 0, Ok(bulk)) = (stamp.epoch, stamp.step, &report.bulk) {
                        let sigma2 = bulk.sigma2;
                        self.baselines
                            .insert(tensor.name.clone(), Baseline { sigma2 });
                    }
                    let record = Record::success(&self.run, stamp, id, &report);
                    if let Some(gate) = &mut self.gate {
                        gate.anchor(&tensor, report.row.spectrum.eigenvalues(), &record);
                    }
                    spectra.push((report.layer.clone(), report.row.spectrum.clone()));
                    if report.full.is_none() {
                        self.last.push(Live {
                            stamp,
                            tensor,
                            report,
                        });
                    }
                    record
                }
                Err(why) => {
                    let layer = LayerShape {
                        name: tensor.name.clone(),
                        shape: tensor.shape.clone(),
                    };
                    Record::failed(&self.run, stamp, id, layer, why)
                }
            });
        }
        let summary = Summary::of(&self.run, stamp, &records, snapshot.seconds);
        let seconds = summary.seconds_snapshot + summary.seconds_analysis;
        let (mut turned, mut alarms) = (HashSet::new(), Vec::new());
        for record in records {
            let phase = self.phases.entry(record.layer.clone()).or_default();
            let change = phase.see(&record);
            alarms.extend(self.alarms.see(&record, change.as_ref()));
            turned.extend(change.map(|change| change.layer));
            self.keep(Line::Layer(Box::new(record)));
        }
        self.keep(Line::Summary(Box::new(summary)));
        self.raise(alarms);
        self.sinks(|s| s.spectra(stamp, &spectra));
        self.sinks(|s| s.flush());
        self.look_closer(stamp, |live| first || turned.contains(&live.tensor.name));
        // Threads count one by one; what is not analysis is writing.
        Some(seconds + (start.elapsed() - looked).as_secs_f64())
    }

    /// Carry or analyse each layer.
    fn look(&self, stamp: Stamp, tensors: Vec<LayerTensor>) -> Vec<Seen> {
        let (config, baselines, gate) = (&self.config, &self.baselines, self.gate.as_ref());
        let look = |tensor: LayerTensor| {
            let carried = guarded(|| Ok(gate.and_then(|gate| gate.carry(stamp, &tensor))));
            if let Ok(Some(record)) = carried {
                return Seen::Carried(Box::new(record));
            }
            let baseline = baselines.get(&tensor.name);
            let report = guarded(|| analyze_tensor(&tensor, config, baseline));
            Seen::New(Arc::new(tensor), Box::new(report))
        };
        match &self.pool {
            Some(pool) => pool.install(|| tensors.into_par_iter().map(look).collect()),
            None => tensors.into_iter().map(look).collect(),
        }
    }

    /// The start of a run and a confirmed change of phase are worth a closer look.
    fn look_closer(&mut self, stamp: Stamp, worth: impl Fn(&Live) -> bool) {
        let (closer, rest): (Vec<Live>, Vec<Live>) =
            std::mem::take(&mut self.last).into_iter().partition(worth);
        self.last = rest;
        for live in closer {
            let refused = match &self.closer {
                Some(closer) => closer.look(live).err().map(|live| *live),
                None => Some(live),
            };
            if let Some(live) = refused {
                let layer = live.tensor.name.clone();
                self.notice(Some(stamp.epoch), Event::FullRefused { layer });
            }
        }
    }

    fn line(&mut self, line: Line) {
        let alarm = match &line {
            Line::Full(full) => self.alarms.see_full(full),
            _ => None,
        };
        self.keep(line);
        self.raise(alarm);
    }

    /// A number that the training reports.
    fn number(&mut self, epoch: usize, name: String, value: f64) {
        let alarm = self.alarms.see_scalar(epoch, &name, value);
        if value.is_finite() {
            let run = self.run.clone();
            self.keep(Line::Scalar(Scalar {
                run,
                epoch,
                name,
                value,
            }));
        } else {
            let value = value.to_string();
            self.notice(Some(epoch), Event::NotFinite { name, value });
        }
        self.raise(alarm);
    }

    fn raise(&mut self, alarms: impl IntoIterator<Item = Alarm>) {
        for alarm in alarms {
            self.keep(Line::Alarm(alarm.clone()));
            let mut acts = std::mem::take(&mut self.on_alarm);
            for act in &mut acts {
                if let Err(why) = guarded(|| {
                    act(&alarm);
                    Ok(())
                }) {
                    let message = why.to_string();
                    self.notice(Some(alarm.stamp.epoch), Event::ActionFailed { message });
                }
            }
            self.on_alarm = acts;
        }
    }

    fn notice(&mut self, epoch: Option<usize>, event: Event) {
        let run = self.run.clone();
        self.keep(Line::Notice(Notice { run, epoch, event }));
    }

    /// A line goes to every sink, then to the trajectory.
    pub(super) fn keep(&mut self, line: Line) {
        self.sinks(|s| s.line(&line));
        lock(&self.state).push(line);
    }

    /// A sink that fails stops neither the others nor the training.
    fn sinks(&mut self, call: impl FnOnce(&mut Vec<Box<dyn Sink>>) -> Result<()>) {
        let result = call(&mut self.sinks);
        self.check(result);
    }

    fn check(&mut self, result: Result<()>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.failed_sinks, true)
        {
            let message = chain(&error);
            self.shared.failed(error);
            self.notice(None, Event::SinkFailed { message });
        }
    }
}

/// What the layers looked like before training, from the part of a log that exists.
fn baselines(trajectory: &Trajectory) -> HashMap<String, Baseline> {
    trajectory
        .records
        .iter()
        .filter(|r| (r.stamp.epoch, r.stamp.step) == (0, 0))
        .filter_map(|r| {
            let sigma = r.values()?.sigma_mp?;
            Some((
                r.layer.clone(),
                Baseline {
                    sigma2: sigma * sigma,
                },
            ))
        })
        .collect()
}
