use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
#[cfg(feature = "burn")]
use std::time::Duration;

use super::closer::{Closer, Live};
use super::{Snapshot, lock};
use crate::analysis::{Config, analyze_tensor};
use crate::error::{Error, Result, panic_message};
use crate::phase::Baseline;
use crate::record::{Header, LayerShape, Line, Notice, Record, Stamp, Summary};
use crate::sink::Sink;
use crate::trajectory::{Hysteresis, Trajectory};

/// What happens to an observation when the queue is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overload {
    /// The oldest waiting one is dropped, the newest kept. The first of a run is never dropped.
    #[default]
    DropOldest,
    /// The new one is dropped.
    DropNewest,
    /// The training waits until there is room.
    Wait,
}

/// What the worker is asked to do.
pub(super) enum Job {
    Observe { stamp: Stamp, snapshot: Snapshot },
    Line(Box<Line>),
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub observed: usize,
    pub deferred: usize,
    pub dropped: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// An observation is being analysed.
    busy: bool,
    closed: bool,
    counts: Counts,
    first_error: Option<Error>,
}

impl Queue {
    fn waiting(&self) -> usize {
        self.jobs
            .iter()
            .filter(|j| matches!(j, Job::Observe { .. }))
            .count()
    }
}

#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    /// A line from a thread of ours; taken also while the worker closes.
    pub(super) fn line(&self, line: Line) {
        lock(&self.queue).jobs.push_back(Job::Line(Box::new(line)));
        self.changed.notify_all();
    }
}

struct HangUp(Arc<Shared>);

impl Drop for HangUp {
    fn drop(&mut self) {
        lock(&self.0.queue).closed = true;
        self.0.changed.notify_all();
    }
}

/// The thread that analyses, and the queue before it.
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    policy: Overload,
    capacity: usize,
}

impl Worker {
    pub(super) fn spawn(
        header: Header,
        sinks: Vec<Box<dyn Sink>>,
        state: Arc<Mutex<Trajectory>>,
        policy: Overload,
        capacity: usize,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let known = baselines(&lock(&state));
        let mut phases: HashMap<String, Hysteresis> = HashMap::new();
        for record in &lock(&state).records {
            let _ = phases.entry(record.layer.clone()).or_default().see(record);
        }
        let mut desk = Desk {
            run: header.run.clone(),
            config: header.config.clone(),
            baselines: known,
            phases,
            last: Vec::new(),
            closer: None,
            state,
            sinks,
            shared: Arc::clone(&shared),
            failed_sinks: false,
        };
        let thread = std::thread::Builder::new()
            .name("heavytail".to_owned())
            .spawn(move || {
                // Nobody may wait for a worker that is gone.
                let _hang_up = HangUp(Arc::clone(&desk.shared));
                desk.keep(Line::Header(header));
                desk.work();
            })
            .map_err(|e| Error::Worker(e.to_string()))?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
            policy,
            capacity,
        })
    }

    pub(super) fn submit(&self, job: Job) {
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return;
        }
        if let Job::Observe { .. } = job {
            if queue.busy || queue.waiting() > 0 {
                queue.counts.deferred += 1;
            }
            while queue.waiting() >= self.capacity {
                match self.policy {
                    Overload::Wait => {
                        queue = self
                            .shared
                            .changed
                            .wait(queue)
                            .unwrap_or_else(PoisonError::into_inner);
                        if queue.closed {
                            return;
                        }
                    }
                    Overload::DropNewest => {
                        queue.counts.dropped += 1;
                        return;
                    }
                    Overload::DropOldest => {
                        // Nothing can be compared with a run whose beginning is lost.
                        let first_kept = queue.counts.observed == 0 && !queue.busy;
                        let victim = queue
                            .jobs
                            .iter()
                            .enumerate()
                            .filter(|(_, j)| matches!(j, Job::Observe { .. }))
                            .map(|(i, _)| i)
                            .nth(usize::from(first_kept));
                        queue.counts.dropped += 1;
                        match victim {
                            Some(i) => queue.jobs.remove(i),
                            None => return,
                        };
                    }
                }
            }
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Let the worker finish what waits, and wait for it.
    pub(super) fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = lock(&self.thread).take()
            && let Err(panic) = thread.join()
        {
            let mut queue = lock(&self.shared.queue);
            queue
                .first_error
                .get_or_insert(Error::Worker(panic_message(&*panic)));
        }
    }

    /// Wait until nothing is left to analyse, but no longer than `patience`.
    #[cfg(feature = "burn")]
    pub(super) fn wait_idle(&self, patience: Duration) {
        let queue = lock(&self.shared.queue);
        let busy = |q: &mut Queue| q.busy || q.waiting() > 0;
        // Whether it timed out makes no difference to the caller.
        let _ = self
            .shared
            .changed
            .wait_timeout_while(queue, patience, busy);
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.shared.queue).counts
    }

    pub(super) fn take_error(&self) -> Option<Error> {
        lock(&self.shared.queue).first_error.take()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close();
    }
}

/// Everything that the thread owns.
struct Desk {
    run: String,
    config: Config,
    baselines: HashMap<String, Baseline>,
    phases: HashMap<String, Hysteresis>,
    /// What the newest observation said at depth live, to be looked at in full if it stays the last.
    last: Vec<Live>,
    /// The thread of the full analyses, from the first observation on.
    closer: Option<Closer>,
    state: Arc<Mutex<Trajectory>>,
    sinks: Vec<Box<dyn Sink>>,
    shared: Arc<Shared>,
    failed_sinks: bool,
}

