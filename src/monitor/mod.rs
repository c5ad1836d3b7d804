//! Monitors a training: when to observe, which layers to analyse, and a background worker that
//! analyses them.
//!
//! This module does not depend on burn. A [`Monitor`] takes a [`Snapshot`], puts it in a bounded
//! queue and returns. The worker analyses it and writes the results. Failures (NaN weights, a panic
//! in the analysis, a full disk) are recorded and never reach the training.

mod alarms;
mod budget;
mod builder;
mod carry_forward;
mod journal;
mod selection;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::matrix::LayerTensor;
use crate::record::{
    Ending, Event, LayerShape, Line, ModelLine, Notice, Resumed, SkippedLayer, Stamp, unix_time,
};
use crate::run::Trajectory;

use budget::Budget;
pub use builder::Builder;
pub use journal::SinkFailure;
pub use selection::Selection;
pub use worker::Overload;
use worker::{Job, Worker};

/// When to observe. The initial and the last weights are always observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cadence {
    /// After every k-th epoch.
    Epochs(usize),
    /// After every k-th optimiser step.
    Steps(u64),
}

/// A copy of a model's weights.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The tensors to analyse, in the model's order.
    pub tensors: Vec<LayerTensor>,
    /// The tensors that are left out, with reasons.
    pub skipped: Vec<SkippedLayer>,
    /// Wall time of the copy on the training thread, in seconds.
    pub seconds: f64,
}

impl Snapshot {
    /// A snapshot of these tensors.
    pub fn new(tensors: Vec<LayerTensor>) -> Self {
        Self {
            tensors,
            ..Self::default()
        }
    }
}

/// Result of [`Monitor::finish`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// All records of the run, including those before a resume.
    pub trajectory: Trajectory,
    /// The sinks that failed. The others continued.
    pub failures: Vec<SinkFailure>,
    /// Number of observations that were analysed.
    pub observed: usize,
    /// Number of observations that waited for the previous one.
    pub deferred: usize,
    /// Number of observations that were dropped because the queue was full.
    pub dropped: usize,
    /// Number of observations that were left out to keep within the [budget](Builder::budget).
    pub over_budget: usize,
}

/// Watches a training. Cheap to clone: clones share one worker and one log.
///
/// ```
/// use heavytail::Monitor;
/// use heavytail::matrix::{LayerTensor, Layout};
/// use heavytail::monitor::Snapshot;
/// use heavytail::record::Stamp;
///
/// let monitor = Monitor::builder().run("demo").build()?;
/// for epoch in 0..3 {
///     let tensors = vec![LayerTensor {
///         name: "fc.weight".into(),
///         layout: Layout::Matrix,
///         shape: vec![40, 20],
///         values: (0..800).map(|i| ((i * (37 + epoch)) % 101) as f32 - 50.0).collect(),
///     }];
///     let stamp = Stamp { epoch, step: 100 * epoch as u64 };
///     monitor.submit(stamp, Snapshot::new(tensors));
/// }
/// let outcome = monitor.finish();
/// assert_eq!(outcome.trajectory.layer("fc.weight").count() + outcome.dropped, 3);
/// # Ok::<(), heavytail::Error>(())
/// ```
#[derive(Clone)]
pub struct Monitor {
    inner: Arc<Inner>,
}

struct Inner {
    run: String,
    selection: Selection,
    cadence: Cadence,
    resumed: bool,
    state: Arc<Mutex<Trajectory>>,
    starting_epoch: Option<usize>,
    /// Whether the resume point of a continued log is still unknown. It is the observation after
    /// which the run continues.
    resuming: Mutex<bool>,
    /// Jobs that wait until the resume point is known.
    held: Mutex<Vec<Job>>,
    /// The layers of the last model line.
    model: Mutex<Option<Vec<LayerShape>>>,
    budget: Option<Budget>,
    #[cfg(feature = "burn")]
    submitted: Mutex<Option<std::time::Instant>>,
    /// Number of alarms that this process raised.
    #[cfg(feature = "burn")]
    alarms: Arc<std::sync::atomic::AtomicUsize>,
    worker: Worker,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor")
            .field("run", &self.inner.run)
            .field("cadence", &self.inner.cadence)
            .finish_non_exhaustive()
    }
}

