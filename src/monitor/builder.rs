//! The configuration of a monitor.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::budget::Budget;
use super::journal::{Journal, OnAlarm};
use super::worker::{Overload, Settings, Worker};
use super::{Cadence, Inner, Monitor, Selection};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::record::{Alarm, AlarmRule, Event, Header};
use crate::run::{RunDir, Trajectory};
use crate::sink::{CsvSink, JsonlSink, Sink, SpectraSink};

/// Configures a [`Monitor`].
pub struct Builder {
    run: Option<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    cadence: Option<Cadence>,
    config: Config,
    dir: Option<PathBuf>,
    resume: bool,
    starting_epoch: Option<usize>,
    sinks: Vec<Box<dyn Sink>>,
    overload: Overload,
    queue: Option<usize>,
    threads: usize,
    tolerance: Option<f64>,
    budget: Option<f64>,
    rules: Vec<AlarmRule>,
    on_alarm: Vec<OnAlarm>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            run: None,
            include: Vec::new(),
            exclude: Vec::new(),
            cadence: None,
            config: Config::live(),
            dir: None,
            resume: false,
            starting_epoch: None,
            sinks: Vec::new(),
            overload: Overload::default(),
            queue: None,
            threads: 1,
            tolerance: None,
            budget: None,
            rules: Vec::new(),
            on_alarm: Vec::new(),
        }
    }
}

/// Default number of snapshots that may wait for the worker.
const QUEUE: usize = 4;

impl Builder {
    /// Name of the run in every line. The default is the folder's name, or `run` without a folder.
    pub fn run(mut self, name: impl Into<String>) -> Self {
        self.run = Some(name.into());
        self
    }

    /// Analyse only layers whose path matches one of these regular expressions. May be called
    /// several times.
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.include.push(pattern.into());
        self
    }

    /// Leave out layers whose path matches this regular expression. May be called several times.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// When to observe. The default is [`Cadence::Epochs(1)`](Cadence::Epochs).
    pub fn every(mut self, cadence: Cadence) -> Self {
        self.cadence = Some(cadence);
        self
    }

    /// Configuration of the analysis. The default is [`Config::live`]. A thread of its own runs
    /// full analyses, whatever the configuration: of the first and the last observation of a run,
    /// and of those that confirm a phase change of a layer.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Write `log.jsonl`, `layers.csv` and `spectra/` to this folder. With the feature `report`,
    /// also write an HTML report, `report.html`.
    pub fn dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.dir = Some(folder.into());
        self
    }

    /// Continue the log in the folder of [`Builder::dir`], if the folder has one.
    pub fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// Number of epochs that were finished before this process: the n of burn's `.checkpoint(n)`. A
    /// run that continues its log needs it only if the log does not have the checkpoint's weights.
    pub fn starting_epoch(mut self, epoch: usize) -> Self {
        self.starting_epoch = Some(epoch);
        self
    }

    /// Add a sink.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// What to do when the queue is full. The default is [`Overload::DropOldest`].
    pub fn overload(mut self, policy: Overload) -> Self {
        self.overload = policy;
        self
    }

    /// Number of snapshots that may wait, 4 by default.
    ///
    /// It bounds the memory, which holds:
    ///
    /// - this many copies of the watched weights, and four more: the one in work, the newest one,
    ///   and those that wait for a full analysis;
    /// - the buffers of each thread: four times the largest layer in f64;
    /// - the records, which stay in memory: about 2 kB for each layer and observation, and 0.5 kB
    ///   for each kernel position of a convolution;
    /// - with an HTML report: a copy of the records without kernel positions, and at most 1 kB of
    ///   each spectrum.
    pub fn queue(mut self, capacity: usize) -> Self {
        self.queue = Some(capacity);
        self
    }

    /// Number of layers, and of slices of a convolution, that are analysed at the same time. The
    /// default is 1, which leaves the other cores to the training. The results are bit-identical
    /// for every number.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Skip the analysis of a layer as long as its α is provably within `tolerance` of its last
    /// analysed α.
    ///
    /// The record then has [`Carried`](crate::record::Carried) set and repeats the numbers of that
    /// analysis. Only α has this bound; the other numbers have none. Off by default, because the
    /// bound needs a layer that has hardly changed: one that is frozen, or that moved by only 1e-6
    /// to 1e-4 of its norm. The option needs one more copy of the watched weights.
    pub fn skip_unchanged(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// Leave out an observation if the cost of observing would exceed this share of the run's wall
    /// time. 0.01 is one per cent.
    ///
    /// The cost is the time for copies, for each layer's analysis (summed over all threads), for
    /// finished full analyses, and for writing. The first observation is always made, and so is the
    /// last one if the monitor detects the end. Both have a full analysis, so a short run can
    /// exceed the share. Off by default, because the choice of observations then depends on the
    /// machine.
    pub fn budget(mut self, share: f64) -> Self {
        self.budget = Some(share);
        self
    }

    /// Write an [`Alarm`] to the log whenever this rule begins to hold for a layer. There are no
    /// rules by default.
    pub fn alarm(mut self, rule: AlarmRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Call this function for every alarm, on the worker's thread. It should return quickly. A
    /// panic in it is recorded. It may call the monitor, which then does not block.
    ///
    /// To stop burn's training in the middle of an epoch, share an interrupter with it:
    ///
    /// ```ignore
    /// let interrupter = Interrupter::new();
    /// let stop = interrupter.clone();
    /// let monitor = Monitor::builder()
    ///     .alarm(AlarmRule::NotFinite)
    ///     .on_alarm(move |alarm| stop.stop(Some(&alarm.to_string())))
    ///     .build()?;
    /// let training = SupervisedTraining::new(dir, train, valid).with_interrupter(interrupter);
    /// ```
    ///
    /// To stop it between two epochs, use `training.early_stopping(monitor.stop_on_alarm())`.
    pub fn on_alarm(mut self, act: impl FnMut(&Alarm) + Send + 'static) -> Self {
        self.on_alarm.push(Box::new(act));
        self
    }

    /// Builds the monitor and starts its worker thread.
    ///
    /// # Errors
    ///
    /// - A pattern is not a regular expression.
    /// - The cadence, the queue or the number of threads is 0.
    /// - The tolerance is negative, the budget is not in (0, 1], or a rule can never hold.
    /// - The folder cannot be written, or it holds a log and [`Builder::resume`] was not called.
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
        if self.threads == 0 {
            return config_error("threads", "must be at least 1");
        }
        if self.tolerance.is_some_and(|t| !(t >= 0.0 && t.is_finite())) {
            return config_error("skip_unchanged", "the tolerance must be 0 or more");
        }
        if self.budget.is_some_and(|b| !(b > 0.0 && b <= 1.0)) {
            return config_error("budget", "must be a share above 0, at most 1");
        }
        for rule in &self.rules {
            if let AlarmRule::AlphaBelow {
                alpha,
                observations,
            } = rule
                && !(alpha.is_finite() && *observations > 0)
            {
                return config_error("alarm", "α must be finite, and observations at least 1");
            }
        }
        let dir = self.dir.as_deref().map(RunDir::new);
        let mut sinks = self.sinks;
        let mut name = self.run;
        let (mut trajectory, mut torn) = (Trajectory::default(), false);
        if let Some(dir) = &dir {
            let opened = Opened::new(dir, self.resume, name)?;
            sinks.extend(opened.sinks);
            (trajectory, torn, name) = (opened.trajectory, opened.torn, Some(opened.name));
        }
        let run = name.unwrap_or_else(|| "run".to_owned());
        let resumed = trajectory.has_data();
        let model = trajectory.model().map(<[_]>::to_vec);
        let state = Arc::new(Mutex::new(trajectory));
        let header = Header::new(&run, &self.config);
        let settings = Settings {
            config: self.config,
            threads: self.threads,
            tolerance: self.tolerance,
            pending: dir.map(|dir| dir.pending()),
        };
        let journal = Journal::new(&run, Arc::clone(&state), sinks, self.rules, self.on_alarm);
        #[cfg(feature = "burn")]
        let alarms = journal.raised();
        let worker = Worker::spawn(header, settings, journal, self.overload, queue)?;
        let monitor = Monitor {
            inner: Arc::new(Inner {
                run,
                selection,
                cadence,
                resumed,
                state,
                starting_epoch: self.starting_epoch,
                resuming: Mutex::new(resumed),
                held: Mutex::default(),
                model: Mutex::new(model),
                budget: self.budget.map(Budget::new),
                #[cfg(feature = "burn")]
                submitted: Mutex::new(None),
                #[cfg(feature = "burn")]
                alarms,
                worker,
            }),
        };
        if torn {
            monitor.event(None, Event::CutOffLine);
        }
        Ok(monitor)
    }
}

