//! Watching a training: when to observe, which layers, and a background worker that analyses.
//!
//! Nothing here knows burn. A [`Monitor`] takes a [`Snapshot`], puts it in a bounded queue and
//! returns; the worker analyses and writes. Whatever goes wrong (NaN weights, a panic in the
//! analysis, a full disk) is recorded and never reaches the training.

mod closer;
mod selection;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::analysis::Config;
use crate::error::{Error, Result};
use crate::matrix::LayerTensor;
use crate::record::{Header, LayerShape, LeftOutLayer, Line, ModelLine, Notice, Scalar, Stamp};
use crate::sink::{CsvSink, JsonlSink, Sink, SpectraSink};
use crate::trajectory::Trajectory;

pub use selection::Selection;
pub use worker::Overload;
use worker::{Job, Worker};

/// When to observe. The initial and the last weights are observed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// After every k-th epoch.
    Epochs(usize),
    /// After every k-th optimiser step.
    Steps(u64),
}

/// The weights of a model at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The tensors to analyse, in the model's order.
    pub tensors: Vec<LayerTensor>,
    /// The tensors that are left out, with reasons.
    pub left_out: Vec<LeftOutLayer>,
    /// Wall time that taking it cost the training.
    pub seconds: f64,
}

/// What [`Monitor::finish`] returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Everything that was recorded, the part before a resume included.
    pub trajectory: Trajectory,
    /// The first error of a sink; the others went on.
    pub sink_error: Option<Error>,
    /// Observations that were analysed.
    pub observed: usize,
    /// Observations that had to wait for the one before.
    pub deferred: usize,
    /// Observations that were dropped because the queue was full.
    pub dropped: usize,
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
///     monitor.submit(stamp, Snapshot { tensors, ..Snapshot::default() });
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
    announced: Mutex<bool>,
    #[cfg(feature = "burn")]
    submitted: Mutex<Option<std::time::Instant>>,
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
        if !std::mem::replace(&mut *lock(&self.inner.announced), true) {
            let layers = snapshot.tensors.iter().map(|t| LayerShape {
                name: t.name.clone(),
                shape: t.shape.clone(),
            });
            self.send(Line::Model(ModelLine {
                run: self.inner.run.clone(),
                layers: layers.collect(),
                left_out: snapshot.left_out.clone(),
            }));
        }
        #[cfg(feature = "burn")]
        {
            *lock(&self.inner.submitted) = Some(std::time::Instant::now());
        }
        self.inner.worker.submit(Job::Observe { stamp, snapshot });
    }

    /// Record a number that the training reports, such as the loss of an epoch.
    pub fn scalar(&self, epoch: usize, name: impl Into<String>, value: f64) {
        // JSON has no NaN; a diverged loss is a notice.
        let name = name.into();
        if value.is_finite() {
            self.send(Line::Scalar(Scalar {
                run: self.inner.run.clone(),
                epoch,
                name,
                value,
            }));
        } else {
            self.notice(Some(epoch), format!("{name} is {value}"));
        }
    }

    /// Record something that the reader of the log should know.
    pub fn notice(&self, epoch: Option<usize>, text: impl Into<String>) {
        self.send(Line::Notice(Notice {
            run: self.inner.run.clone(),
            epoch,
            text: text.into(),
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
            self.inner.worker.wait_idle(rest);
        }
    }

    /// Wait for the analysis, and return everything. Later observations are ignored.
    pub fn finish(&self) -> Outcome {
        self.inner.worker.close();
        let counts = self.inner.worker.counts();
        Outcome {
            trajectory: lock(&self.inner.state).clone(),
            sink_error: self.inner.worker.take_error(),
            observed: counts.observed,
            deferred: counts.deferred,
            dropped: counts.dropped,
        }
    }

    /// Whether this moment is in the log already.
    #[cfg(feature = "burn")]
    pub(crate) fn has(&self, stamp: Stamp) -> bool {
        self.with_trajectory(|t| t.summaries.iter().any(|s| s.stamp == stamp))
    }

    /// Which recorded moment these weights are, for a run that was resumed: the one whose norms
    /// they have.
    #[cfg(feature = "burn")]
    pub(crate) fn recognise(&self, tensors: &[LayerTensor]) -> Option<Stamp> {
        let norms: Vec<(&str, f64)> = tensors
            .iter()
            .map(|t| {
                let norm = t.values.iter().map(|&v| f64::from(v).powi(2)).sum();
                (t.name.as_str(), norm)
            })
            .collect();
        self.with_trajectory(|t| {
            let matches = |stamp: Stamp| {
                norms.iter().all(|(name, norm)| {
                    let known = t
                        .records
                        .iter()
                        .find(|r| r.stamp == stamp && r.layer == *name)
                        .and_then(|r| Some(r.values.as_ref()?.row.norm));
                    known.is_some_and(|k| (k - norm).abs() <= 1e-9 * norm)
                })
            };
            let mut stamps = t.summaries.iter().rev().map(|s| s.stamp);
            stamps.find(|&stamp| !norms.is_empty() && matches(stamp))
        })
    }

    fn send(&self, line: Line) {
        self.inner.worker.submit(Job::Line(Box::new(line)));
    }
}

/// Configures a [`Monitor`].
pub struct Builder {
    run: Option<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    cadence: Option<Cadence>,
    config: Config,
    out: Option<PathBuf>,
    resume: bool,
    starting_epoch: Option<usize>,
    sinks: Vec<Box<dyn Sink>>,
    overload: Overload,
    queue: Option<usize>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            run: None,
            include: Vec::new(),
            exclude: Vec::new(),
            cadence: None,
            config: Config::live(),
            out: None,
            resume: false,
            starting_epoch: None,
            sinks: Vec::new(),
            overload: Overload::default(),
            queue: None,
        }
    }
}

