//! Watching a training: when to observe, which layers, and a background worker that analyses.
//!
//! Nothing here knows burn. A [`Monitor`] takes a [`Snapshot`], puts it in a bounded queue and
//! returns; the worker analyses and writes. Whatever goes wrong (NaN weights, a panic in the
//! analysis, a full disk) is recorded and never reaches the training.

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

/// When to observe. The initial and the last weights are observed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cadence {
    /// After every k-th epoch.
    Epochs(usize),
    /// After every k-th optimiser step.
    Steps(u64),
}

/// The weights of a model at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The tensors to analyse, in the model's order.
    pub tensors: Vec<LayerTensor>,
    /// The tensors that are left out, with reasons.
    pub skipped: Vec<SkippedLayer>,
    /// Seconds of wall time that taking it cost the training.
    pub seconds: f64,
}

impl Snapshot {
    /// The weights of these tensors.
    pub fn new(tensors: Vec<LayerTensor>) -> Self {
        Self {
            tensors,
            ..Self::default()
        }
    }
}

/// What [`Monitor::finish`] returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Everything that was recorded, the part before a resume included.
    pub trajectory: Trajectory,
    /// Every file, or other sink, that failed, and how many lines it lacks; the others went on.
    pub failures: Vec<SinkFailure>,
    /// Observations that were analysed.
    pub observed: usize,
    /// Observations that had to wait for the one before.
    pub deferred: usize,
    /// Observations that were dropped because the queue was full.
    pub dropped: usize,
    /// Observations that were left out to keep within the [budget](Builder::budget).
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
    /// Whether the moment from which a continued log goes on is still to be found.
    resuming: Mutex<bool>,
    /// What waits for that moment.
    held: Mutex<Vec<Job>>,
    /// The layers of the last model line.
    model: Mutex<Option<Vec<LayerShape>>>,
    budget: Option<Budget>,
    #[cfg(feature = "burn")]
    submitted: Mutex<Option<std::time::Instant>>,
    /// Alarms that this process has raised.
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