/// The folder of a run, opened for writing.
struct Opened {
    name: String,
    trajectory: Trajectory,
    sinks: Vec<Box<dyn Sink>>,
    /// Whether an incomplete last line was removed.
    torn: bool,
}

impl Opened {
    fn new(dir: &RunDir, resume: bool, name: Option<String>) -> Result<Self> {
        let log = dir.log();
        let sink = match (log.exists(), resume) {
            (true, false) => {
                let cause = format!(
                    "{} exists: choose another folder, or continue it with resume()",
                    log.display()
                );
                return Err(Error::Config {
                    option: "dir",
                    cause,
                });
            }
            (false, _) => JsonlSink::create(&log)?,
            // Take the lock before reading, so that no other process adds lines afterwards.
            (true, true) => JsonlSink::open(&log)?,
        };
        let empty = log.metadata().is_ok_and(|m| m.len() == 0);
        let opened = Self::beside(dir, sink, name);
        if opened.is_err() && empty {
            // Remove the empty log, so that the next attempt finds the folder as it was.
            let _ = std::fs::remove_file(&log);
        }
        opened
    }

    /// Opens the other files of the folder.
    fn beside(dir: &RunDir, log: JsonlSink, name: Option<String>) -> Result<Self> {
        let trajectory = dir.read()?;
        let header = trajectory.header().map(|h| h.run.clone());
        let name = match (name, header) {
            (Some(name), Some(run)) if name != run => {
                let cause = format!("{} belongs to run `{run}`", dir.log().display());
                return Err(Error::Config {
                    option: "run",
                    cause,
                });
            }
            (name, header) => name.or(header),
        };
        let stem = || {
            dir.path()
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
        };
        let name = name.or_else(stem).unwrap_or_else(|| "run".to_owned());
        let torn = log.removed_incomplete_line();
        let mut table = CsvSink::create(dir.table())?;
        table.rewrite(&trajectory)?;
        let mut spectra = SpectraSink::open(dir.spectra())?;
        // Move aside spectra of an earlier run in this folder.
        spectra.rewrite(&trajectory)?;
        #[cfg_attr(not(feature = "report"), expect(unused_mut))]
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(log), Box::new(table), Box::new(spectra)];
        #[cfg(feature = "report")]
        sinks.push(Box::new(crate::report::HtmlSink::open(dir.page(), &name)?));
        Ok(Self {
            name,
            trajectory,
            sinks,
            torn,
        })
    }
}
