use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
#[cfg(feature = "burn")]
use std::time::Duration;

use super::budget::Spent;
use super::desk::{Desk, Manner};
use super::{Snapshot, lock};
use crate::error::{Error, Result, panic_message};
use crate::record::{Header, Line, Stamp};
use crate::sink::Sink;
use crate::trajectory::Trajectory;

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
    Observe {
        stamp: Stamp,
        snapshot: Snapshot,
    },
    Line(Box<Line>),
    Number {
        epoch: usize,
        name: String,
        value: f64,
    },
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub observed: usize,
    pub deferred: usize,
    pub dropped: usize,
    /// Left out to keep within the budget.
    pub spared: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// A job is in work, and whether it is an observation.
    working: bool,
    busy: bool,
    closed: bool,
    counts: Counts,
    /// Wall time of all analyses and of the latest one, in seconds.
    spent: f64,
    latest: Option<f64>,
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
    /// A line from a thread of ours, and what it took; taken also while the worker closes.
    pub(super) fn line(&self, line: Line, seconds: f64) {
        let mut queue = lock(&self.queue);
        queue.spent += seconds;
        queue.jobs.push_back(Job::Line(Box::new(line)));
        drop(queue);
        self.changed.notify_all();
    }

    /// The next job, or none once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        queue.working = false;
        self.changed.notify_all();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.working = true;
                queue.busy = matches!(job, Job::Observe { .. });
                drop(queue);
                self.changed.notify_all();
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.queue).jobs.is_empty()
    }

    /// An observation is done, and took so many seconds unless its moment was known.
    pub(super) fn observed(&self, seconds: Option<f64>) {
        let mut queue = lock(&self.queue);
        queue.busy = false;
        if let Some(seconds) = seconds {
            queue.counts.observed += 1;
            queue.spent += seconds;
            queue.latest = Some(seconds);
        }
        drop(queue);
        self.changed.notify_all();
    }

    pub(super) fn failed(&self, error: Error) {
        lock(&self.queue).first_error.get_or_insert(error);
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.queue).counts
    }
}

struct HangUp(Arc<Shared>);

impl Drop for HangUp {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        (queue.closed, queue.working, queue.busy) = (true, false, false);
        queue.jobs.clear();
        drop(queue);
        self.0.changed.notify_all();
    }
}

/// The thread that analyses, and the queue before it.
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Its own, for a user's closure may call the monitor from there.
    id: ThreadId,
    policy: Overload,
    capacity: usize,
}

impl Worker {
    pub(super) fn spawn(
        header: Header,
        manner: Manner,
        sinks: Vec<Box<dyn Sink>>,
        state: Arc<Mutex<Trajectory>>,
        policy: Overload,
        capacity: usize,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut desk = Desk::new(&header.run, manner, state, sinks, Arc::clone(&shared));
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
            id: thread.thread().id(),
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
                    Overload::Wait if self.is_here() => {
                        queue.counts.dropped += 1;
                        return;
                    }
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
                        let Some(Job::Observe { snapshot, .. }) =
                            victim.and_then(|i| queue.jobs.remove(i))
                        else {
                            return;
                        };
                        // Copying it was not free.
                        queue.spent += snapshot.seconds;
                    }
                }
            }
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_all();
    }

    fn is_here(&self) -> bool {
        std::thread::current().id() == self.id
    }

    /// Let the worker finish what waits, and wait for it.
    pub(super) fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.changed.notify_all();
        if self.is_here() {
            return;
        }
        // Whoever comes second waits for the lock, and so for the end.
        if let Some(thread) = lock(&self.thread).take()
            && let Err(panic) = thread.join()
        {
            let mut queue = lock(&self.shared.queue);
            queue
                .first_error
                .get_or_insert(Error::Worker(panic_message(&*panic)));
        }
    }

    /// Wait until nothing is left to do, but no longer than `patience`.
    #[cfg(feature = "burn")]
    pub(super) fn wait_idle(&self, patience: Duration) {
        let queue = lock(&self.shared.queue);
        let busy = |q: &mut Queue| q.working || !q.jobs.is_empty();
        // Whether it timed out makes no difference to the caller.
        let _ = self
            .shared
            .changed
            .wait_timeout_while(queue, patience, busy);
    }

    pub(super) fn counts(&self) -> Counts {
        self.shared.counts()
    }

    pub(super) fn spent(&self) -> Spent {
        let queue = lock(&self.shared.queue);
        Spent {
            total: queue.spent,
            latest: queue.latest,
            waiting: queue.waiting() + usize::from(queue.busy),
        }
    }

    /// An observation was left out to keep within the budget.
    pub(super) fn spare(&self) {
        lock(&self.shared.queue).counts.spared += 1;
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