/// A poisoned lock still holds the data, and watching must go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Monitor {
    /// Begin to configure a monitor.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Name of the run.
    pub fn run(&self) -> &str {
        &self.inner.run
    }

    /// Which layers are analysed.
    pub fn selection(&self) -> &Selection {
        &self.inner.selection
    }

    /// When it observes.
    pub fn cadence(&self) -> Cadence {
        self.inner.cadence
    }

    /// The epochs that were finished before this process, where the user has told.
    pub fn starting_epoch(&self) -> Option<usize> {
        self.inner.starting_epoch
    }

    /// Whether it continues a log.
    pub fn is_resumed(&self) -> bool {
        self.inner.resumed
    }

    /// Hand over the weights of one moment. Returns at once, unless the queue is full and the
    /// policy is [`Overload::Wait`]. A stamp that was recorded already is not analysed again.
    pub fn submit(&self, stamp: Stamp, snapshot: Snapshot) {
        if std::mem::take(&mut *lock(&self.inner.resuming)) {
            self.resume_at(stamp, &snapshot.tensors);
        }
        self.announce(stamp, &snapshot);
        #[cfg(feature = "burn")]
        {
            *lock(&self.inner.submitted) = Some(std::time::Instant::now());
        }
        self.inner.worker.submit(Job::Observe { stamp, snapshot });
    }

    /// Write which layers there are, at the beginning and whenever they differ from what the log
    /// has.
    fn announce(&self, stamp: Stamp, snapshot: &Snapshot) {
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

    /// Find the moment from which a continued log goes on: this one, if the log has it with these
    /// weights, else the last one before it. What the log has after it is an abandoned branch.
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

    /// The run goes on from this observation of its log; anew, if there is none.
    pub(crate) fn resume_from(&self, from: Option<Stamp>) {
        // Held to the end: nothing may come between.
        let mut resuming = lock(&self.inner.resuming);
        *resuming = false;
        let resumed = Resumed {
            run: self.inner.run.clone(),
            from: from.unwrap_or_default(),
            anew: from.is_none(),
            unix_time: unix_time(),
        };
        // At once, since the next observation may be one that the abandoned branch has.
        lock(&self.inner.state).push(Line::Resumed(resumed.clone()));
        self.inner.worker.submit(Job::Resume(resumed));
        for job in std::mem::take(&mut *lock(&self.inner.held)) {
            self.inner.worker.submit(job);
        }
    }

    /// Whether an observation that is due fits into the [budget](Builder::budget); one that does not is
    /// counted. The first always fits. Ask before the weights are copied.
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

    /// The observation that did not fit was the last one, and is made.
    #[cfg(feature = "burn")]
    pub(crate) fn observe_beyond_budget(&self) {
        self.inner.worker.uncount_over_budget();
    }

    /// How many alarms this process has raised.
    #[cfg(feature = "burn")]
    pub(crate) fn alarms_raised(&self) -> usize {
        let order = std::sync::atomic::Ordering::Relaxed;
        self.inner.alarms.load(order)
    }

    /// Record a number that the training reports, such as the loss of an epoch.
    pub fn scalar(&self, epoch: usize, name: impl Into<String>, value: f64) {
        let name = name.into();
        self.hand_over(Job::Number { epoch, name, value });
    }

    /// Record something that the reader of the log should know.
    pub fn notice(&self, epoch: Option<usize>, text: impl Into<String>) {
        let text = text.into();
        self.event(epoch, Event::Message { text });
    }

    /// Record what happened.
    pub(crate) fn event(&self, epoch: Option<usize>, event: Event) {
        self.send(Line::Notice(Notice {
            run: self.inner.run.clone(),
            epoch,
            event,
        }));
    }

    /// Look at what has been recorded so far. Keep it short: the worker waits meanwhile.
    pub fn with_trajectory<T>(&self, look: impl FnOnce(&Trajectory) -> T) -> T {
        look(&lock(&self.inner.state))
    }

    /// Give the worker until `patience` after the last observation to finish it, however many ask.
    #[cfg(feature = "burn")]
    pub(crate) fn settle(&self, patience: std::time::Duration) {
        let submitted = *lock(&self.inner.submitted);
        if let Some(rest) = submitted.and_then(|at| patience.checked_sub(at.elapsed())) {
            self.wait(rest);
        }
    }

    /// Wait until all that was handed over is done, but no longer than `patience`.
    #[cfg(feature = "burn")]
    pub(crate) fn wait(&self, patience: std::time::Duration) {
        self.inner.worker.wait_idle(patience);
    }

    /// Wait for the analysis, and return everything. Later observations are ignored.
    pub fn finish(&self) -> Outcome {
        if std::mem::take(&mut *lock(&self.inner.resuming)) {
            // Nothing was observed: the run is where it was.
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

    /// Whether this moment is in the log already. A log that is being continued has to see the
    /// weights first.
    #[cfg(feature = "burn")]
    pub(crate) fn has(&self, stamp: Stamp) -> bool {
        !*lock(&self.inner.resuming)
            && self.with_trajectory(|t| t.summary(stamp).is_some())
    }

    /// Which recorded moment these weights are, for a run that was resumed: the one whose norms
    /// they have.
    #[cfg(feature = "burn")]
    pub(crate) fn recognise(&self, tensors: &[LayerTensor]) -> Option<Stamp> {
        let norms = norms(tensors);
        self.with_trajectory(|t| {
            let mut stamps = t.summaries().iter().rev().map(|s| s.stamp);
            stamps.find(|&stamp| !norms.is_empty() && has_norms(t, stamp, &norms))
        })
    }

    fn send(&self, line: Line) {
        self.hand_over(Job::Line(Box::new(line)));
    }

    /// What comes before the moment is known from which a continued log goes on waits for it: until
    /// then, a line of the abandoned branch may stand in its place.
    fn hand_over(&self, job: Job) {
        let resuming = lock(&self.inner.resuming);
        if *resuming {
            lock(&self.inner.held).push(job);
        } else {
            drop(resuming);
            self.inner.worker.submit(job);
        }
    }
}

/// ‖W‖²_F by layer.
fn norms(tensors: &[LayerTensor]) -> Vec<(&str, f64)> {
    let norm = |t: &LayerTensor| t.values.iter().map(|&v| f64::from(v).powi(2)).sum();
    tensors.iter().map(|t| (t.name.as_str(), norm(t))).collect()
}

/// Whether the log has these norms at a moment.
fn has_norms(run: &Trajectory, stamp: Stamp, norms: &[(&str, f64)]) -> bool {
    norms.iter().all(|(name, norm)| {
        let record = run.record(name, stamp);
        let known = record.and_then(|r| match r.carried {
            Some(carried) => Some(carried.norm),
            None => Some(r.values()?.primary.norm),
        });
        match known {
            Some(known) => (known - norm).abs() <= 1e-9 * norm,
            // A layer with NaN has no norm in the log either.
            None => record.is_some() && !norm.is_finite(),
        }
    })
}
