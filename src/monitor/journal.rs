//! The journal of a run: it writes lines to the sinks in order, and keeps the state for phases and
//! alarms. It analyses nothing.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::alarms::AlarmTracker;
use super::lock;
use crate::error::{Error, Result, catch_panics, chain, panic_message};
use crate::phase::Baseline;
use crate::record::{
    Alarm, AlarmRule, End, Ending, Event, Line, Notice, Record, Resumed, Scalar, Stamp, Summary,
    unix_time,
};
use crate::run::{PhaseTracker, Trajectory};
use crate::sink::Sink;
use crate::spectrum::Spectrum;

/// The user's function for alarms.
pub(super) type OnAlarm = Box<dyn FnMut(&Alarm) + Send>;

/// A sink that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct SinkFailure {
    /// Name of the sink, for example its file.
    pub sink: String,
    /// The first error.
    pub error: Error,
    /// Number of lines that the sink has not written. 0 if a later attempt succeeded.
    pub unwritten_lines: usize,
}

/// A sink with its failures.
struct SinkState {
    sink: Box<dyn Sink>,
    error: Option<Error>,
    /// Path of its file, if the file was lost.
    lost: Option<PathBuf>,
    /// Number of lines and spectra that it refused.
    refused: usize,
}

pub(super) struct Journal {
    run: String,
    state: Arc<Mutex<Trajectory>>,
    sinks: Vec<SinkState>,
    phases: HashMap<String, PhaseTracker>,
    alarms: AlarmTracker,
    on_alarm: Vec<OnAlarm>,
    /// Number of alarms that this process raised.
    raised: Arc<AtomicUsize>,
}

impl Journal {
    pub(super) fn new(
        run: &str,
        state: Arc<Mutex<Trajectory>>,
        sinks: Vec<Box<dyn Sink>>,
        rules: Vec<AlarmRule>,
        on_alarm: Vec<OnAlarm>,
    ) -> Self {
        let watched = |sink| SinkState {
            sink,
            error: None,
            lost: None,
            refused: 0,
        };
        let mut journal = Self {
            run: run.to_owned(),
            state,
            sinks: sinks.into_iter().map(watched).collect(),
            phases: HashMap::new(),
            alarms: AlarmTracker::new(run, rules),
            on_alarm,
            raised: Arc::default(),
        };
        journal.remember();
        journal
    }

