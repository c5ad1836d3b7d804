//! The queue between the training and the worker thread.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::super::{Snapshot, lock};
use crate::record::{Ending, Line, Resumed, Stamp};

/// A job for the worker.
pub(in crate::monitor) enum Job {
    Observe {
        stamp: Stamp,
        snapshot: Snapshot,
    },
    Line(Box<Line>),
    /// The run continues from an earlier observation.
    Resume(Resumed),
    Number {
        epoch: usize,
        name: String,
        value: f64,
    },
}

#[derive(Debug, Clone, Copy, Default)]
pub(in crate::monitor) struct Counts {
    pub observed: usize,
    pub deferred: usize,
    pub dropped: usize,
    /// Number of observations that were left out to keep within the budget.
    pub over_budget: usize,
    /// How the monitor ended.
    pub ending: Ending,
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) jobs: VecDeque<Job>,
    /// Whether the worker is busy with a job, and whether that job is an observation.
    pub(super) working: bool,
    pub(super) busy: bool,
    pub(super) closed: bool,
    pub(super) counts: Counts,
    /// Wall time of all observations and of the latest one, in seconds.
    pub(super) spent: f64,
    pub(super) latest: Option<f64>,
}

impl Queue {
    /// Number of waiting observations.
    pub(super) fn waiting(&self) -> usize {
        self.jobs
            .iter()
            .filter(|j| matches!(j, Job::Observe { .. }))
            .count()
    }
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    pub(super) changed: Condvar,
}

impl Shared {
    /// Adds a line of one of the monitor's threads, and the seconds that it took. Works also after
    /// the queue was closed.
    pub(super) fn line(&self, line: Line, seconds: f64) {
        let mut queue = lock(&self.queue);
        queue.spent += seconds;
        queue.jobs.push_back(Job::Line(Box::new(line)));
        drop(queue);
        self.changed.notify_all();
    }

    /// The next job. Blocks until there is one. None once the queue is closed and empty.
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

    /// Called when an observation is done. `seconds` is its cost, or None if the log had the
    /// observation.
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

    /// Waits until all jobs are done, but no longer than `patience`.
    #[cfg(feature = "burn")]
    pub(super) fn wait_idle(&self, patience: std::time::Duration) {
        let queue = lock(&self.queue);
        let busy = |q: &mut Queue| q.working || !q.jobs.is_empty();
        // The caller does not need to know whether the wait timed out.
        let _ = self.changed.wait_timeout_while(queue, patience, busy);
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.queue).counts
    }
}

/// Closes the queue when the worker thread ends, even by a panic.
pub(super) struct CloseOnDrop(pub(super) Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        (queue.closed, queue.working, queue.busy) = (true, false, false);
        queue.jobs.clear();
        drop(queue);
        self.0.changed.notify_all();
    }
}
