//! The adapter to burn: [`Monitor::watch`] for its learner, [`Monitor::observe`] for a hand-written
//! training loop, and metrics such as α for its dashboard.
//!
//! burn 0.22 has no callback with access to the model. Therefore [`Monitored`] wraps the model and
//! acts as the model for burn. It counts optimiser steps and takes a snapshot after each epoch's
//! training.

mod epochs;
mod logger;
mod metrics;
mod snapshot;
mod stopping;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::burn::module::Module;

pub use logger::MetricTee;
pub use metrics::{PhaseMetric, SpectralMetric};
pub use stopping::AlarmStopping;
pub use watch::Monitored;

use crate::monitor::{Cadence, Monitor, Snapshot};
use crate::record::{Event, Stamp};

impl Monitor {
    /// Watches a model that burn's `Learner` trains:
    /// `Learner::new(monitor.watch(model), optim, lr)`.
    ///
    /// The trained model is `result.model.into_inner()`.
    pub fn watch<M: Module>(&self, model: M) -> Monitored<M> {
        Monitored::new(model, self.clone())
    }

    /// Observes a model in a hand-written training loop, after `epoch` epochs. Epoch 0 is the
    /// initial weights. Epochs that the cadence leaves out are skipped.
    ///
    /// burn initialises parameters lazily, at their first use, with the device's random numbers.
    /// Observing never initialises a parameter, because that would change the weights that a seed
    /// gives. A model whose parameters are not initialised is not observed, and the log has a
    /// notice. Call [`initialize`] on a new model to observe its epoch 0.
    pub fn observe<M: Module>(&self, epoch: usize, model: &M) {
        if matches!(self.cadence(), Cadence::Epochs(k) if !epoch.is_multiple_of(k)) {
            return;
        }
        self.observe_at(Stamp { epoch, step: 0 }, model);
    }

    /// Observes a model after `step` optimiser steps and `epoch` finished epochs. Steps that the
    /// cadence leaves out are skipped.
    pub fn observe_step<M: Module>(&self, epoch: usize, step: u64, model: &M) {
        if matches!(self.cadence(), Cadence::Steps(k) if !step.is_multiple_of(k)) {
            return;
        }
        self.observe_at(Stamp { epoch, step }, model);
    }

    fn observe_at<M: Module>(&self, stamp: Stamp, model: &M) {
        if self.has(stamp) || !self.within_budget() {
            return;
        }
        if let Some(snapshot) = self.snapshot(stamp.epoch, model) {
            self.submit(stamp, snapshot);
        }
    }

    /// Copies the selected weights. If that fails, records the reason and returns None.
    fn snapshot<M: Module>(&self, epoch: usize, model: &M) -> Option<Snapshot> {
        // A backend may panic if it cannot read the weights. The training must continue.
        let result = catch_unwind(AssertUnwindSafe(|| snapshot::take(model, self.selection())));
        match result.unwrap_or_else(|_| Err("the backend panicked".to_owned())) {
            Ok(snapshot) => Some(snapshot),
            Err(message) => {
                self.event(Some(epoch), Event::NotObserved { message });
                None
            }
        }
    }
}

/// Initialises every parameter of a model now, in the order of declaration.
///
/// For a given seed, the weights can differ from those of lazy initialisation. They are the same
/// only if the parameters are first used in the order of declaration. To compare two runs, call
/// this in both.
pub fn initialize<M: Module>(model: &M) {
    snapshot::initialize(model);
}