/// Snapshots that may wait for the worker, unless told otherwise.
const QUEUE: usize = 4;

impl Builder {
    /// Name of the run in every line; else the folder's name, else `run`.
    pub fn run(mut self, name: impl Into<String>) -> Self {
        self.run = Some(name.into());
        self
    }

    /// Analyse only layers whose path matches one of these regular expressions.
    pub fn layers(mut self, pattern: impl Into<String>) -> Self {
        self.include.push(pattern.into());
        self
    }

    /// Leave out layers whose path matches.
    pub fn skip(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// When to observe; [`Cadence::Epochs(1)`](Cadence::Epochs) by default.
    pub fn every(mut self, cadence: Cadence) -> Self {
        self.cadence = Some(cadence);
        self
    }

    /// How to analyse; [`Config::live`] by default. The first and the last observation of a run,
    /// and those that confirm a change of a layer's phase, are analysed in full whatever it says, on a
    /// thread of their own.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Keep `log.jsonl`, `layers.csv` and `spectra/` in this folder, and with the feature `report` a page that shows
    /// them, `report.html`.
    pub fn out(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out = Some(folder.into());
        self
    }

    /// Continue the log in the folder of [`Builder::out`], if there is one.
    pub fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// How many epochs were finished before this process: the n of burn's `.checkpoint(n)`. A run
    /// that continues its log does not need it as long as the log knows the checkpoint's weights.
    pub fn starting_epoch(mut self, epoch: usize) -> Self {
        self.starting_epoch = Some(epoch);
        self
    }

    /// Add a sink of one's own.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// What happens when the analysis cannot keep up; [`Overload::DropOldest`] by default.
    pub fn overload(mut self, policy: Overload) -> Self {
        self.overload = policy;
        self
    }

    /// How many snapshots may wait; 4 by default. Memory is bounded by this many and four more
    /// copies of the watched weights: the one in work, the newest, and what waits for its full analysis.
    pub fn queue(mut self, capacity: usize) -> Self {
        self.queue = Some(capacity);
        self
    }

    /// Start the worker.
    ///
    /// # Errors
    ///
    /// If a pattern is no regular expression, the cadence or queue is 0, the folder cannot be
    /// written, or it holds a log already and [`Builder::resume`] was not asked for.
    pub fn build(self) -> Result<Monitor> {
        let selection = Selection::new(&self.include, &self.exclude)?;
        let cadence = self.cadence.unwrap_or(Cadence::Epochs(1));
        let config_error = |option, cause: &str| {
            Err(Error::Config {
                option,
                cause: cause.to_owned(),
            })
        };
        if matches!(cadence, Cadence::Epochs(0) | Cadence::Steps(0)) {
            return config_error("every", "must be at least 1");
        }
        let queue = self.queue.unwrap_or(QUEUE);
        if queue == 0 {
            return config_error("queue", "must be at least 1");
        }
        let mut sinks = self.sinks;
        let mut trajectory = Trajectory::default();
        let mut name = self.run;
        if let Some(folder) = &self.out {
            let log = folder.join("log.jsonl");
            if log.exists() {
                if !self.resume {
                    let cause = format!(
                        "{} exists: choose another folder, or continue it with resume()",
                        log.display()
                    );
                    return config_error("out", &cause);
                }
                trajectory = Trajectory::read_jsonl(&log)?;
                if let Some(header) = &trajectory.header
                    && name.get_or_insert_with(|| header.run.clone()) != &header.run
                {
                    let cause = format!("{} is of run `{}`", log.display(), header.run);
                    return config_error("run", &cause);
                }
            }
            sinks.push(Box::new(JsonlSink::open(log)?));
            sinks.push(Box::new(CsvSink::open(folder.join("layers.csv"))?));
            sinks.push(Box::new(SpectraSink::open(folder.join("spectra"))?));
            let stem = folder.file_name().map(|n| n.to_string_lossy().into_owned());
            name = name.or(stem);
        }
        let run = name.unwrap_or_else(|| "run".to_owned());
        #[cfg(feature = "report")]
        if let Some(folder) = &self.out {
            let page = folder.join("report.html");
            sinks.push(Box::new(crate::sink::HtmlSink::open(page, &run)?));
        }
        let resumed = !trajectory.summaries.is_empty();
        let state = Arc::new(Mutex::new(trajectory));
        let header = Header::new(&run, &self.config);
        let worker = Worker::spawn(header, sinks, Arc::clone(&state), self.overload, queue)?;
        Ok(Monitor {
            inner: Arc::new(Inner {
                run,
                selection,
                cadence,
                resumed,
                state,
                starting_epoch: self.starting_epoch,
                announced: Mutex::new(resumed),
                #[cfg(feature = "burn")]
                submitted: Mutex::new(None),
                worker,
            }),
        })
    }
}