impl Desk {
    fn work(&mut self) {
        while let Some(job) = self.next() {
            match job {
                Job::Line(line) => {
                    self.keep(*line);
                    if lock(&self.shared.queue).jobs.is_empty() {
                        self.sinks(|s| s.flush());
                    }
                }
                Job::Observe { stamp, snapshot } => {
                    let new = self.observe(stamp, snapshot);
                    let mut queue = lock(&self.shared.queue);
                    queue.busy = false;
                    queue.counts.observed += usize::from(new);
                    drop(queue);
                    self.shared.changed.notify_all();
                }
            }
        }
        // The last observation in full, then whatever the closer looks have found.
        if let Some(closer) = self.closer.take() {
            closer.finish(std::mem::take(&mut self.last));
        }
        while let Some(Job::Line(line)) = self.next() {
            self.keep(*line);
        }
        let counts = lock(&self.shared.queue).counts;
        if counts.deferred + counts.dropped > 0 {
            self.keep(Line::Notice(Notice {
                run: self.run.clone(),
                epoch: None,
                text: format!(
                    "the analysis could not keep up: {} observations waited, {} were dropped",
                    counts.deferred, counts.dropped
                ),
            }));
        }
        self.sinks(|s| s.flush());
        self.sinks(|s| s.finish());
    }

    fn next(&self) -> Option<Job> {
        let mut queue = lock(&self.shared.queue);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.busy = matches!(job, Job::Observe { .. });
                drop(queue);
                self.shared.changed.notify_all();
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self
                .shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the moment was new.
    fn observe(&mut self, stamp: Stamp, snapshot: Snapshot) -> bool {
        if lock(&self.state).summaries.iter().any(|s| s.stamp == stamp) {
            return false;
        }
        let first = lock(&self.state).summaries.is_empty();
        if self.closer.is_none() {
            let room = (2 * snapshot.tensors.len()).max(1);
            self.closer = Closer::spawn(&self.run, &self.config, &self.shared, room);
        }
        let mut records = Vec::with_capacity(snapshot.tensors.len());
        let mut spectra = Vec::with_capacity(snapshot.tensors.len());
        self.last.clear();
        for (id, tensor) in snapshot.tensors.into_iter().enumerate() {
            let baseline = self.baselines.get(&tensor.name);
            let report = guarded(|| analyze_tensor(&tensor, &self.config, baseline));
            records.push(match report {
                Ok(report) => {
                    if let (0, Ok(bulk)) = (stamp.epoch, &report.bulk)
                        && stamp.step == 0
                    {
                        let sigma2 = bulk.sigma2;
                        self.baselines
                            .insert(tensor.name.clone(), Baseline { sigma2 });
                    }
                    let record = Record::success(&self.run, stamp, id, &report);
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
                        name: tensor.name,
                        shape: tensor.shape,
                    };
                    Record::failed(&self.run, stamp, id, layer, why)
                }
            });
        }
        let summary = Summary::of(&self.run, stamp, &records, snapshot.seconds);
        let mut turned = HashSet::new();
        for record in records {
            let phase = self.phases.entry(record.layer.clone()).or_default();
            turned.extend(phase.see(&record).map(|change| change.layer));
            self.keep(Line::Layer(Box::new(record)));
        }
        self.keep(Line::Summary(Box::new(summary)));
        self.sinks(|s| s.spectra(stamp, &spectra));
        self.sinks(|s| s.flush());
        // The start of a run and a confirmed change of phase are worth a closer look.
        let (closer, rest): (Vec<Live>, Vec<Live>) = std::mem::take(&mut self.last)
            .into_iter()
            .partition(|live| first || turned.contains(&live.tensor.name));
        let look = |live: Live| match &self.closer {
            Some(closer) => closer.look(live).err().map(|live| live.tensor.name),
            None => Some(live.tensor.name),
        };
        let refused: Vec<String> = closer.into_iter().filter_map(look).collect();
        for layer in refused {
            self.keep(Line::Notice(Notice {
                run: self.run.clone(),
                epoch: Some(stamp.epoch),
                text: format!("no full analysis of layer `{layer}`: too many wait, or the system refused a thread"),
            }));
        }
        self.last = rest;
        true
    }

    /// A line goes to every sink, then to the trajectory.
    fn keep(&mut self, line: Line) {
        self.sinks(|s| s.line(&line));
        lock(&self.state).push(line);
    }

    /// A sink that fails stops neither the others nor the training.
    fn sinks(&mut self, call: impl FnOnce(&mut Vec<Box<dyn Sink>>) -> Result<()>) {
        if let Err(error) = call(&mut self.sinks)
            && !std::mem::replace(&mut self.failed_sinks, true)
        {
            let text = format!("a sink failed: {error}");
            lock(&self.shared.queue).first_error.get_or_insert(error);
            self.keep(Line::Notice(Notice {
                run: self.run.clone(),
                epoch: None,
                text,
            }));
        }
    }
}

/// Whatever goes wrong in the analysis becomes a sentence.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("the analysis panicked: {}", panic_message(&*panic))),
    }
}

/// What the layers looked like before training, from the part of a log that exists.
fn baselines(trajectory: &Trajectory) -> HashMap<String, Baseline> {
    trajectory
        .records
        .iter()
        .filter(|r| (r.stamp.epoch, r.stamp.step) == (0, 0))
        .filter_map(|r| {
            let sigma = r.values.as_ref()?.sigma_mp?;
            Some((
                r.layer.clone(),
                Baseline {
                    sigma2: sigma * sigma,
                },
            ))
        })
        .collect()
}
