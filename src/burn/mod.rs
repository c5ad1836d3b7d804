//! The bridge to burn: [`Monitor::watch`] for its learner, [`Monitor::observe`] for a loop of one's
//! own, and α among the metrics of its dashboard.
//!
//! burn 0.22 has no callback that carries the model, so [`Monitored`] wraps the model: it *is* the
//! model to burn, counts optimiser steps, and takes a snapshot when an epoch's training is over.

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
    /// Watch a model that burn's `Learner` trains: `Learner::new(monitor.watch(model), optim, lr)`.
    ///
    /// The trained model is `result.model.into_inner()`.
    pub fn watch<M: Module>(&self, model: M) -> Monitored<M> {
        Monitored::new(model, self.clone())
    }

    /// Observe the model of a loop of one's own after `epoch` epochs; 0 is the initial weights.
    /// Epochs that the cadence leaves out are skipped.
    ///
    /// burn initialises parameters lazily, in the order of their first use, from the device's
    /// random numbers. Observing never initialises one, since that would change what a seed gives:
    /// a model whose parameters are not initialised yet is not observed, and the log says so. Call
    /// [`initialize`] on a new model to observe its epoch 0.
    pub fn observe<M: Module>(&self, epoch: usize, model: &M) {
        if matches!(self.cadence(), Cadence::Epochs(k) if !epoch.is_multiple_of(k)) {
            return;
        }
        self.observe_at(Stamp { epoch, step: 0 }, model);
    }

    /// Observe the model after `step` optimiser steps, `epoch` epochs of which are finished. Steps
    /// that the cadence leaves out are skipped.
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

    /// Copy the selected weights, or record why that was not possible.
    fn snapshot<M: Module>(&self, epoch: usize, model: &M) -> Option<Snapshot> {
        // A backend may panic where it cannot read; the training shall not.
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

/// Initialise every parameter of a model now, in the order of declaration.
///
/// With a seed, the weights are those of a model that is used without this only if its parameters
/// are first used in that order too; call it in both runs to compare two.
pub fn initialize<M: Module>(model: &M) {
    snapshot::initialize(model);
}
