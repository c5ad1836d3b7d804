use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::budget::Budget;
use super::journal::{Journal, OnAlarm};
use super::worker::{Overload, Settings, Worker};
use super::{Cadence, Inner, Monitor, Selection};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::record::{Alarm, Event, Header, Rule};
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
    rules: Vec<Rule>,
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

/// Snapshots that may wait for the worker, unless told otherwise.
const QUEUE: usize = 4;

impl Builder {
    /// Name of the run in every line; else the folder's name, else `run`.
    pub fn run(mut self, name: impl Into<String>) -> Self {
        self.run = Some(name.into());
        self
    }

    /// Analyse only layers whose path matches one of these regular expressions.
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.include.push(pattern.into());
        self
    }

    /// Leave out layers whose path matches.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
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
    pub fn dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.dir = Some(folder.into());
        self
    }

    /// Continue the log in the folder of [`Builder::dir`], if there is one.
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
    /// copies of the watched weights (the one in work, the newest, and what waits for its full analysis), each
    /// thread's buffers (four times the largest layer in f64), and the records, which stay: about 2 kB a layer and
    /// observation, and 0.5 kB for each kernel position of a convolution; with a page among the sinks its own copy of
    /// them, without kernel positions, and at most 1 kB of each spectrum.
    pub fn queue(mut self, capacity: usize) -> Self {
        self.queue = Some(capacity);
        self
    }

    /// How many layers (and slices of a convolution) are analysed at once; 1 by default, which leaves the
    /// other cores to the training. The numbers are the same to the last bit.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Do not analyse a layer again as long as its α is certainly within `tolerance` of the α it had when
    /// it was analysed. The record says so ([`Carried`](crate::record::Carried)) and repeats the other numbers,
    /// which have no such bound. Off by default: a proof needs a layer that has hardly moved, one that is frozen,
    /// say, or nearly so (by 1e-6 to 1e-4 of its norm). Costs one more copy of the watched weights.
    pub fn skip_unchanged(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// Make an observation that is due only if all of observing would then stay below this share of the run's wall
    /// time (0.01 is one per cent): copies, the seconds of each layer's analysis on whatever thread, finished full
    /// analyses, and writing. The first observation is made in any case, and the last where the monitor sees the end,
    /// each with its full analysis: in a short run they can be more than the share. Off by default, since what is
    /// observed then depends on the machine.
    pub fn budget(mut self, share: f64) -> Self {
        self.budget = Some(share);
        self
    }

    /// Write an [`Alarm`] into the log whenever a layer begins to fulfil this rule. No rule holds unless asked for.
    pub fn alarm(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Call this with every alarm, on the worker's thread; what it does should be short. A panic in it is recorded;
    /// what it asks of the monitor itself waits for nothing.
    ///
    /// To stop burn's training in the middle of an epoch, share an interrupter with it:
    ///
    /// ```ignore
    /// let interrupter = Interrupter::new();
    /// let stop = interrupter.clone();
    /// let monitor = Monitor::builder()
    ///     .alarm(Rule::NotFinite)
    ///     .on_alarm(move |alarm| stop.stop(Some(&alarm.to_string())))
    ///     .build()?;
    /// let training = SupervisedTraining::new(dir, train, valid).with_interrupter(interrupter);
    /// ```
    ///
    /// To stop it between two epochs, `training.early_stopping(monitor.stop_on_alarm())`.
    pub fn on_alarm(mut self, act: impl FnMut(&Alarm) + Send + 'static) -> Self {
        self.on_alarm.push(Box::new(act));
        self
    }

    /// Start the worker.
    ///
    /// # Errors
    ///
    /// If a pattern is no regular expression, the cadence, queue or threads are 0, the tolerance is negative,
    /// the budget not a positive share, a rule can never hold, the folder cannot be written, or it holds a log already and [`Builder::resume`] was not asked for.
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
            if let Rule::AlphaBelow {
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
        let resumed = trajectory.has_begun();
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

/// A run's folder, opened to be written.
struct Opened {
    name: String,
    trajectory: Trajectory,
    sinks: Vec<Box<dyn Sink>>,
    /// A last line that a crash had cut off was removed.
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
                    option: "out",
                    cause,
                });
            }
            (false, _) => JsonlSink::create(&log)?,
            // First the right to write it: nobody adds to what is read then.
            (true, true) => JsonlSink::open(&log)?,
        };
        let empty = log.metadata().is_ok_and(|m| m.len() == 0);
        let opened = Self::beside(dir, sink, name);
        if opened.is_err() && empty {
            // The next try is to find what this one found.
            let _ = std::fs::remove_file(&log);
        }
        opened
    }

    /// The other files of the folder, beside the log.
    fn beside(dir: &RunDir, log: JsonlSink, name: Option<String>) -> Result<Self> {
        let trajectory = dir.read()?;
        let header = trajectory.header().map(|h| h.run.clone());
        let name = match (name, header) {
            (Some(name), Some(run)) if name != run => {
                let cause = format!("{} is of run `{run}`", dir.log().display());
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
        let torn = log.was_torn();
        let mut table = CsvSink::create(dir.table())?;
        table.rewrite(&trajectory)?;
        let mut spectra = SpectraSink::open(dir.spectra())?;
        // Those of a run that was here before go aside.
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