/// A poisoned lock still holds valid data, and monitoring must continue.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Monitor {
    /// A builder with default options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Name of the run.
    pub fn run(&self) -> &str {
        &self.inner.run
    }

    /// The layers that are analysed.
    pub fn selection(&self) -> &Selection {
        &self.inner.selection
    }

    /// When the monitor observes.
    pub fn cadence(&self) -> Cadence {
        self.inner.cadence
    }

    /// Number of epochs that were finished before this process. None unless
    /// [`Builder::starting_epoch`] was called.
    pub fn starting_epoch(&self) -> Option<usize> {
        self.inner.starting_epoch
    }

    /// Whether the monitor continues a log.
    pub fn is_resumed(&self) -> bool {
        self.inner.resumed
    }

    /// Submits weights for analysis. Returns immediately, unless the queue is full and the policy
    /// is [`Overload::Wait`]. A stamp that is in the log is not analysed again.
    pub fn submit(&self, stamp: Stamp, snapshot: Snapshot) {
        if std::mem::take(&mut *lock(&self.inner.resuming)) {
            self.resume_at(stamp, &snapshot.tensors);
        }
        self.write_model(stamp, &snapshot);
        #[cfg(feature = "burn")]
        {
            *lock(&self.inner.submitted) = Some(std::time::Instant::now());
        }
        self.inner.worker.submit(Job::Observe { stamp, snapshot });
    }

    /// Writes the layers of the model, at the beginning and whenever they change.
    fn write_model(&self, stamp: Stamp, snapshot: &Snapshot) {
        let layers: Vec<LayerShape> = snapshot
            .tensors
            .iter()
            .map(|t| LayerShape {
                name: t.name.clone(),
                shape: t.shape.clone(),
            })
            .collect();
        let mut model = lock(&self.inner.model);
        if model.as_ref() == Some(&layers) {
            return;
        }
        let before = model.replace(layers.clone());
        drop(model);
        self.send(Line::Model(ModelLine {
            run: self.inner.run.clone(),
            layers: layers.clone(),
            skipped: snapshot.skipped.clone(),
        }));
        if let Some(before) = before {
            let without = |these: &[LayerShape], those: &[LayerShape]| {
                let only = these.iter().filter(|l| !those.contains(l));
                only.map(|l| l.name.clone()).collect()
            };
            let (added, removed) = (without(&layers, &before), without(&before, &layers));
            self.event(Some(stamp.epoch), Event::OtherModel { added, removed });
        }
    }

    /// Determines the resume point of a continued log. It is `stamp` if the log has that
    /// observation with the same weights, and otherwise the last observation before it. Later
    /// observations in the log belong to an abandoned branch.
    fn resume_at(&self, stamp: Stamp, tensors: &[LayerTensor]) {
        let norms = norms(tensors);
        let from = self.with_trajectory(|t| {
            let same = t.summary(stamp).is_some() && has_norms(t, stamp, &norms);
            let stamps = t.summaries().iter().map(|s| s.stamp);
            match same {
                true => Some(stamp),
                false => stamps.filter(|&s| s < stamp).max(),
            }
        });
        self.resume_from(from);
    }

    /// Continues the run after this observation of its log. None restarts the run.
    pub(crate) fn resume_from(&self, from: Option<Stamp>) {
        // Hold the lock to the end, so that no other line comes first.
        let mut resuming = lock(&self.inner.resuming);
        *resuming = false;
        let resumed = Resumed {
            run: self.inner.run.clone(),
            from: from.unwrap_or_default(),
            anew: from.is_none(),
            unix_time: unix_time(),
        };
        // Update the state now. The next observation may have the stamp of an abandoned one.
        lock(&self.inner.state).push(Line::Resumed(resumed.clone()));
        self.inner.worker.submit(Job::Resume(resumed));
        for job in std::mem::take(&mut *lock(&self.inner.held)) {
            self.inner.worker.submit(job);
        }
    }

    /// Whether an observation that is due fits into the [budget](Builder::budget). One that does
    /// not fit is counted as left out. The first observation always fits. Call this before copying
    /// the weights.
    pub fn within_budget(&self) -> bool {
        let worker = &self.inner.worker;
        let fits = match &self.inner.budget {
            Some(budget) => budget.fits(worker.spent()),
            None => true,
        };
        if !fits {
            worker.count_over_budget();
        }
        fits
    }

    /// Makes the last observation although it did not fit into the budget.
    #[cfg(feature = "burn")]
    pub(crate) fn uncount_over_budget(&self) {
        self.inner.worker.uncount_over_budget();
    }

    /// Number of alarms that this process raised.
    #[cfg(feature = "burn")]
    pub(crate) fn alarms_raised(&self) -> usize {
        let order = std::sync::atomic::Ordering::Relaxed;
        self.inner.alarms.load(order)
    }

    /// Records a number that the training reports, such as the loss of an epoch.
    pub fn scalar(&self, epoch: usize, name: impl Into<String>, value: f64) {
        let name = name.into();
        self.send_or_hold(Job::Number { epoch, name, value });
    }

    /// Records a message for the reader of the log.
    pub fn notice(&self, epoch: Option<usize>, text: impl Into<String>) {
        let text = text.into();
        self.event(epoch, Event::Message { text });
    }

    /// Records an event.
    pub(crate) fn event(&self, epoch: Option<usize>, event: Event) {
        self.send(Line::Notice(Notice {
            run: self.inner.run.clone(),
            epoch,
            event,
        }));
    }

    /// Calls `look` with the run so far. `look` should return quickly, because the worker waits for
    /// it.
    pub fn with_trajectory<T>(&self, look: impl FnOnce(&Trajectory) -> T) -> T {
        look(&lock(&self.inner.state))
    }

    /// Waits until the worker has finished the last observation, but not beyond `patience` after
    /// its submission. Several calls share this limit.
    #[cfg(feature = "burn")]
    pub(crate) fn wait_after_submission(&self, patience: std::time::Duration) {
        let submitted = *lock(&self.inner.submitted);
        if let Some(rest) = submitted.and_then(|at| patience.checked_sub(at.elapsed())) {
            self.wait(rest);
        }
    }

    /// Waits until all jobs are done, but no longer than `patience`.
    #[cfg(feature = "burn")]
    pub(crate) fn wait(&self, patience: std::time::Duration) {
        self.inner.worker.wait_idle(patience);
    }

    /// Waits for all analyses and ends the run. Later observations are ignored.
    pub fn finish(&self) -> Outcome {
        if std::mem::take(&mut *lock(&self.inner.resuming)) {
            // No weights were observed, so the run continues after its last observation.
            let last = self.with_trajectory(|t| t.summaries().iter().map(|s| s.stamp).max());
            self.resume_from(last);
        }
        self.inner.worker.close(Ending::Finished);
        let counts = self.inner.worker.counts();
        Outcome {
            trajectory: lock(&self.inner.state).clone(),
            failures: self.inner.worker.take_failures(),
            observed: counts.observed,
            deferred: counts.deferred,
            dropped: counts.dropped,
            over_budget: counts.over_budget,
        }
    }

    /// Whether the log has this observation. False for a continued log before its first snapshot.
    #[cfg(feature = "burn")]
    pub(crate) fn has(&self, stamp: Stamp) -> bool {
        !*lock(&self.inner.resuming) && self.with_trajectory(|t| t.summary(stamp).is_some())
    }

    /// The newest observation in the log whose weight norms equal those of `tensors`.
    #[cfg(feature = "burn")]
    pub(crate) fn find_weights(&self, tensors: &[LayerTensor]) -> Option<Stamp> {
        let norms = norms(tensors);
        self.with_trajectory(|t| {
            let mut stamps = t.summaries().iter().rev().map(|s| s.stamp);
            stamps.find(|&stamp| !norms.is_empty() && has_norms(t, stamp, &norms))
        })
    }

    fn send(&self, line: Line) {
        self.send_or_hold(Job::Line(Box::new(line)));
    }

    /// Sends a job to the worker. Holds the job until the resume point is known, because a branch
    /// that will be abandoned may have a line with the same key.
    fn send_or_hold(&self, job: Job) {
        let resuming = lock(&self.inner.resuming);
        if *resuming {
            lock(&self.inner.held).push(job);
        } else {
            drop(resuming);
            self.inner.worker.submit(job);
        }
    }
}

/// ‖W‖²_F of each layer.
fn norms(tensors: &[LayerTensor]) -> Vec<(&str, f64)> {
    let norm = |t: &LayerTensor| t.values.iter().map(|&v| f64::from(v).powi(2)).sum();
    tensors.iter().map(|t| (t.name.as_str(), norm(t))).collect()
}

/// Whether the log has these norms at an observation.
fn has_norms(run: &Trajectory, stamp: Stamp, norms: &[(&str, f64)]) -> bool {
    norms.iter().all(|(name, norm)| {
        let record = run.record(name, stamp);
        let known = record.and_then(|r| match r.carried {
            Some(carried) => Some(carried.norm),
            None => Some(r.values()?.primary.norm),
        });
        match known {
            Some(known) => (known - norm).abs() <= 1e-9 * norm,
            // A layer with NaN has no norm in the log.
            None => record.is_some() && !norm.is_finite(),
        }
    })
}
