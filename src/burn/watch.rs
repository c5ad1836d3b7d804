//! The wrapper of a burn model that observes its training.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ::burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, ParamGroup};
use ::burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use ::burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use ::burn::store::{ModuleRecord, RecordError};
use ::burn::tensor::Device;
use ::burn::train::{InferenceStep, TrainOutput, TrainStep};

use super::epochs::{Action, Beginning, EpochTracker, Event};
use crate::monitor::{Monitor, Snapshot};

/// A model that the monitor watches. For burn it acts as the model: it has the same parameters, the
/// same names in checkpoints, and the same optimiser steps.
///
/// The wrapper detects the end of an epoch from the calls of burn's learner. The learner calls
/// `valid()` on the model and then runs the validation batches. The snapshot is taken at `valid()`
/// and submitted at the first validation batch. An epoch that was interrupted is therefore not
/// counted.
#[derive(Clone)]
pub struct Monitored<M> {
    model: M,
    monitor: Monitor,
    /// Number of optimiser steps of this copy. Stored by value, because under data parallelism
    /// every copy counts its own steps.
    steps: u64,
    /// Whether a checkpoint was loaded into the model.
    loaded: bool,
    progress: Arc<Mutex<Progress>>,
}

/// State that all copies of a watched model share.
struct Progress {
    tracker: EpochTracker,
    /// The snapshot whose stamp is not known yet.
    held: Option<Snapshot>,
}

impl<M: Module> Monitored<M> {
    pub(super) fn new(model: M, monitor: Monitor) -> Self {
        let tracker = EpochTracker::new(monitor.cadence());
        let held = None;
        Self {
            model,
            monitor,
            steps: 0,
            loaded: false,
            progress: Arc::new(Mutex::new(Progress { tracker, held })),
        }
    }

    /// The watched model.
    pub fn inner(&self) -> &M {
        &self.model
    }

    /// The model without the wrapper.
    pub fn into_inner(self) -> M {
        self.model
    }

    fn rewrap(self, change: impl FnOnce(M) -> M) -> Self {
        Self {
            model: change(self.model),
            ..self
        }
    }

    /// Reports an event to the tracker, and executes the actions that it returns.
    fn report(&self, event: Event) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in progress.tracker.step(event) {
                match action {
                    Action::Start => {
                        progress.held = self.monitor.snapshot(0, &self.model);
                        next = Some(Event::Started {
                            beginning: self.beginning(progress.held.as_ref()),
                            taken: progress.held.is_some(),
                        });
                    }
                    Action::TakeSnapshot { within_budget, .. }
                        if within_budget && !self.monitor.within_budget() =>
                    {
                        next = Some(Event::Refused);
                    }
                    Action::TakeSnapshot { epoch, .. } => {
                        progress.held = self.monitor.snapshot(epoch, &self.model);
                        next = Some(match progress.held {
                            Some(_) => Event::Taken,
                            None => Event::NotTaken,
                        });
                    }
                    Action::Submit(stamp) => {
                        if let Some(snapshot) = progress.held.take() {
                            self.monitor.submit(stamp, snapshot);
                        }
                    }
                    Action::UncountOverBudget => self.monitor.uncount_over_budget(),
                    Action::ResumeFrom(stamp) => self.monitor.resume_from(Some(stamp)),
                    Action::Notice { epoch, event } => self.monitor.event(epoch, event),
                }
            }
        }
    }

    /// Where the initial weights come from. The log of a continued run may have them.
    fn beginning(&self, initial: Option<&Snapshot>) -> Beginning {
        let monitor = &self.monitor;
        if let Some(epoch) = monitor.starting_epoch() {
            let logged = monitor.with_trajectory(|t| {
                let mut stamps = t.summaries().iter().map(|s| s.stamp);
                stamps.find(|s| s.epoch == epoch)
            });
            Beginning::Told { epoch, logged }
        } else if monitor.is_resumed() {
            let last = monitor.with_trajectory(|t| t.summaries().last().map(|s| s.stamp));
            Beginning::Resumed {
                recognised: initial.and_then(|s| monitor.find_weights(&s.tensors)),
                last: last.unwrap_or_default(),
            }
        } else {
            Beginning::New {
                loaded: self.loaded,
            }
        }
    }
}

impl<M: TrainStep + Module> TrainStep for Monitored<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> TrainOutput<Self::Output> {
        self.model.step(item)
    }

    fn optimize(
        mut self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        // The forward pass has already initialised the weights, in the model's own order.
        self.report(Event::StepBegins { step: self.steps });
        self.model = self.model.optimize(optim, lr_module, grads);
        self.steps += 1;
        self.report(Event::StepEnded { step: self.steps });
        self
    }

    fn optimize_multi(
        mut self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        // The forward pass has already initialised the weights, in the model's own order.
        self.report(Event::StepBegins { step: self.steps });
        self.model = self.model.optimize_multi(optim, lr_module, grads);
        self.steps += 1;
        self.report(Event::StepEnded { step: self.steps });
        self
    }
}

impl<M: InferenceStep + Module> InferenceStep for Monitored<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> Self::Output {
        self.report(Event::Inference { step: self.steps });
        self.model.step(item)
    }
}

/// All methods delegate to the model, and paths get no prefix. Checkpoints therefore fit the model
/// without the wrapper.
impl<M: Module> Module for Monitored<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.model.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.rewrap(|model| model.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.rewrap(|model| model.to_device(device))
    }

    fn train(self) -> Self {
        self.rewrap(M::train)
    }

    fn valid(&self) -> Self {
        self.report(Event::Valid { step: self.steps });
        Self {
            model: self.model.valid(),
            monitor: self.monitor.clone(),
            steps: self.steps,
            loaded: self.loaded,
            progress: Arc::clone(&self.progress),
        }
    }

    fn materialize(self) -> Self {
        self.rewrap(M::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.model.visit(visitor);
    }

    fn map<T: ModuleMapper>(self, mapper: &mut T) -> Self {
        self.rewrap(|model| model.map(mapper))
    }

    fn into_record(self) -> ModuleRecord {
        self.model.into_record()
    }

    fn into_record_group(self, group: ParamGroup) -> ModuleRecord {
        self.model.into_record_group(group)
    }

    fn try_load_record(self, record: ModuleRecord) -> Result<Self, RecordError> {
        Ok(Self {
            model: self.model.try_load_record(record)?,
            loaded: true,
            ..self
        })
    }
}

impl<M: fmt::Debug> fmt::Debug for Monitored<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)
    }
}

impl<M: fmt::Display> fmt::Display for Monitored<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.model.fmt(f)
    }
}
