//! The handle of the background worker.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};

use super::super::budget::Cost;
use super::super::journal::{Journal, SinkFailure};
use super::super::lock;
use super::queue::{CloseOnDrop, Counts, Job, Shared};
use super::thread::{Settings, Thread};
use crate::error::{Error, Result, panic_message};
use crate::record::{Ending, Header, Line};

/// What to do with an observation when the queue is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overload {
    /// Drop the oldest waiting observation and keep the new one. The first observation of a run is
    /// never dropped.
    #[default]
    DropOldest,
    /// Drop the new observation.
    DropNewest,
    /// Block the training until the queue has room.
    Wait,
}

/// The worker thread and its queue.
pub(in crate::monitor) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Vec<SinkFailure>>>>,
    failures: Mutex<Vec<SinkFailure>>,
    /// Id of the worker thread. A user's function may call the monitor from that thread.
    id: ThreadId,
    policy: Overload,
    capacity: usize,
}

impl Worker {
    pub(in crate::monitor) fn spawn(
        header: Header,
        settings: Settings,
        journal: Journal,
        policy: Overload,
        capacity: usize,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut thread = Thread::new(&header.run, settings, journal, Arc::clone(&shared));
        let hang_up = CloseOnDrop(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("heavytail".to_owned())
            .spawn(move || {
                // Closes the queue when the thread ends, so that no caller waits for it.
                let _hang_up = hang_up;
                thread.work(Line::Header(header))
            })
            .map_err(|source| Error::Spawn { source })?;
        Ok(Self {
            shared,
            id: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
            failures: Mutex::default(),
            policy,
            capacity,
        })
    }

    pub(in crate::monitor) fn submit(&self, job: Job) {
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
                    Overload::Wait if self.on_worker_thread() => {
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
                        // Keep the first observation, because all others are compared with it.
                        let first_kept = queue.counts.observed == 0 && !queue.busy;
                        let oldest = queue
                            .jobs
                            .iter()
                            .enumerate()
                            .filter(|(_, j)| matches!(j, Job::Observe { .. }))
                            .map(|(i, _)| i)
                            .nth(usize::from(first_kept));
                        queue.counts.dropped += 1;
                        let Some(Job::Observe { snapshot, .. }) =
                            oldest.and_then(|i| queue.jobs.remove(i))
                        else {
                            return;
                        };
                        // The copy of a dropped snapshot still took time.
                        queue.spent += snapshot.seconds;
                    }
                }
            }
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_all();
    }

    fn on_worker_thread(&self) -> bool {
        std::thread::current().id() == self.id
    }

    /// Closes the queue and waits until the worker has finished.
    pub(in crate::monitor) fn close(&self, ending: Ending) {
        let mut queue = lock(&self.shared.queue);
        if !std::mem::replace(&mut queue.closed, true) {
            queue.counts.ending = ending;
        }
        drop(queue);
        self.shared.changed.notify_all();
        if self.on_worker_thread() {
            return;
        }
        // A second caller waits for this lock, and so until the end.
        if let Some(thread) = lock(&self.thread).take() {
            let failures = thread.join().unwrap_or_else(|panic| {
                vec![SinkFailure {
                    sink: "the analysis".to_owned(),
                    error: Error::Worker(panic_message(&*panic)),
                    unwritten_lines: 0,
                }]
            });
            lock(&self.failures).extend(failures);
        }
    }

    /// Waits until all jobs are done, but no longer than `patience`.
    #[cfg(feature = "burn")]
    pub(in crate::monitor) fn wait_idle(&self, patience: std::time::Duration) {
        self.shared.wait_idle(patience);
    }

    pub(in crate::monitor) fn counts(&self) -> Counts {
        self.shared.counts()
    }

    pub(in crate::monitor) fn spent(&self) -> Cost {
        let queue = lock(&self.shared.queue);
        Cost {
            total: queue.spent,
            latest: queue.latest,
            waiting: queue.waiting() + usize::from(queue.busy),
        }
    }

    /// Counts an observation that was left out to keep within the budget.
    pub(in crate::monitor) fn count_over_budget(&self) {
        lock(&self.shared.queue).counts.over_budget += 1;
    }

    #[cfg(feature = "burn")]
    pub(in crate::monitor) fn uncount_over_budget(&self) {
        let counts = &mut lock(&self.shared.queue).counts;
        counts.over_budget = counts.over_budget.saturating_sub(1);
    }

    pub(in crate::monitor) fn take_failures(&self) -> Vec<SinkFailure> {
        std::mem::take(&mut lock(&self.failures))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close(match std::thread::panicking() {
            true => Ending::Panicked,
            false => Ending::Dropped,
        });
    }
}