    /// Counter of the alarms that this process raised.
    #[cfg(feature = "burn")]
    pub(super) fn raised(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.raised)
    }

    /// Sets the phases and alarms to the state at the end of the log.
    fn remember(&mut self) {
        self.phases.clear();
        self.alarms.forget();
        let log = lock(&self.state);
        // An observation without a summary was interrupted by a crash. It will be repeated.
        let whole: HashSet<Stamp> = log.summaries().iter().map(|s| s.stamp).collect();
        for record in log.records().iter().filter(|r| whole.contains(&r.stamp)) {
            let phase = self.phases.entry(record.layer.clone()).or_default();
            let _ = self.alarms.see(record, phase.see(record).as_ref());
        }
        self.alarms.keep_logged(log.alarms());
    }

    /// The initial state of the layers, from the log. Layers without an initial record are missing.
    pub(super) fn baselines(&self) -> HashMap<String, Baseline> {
        let log = lock(&self.state);
        let initial = log.records().iter();
        initial
            .filter(|r| r.stamp == Stamp::default())
            .filter_map(|r| {
                let sigma = r.values()?.sigma_mp?;
                let sigma2 = sigma * sigma;
                Some((r.layer.clone(), Baseline { sigma2 }))
            })
            .collect()
    }

    /// Whether an observation is in the log.
    pub(super) fn contains(&self, stamp: Stamp) -> bool {
        lock(&self.state).summary(stamp).is_some()
    }

    /// Whether the log has no observation.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.state).summaries().is_empty()
    }

    /// A copy of the run so far. Sinks get a copy because they may be slow, and may call the
    /// monitor.
    fn copy(&self) -> Trajectory {
        lock(&self.state).clone()
    }

    /// Calls `look` with the run so far.
    pub(super) fn with_run<T>(&self, look: impl FnOnce(&Trajectory) -> T) -> T {
        look(&lock(&self.state))
    }

    /// Updates phases and alarms with an observation. Returns the layers whose phase change it
    /// confirms, and the alarms.
    pub(super) fn assess(&mut self, records: &[Record]) -> (HashSet<String>, Vec<Alarm>) {
        let (mut turned, mut alarms) = (HashSet::new(), Vec::new());
        for record in records {
            let phase = self.phases.entry(record.layer.clone()).or_default();
            let change = phase.see(record);
            alarms.extend(self.alarms.see(record, change.as_ref()));
            turned.extend(change.map(|change| change.layer));
        }
        (turned, alarms)
    }

    /// Writes an observation.
    pub(super) fn observation(
        &mut self,
        stamp: Stamp,
        records: Vec<Record>,
        mut summary: Summary,
        spectra: &[(String, Spectrum)],
        alarms: Vec<Alarm>,
    ) {
        for record in records {
            self.keep(Line::Layer(Box::new(record)));
        }
        summary.unix_time = Some(unix_time());
        self.keep(Line::Summary(Box::new(summary)));
        self.raise(alarms);
        let said = self.call(|watched| {
            let result = watched.sink.spectra(stamp, spectra);
            watched.refused += usize::from(result.is_err());
            result
        });
        self.say(said);
        self.flush();
    }

    /// Writes a line that another part of the monitor made.
    pub(super) fn line(&mut self, line: Line) {
        let alarm = match &line {
            Line::Full(full) => self.alarms.see_full(full),
            _ => None,
        };
        self.keep(line);
        self.raise(alarm);
    }

    /// Writes a number that the training reported. Returns whether it raised an alarm.
    pub(super) fn scalar(&mut self, epoch: usize, name: String, value: f64) -> bool {
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
        let raised = alarm.is_some();
        self.raise(alarm);
        raised
    }

    pub(super) fn notice(&mut self, epoch: Option<usize>, event: Event) {
        let run = self.run.clone();
        self.keep(Line::Notice(Notice { run, epoch, event }));
    }

    /// Continues the run from an earlier observation. Later observations belong to an abandoned
    /// branch.
    pub(super) fn resume(&mut self, resumed: Resumed) {
        self.keep(Line::Resumed(resumed));
        let run = self.copy();
        let said = self.call(|watched| watched.sink.rewrite(&run));
        self.say(said);
        self.remember();
        self.flush();
    }

    /// Writes the end of the run. Returns the sinks that failed.
    pub(super) fn finish(&mut self, end: End) -> Vec<SinkFailure> {
        self.keep(Line::End(end));
        self.flush();
        let run = self.copy();
        // The log is complete, so these failures appear in the outcome only.
        let _ = self.call(|watched| watched.sink.finish(&run));
        let failures = self.sinks.iter_mut().filter_map(|watched| {
            Some(SinkFailure {
                sink: watched.sink.name(),
                error: watched.error.take()?,
                unwritten_lines: watched.refused + watched.sink.unwritten_lines(),
            })
        });
        failures.collect()
    }

    pub(super) fn end(&self) -> End {
        End {
            run: self.run.clone(),
            unix_time: unix_time(),
            how: Ending::default(),
            observed: 0,
            deferred: 0,
            dropped: 0,
            over_budget: 0,
        }
    }

    fn raise(&mut self, alarms: impl IntoIterator<Item = Alarm>) {
        for alarm in alarms {
            self.keep(Line::Alarm(alarm.clone()));
            self.raised.fetch_add(1, Ordering::Relaxed);
            let mut acts = std::mem::take(&mut self.on_alarm);
            for act in &mut acts {
                let done = catch_panics(|| {
                    act(&alarm);
                    Ok(())
                });
                if let Err(why) = done {
                    let message = why.to_string();
                    self.notice(Some(alarm.stamp.epoch), Event::ActionFailed { message });
                }
            }
            self.on_alarm = acts;
        }
    }

    /// Gives a line to every sink, then to the trajectory.
    pub(super) fn keep(&mut self, line: Line) {
        // A line that the log has must not appear again in a sink that does not know the earlier
        // process.
        let tells = matches!(line, Line::Header(_) | Line::Resumed(_));
        if !tells && lock(&self.state).has(&line) {
            return;
        }
        let said = self.call(|watched| {
            let result = watched.sink.line(&line);
            watched.refused += usize::from(result.is_err());
            result
        });
        lock(&self.state).push(line);
        self.say(said);
    }

    /// Makes all lines durable. A file that was lost is rewritten from memory.
    pub(super) fn flush(&mut self) {
        let mut lost = false;
        let mut said = self.call(|watched| match watched.sink.flush() {
            Err(Error::FileReplaced { path }) => {
                (lost, watched.lost) = (true, Some(path));
                Ok(())
            }
            result => result,
        });
        if lost {
            let run = self.copy();
            let mut anew = Vec::new();
            said.extend(self.call(|watched| {
                let Some(path) = watched.lost.take() else {
                    return Ok(());
                };
                watched.sink.rewrite(&run)?;
                anew.push(path.display().to_string());
                watched.error.get_or_insert(Error::FileReplaced { path });
                Ok(())
            }));
            said.extend(anew.into_iter().map(|path| Event::LogLost { path }));
        }
        if !said.is_empty() {
            self.say(said);
            let late = self.call(|watched| watched.sink.flush());
            self.say(late);
        }
    }

    fn say(&mut self, events: Vec<Event>) {
        for event in events {
            self.notice(None, event);
        }
    }

    /// Calls every sink. A sink that fails or panics stops neither the others nor the training.
    /// Returns an event for the first failure of each sink.
    fn call(&mut self, mut call: impl FnMut(&mut SinkState) -> Result<()>) -> Vec<Event> {
        let mut said = Vec::new();
        for watched in &mut self.sinks {
            let result = catch_unwind(AssertUnwindSafe(|| call(watched))).unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Err(Error::Sink { message })
            });
            if let Err(error) = result
                && watched.error.is_none()
            {
                let (sink, message) = (watched.sink.name(), chain(&error));
                said.push(Event::SinkFailed { sink, message });
                watched.error = Some(error);
            }
        }
        said
    }
}
