use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, ParamGroup};
use ::burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use ::burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use ::burn::store::{ModuleRecord, RecordError};
use ::burn::tensor::Device;
use ::burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::monitor::{Cadence, Monitor, Snapshot};
use crate::record::{Event, Stamp};

/// A model that is watched. To burn it is the model itself: same parameters, same names in
/// checkpoints, same steps.
///
/// What burn's learner does tells where an epoch ends: it takes `valid()` of the model, then runs
/// the validation batches. The snapshot is taken at the first and counts from the second on, so an
/// epoch that was interrupted in the middle is not mistaken for a whole one.
#[derive(Clone)]
pub struct Monitored<M> {
    model: M,
    monitor: Monitor,
    /// Optimiser steps of this copy. By value: under data parallelism every copy counts its own.
    steps: u64,
    /// Whether a record was loaded into it.
    loaded: bool,
    progress: Arc<Mutex<Progress>>,
}

/// What all copies of a watched model share.
#[derive(Default)]
struct Progress {
    started: bool,
    /// Where a resumed run continues.
    origin: Stamp,
    /// Epochs finished since `origin`, and the step at which the last one ended.
    epochs: usize,
    epoch_step: u64,
    pending: Option<Pending>,
    step_snapshot: Option<(u64, Snapshot)>,
    /// Step of the last observation.
    observed: Option<u64>,
    /// Step of the last one that the budget left out.
    spared: Option<u64>,
    validated: bool,
}

/// The end of an epoch, until it is certain.
struct Pending {
    step: u64,
    snapshot: Option<Snapshot>,
}

impl<M: Module> Monitored<M> {
    pub(super) fn new(model: M, monitor: Monitor) -> Self {
        Self {
            model,
            monitor,
            steps: 0,
            loaded: false,
            progress: Arc::default(),
        }
    }

    /// The watched model.
    pub fn inner(&self) -> &M {
        &self.model
    }

    /// The model, no longer watched.
    pub fn into_inner(self) -> M {
        self.model
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rewrap(self, change: impl FnOnce(M) -> M) -> Self {
        Self {
            model: change(self.model),
            ..self
        }
    }

    /// Before an optimiser step: the first one sees the initial weights, which the forward pass
    /// has initialised in its own order.
    fn before_step(&self) {
        let mut progress = self.progress();
        if !std::mem::replace(&mut progress.started, true) {
            self.start(&mut progress);
        }
        if progress
            .pending
            .as_ref()
            .is_some_and(|p| p.step <= self.steps)
        {
            // The training goes on and no validation batch has come.
            if !progress.validated && progress.epochs == 0 {
                self.monitor.event(None, Event::NoValidation);
            }
            self.commit(&mut progress);
        }
        self.submit_step(&mut progress);
    }

    fn start(&self, progress: &mut Progress) {
        let Some(snapshot) = self.monitor.snapshot(0, &self.model) else {
            return;
        };
        if let Some(epoch) = self.monitor.starting_epoch() {
            let known = self.monitor.with_trajectory(|t| {
                let mut stamps = t.summaries.iter().map(|s| s.stamp);
                stamps.find(|s| s.epoch == epoch)
            });
            progress.origin = known.unwrap_or(Stamp::of_epoch(epoch));
        } else if self.monitor.is_resumed() {
            let known = self.monitor.recognise(&snapshot.tensors);
            progress.origin = known.unwrap_or_else(|| {
                let last = self
                    .monitor
                    .with_trajectory(|t| t.summaries.last().map(|s| s.stamp));
                let last = last.unwrap_or_default();
                self.monitor.event(Some(last.epoch), Event::UnknownWeights);
                self.monitor.resume_from(Some(last));
                last
            });
        }
        if self.loaded && progress.origin == Stamp::default() && !self.monitor.is_resumed() {
            self.monitor.event(None, Event::LoadedCheckpoint);
        }
        progress.observed = Some(0);
        self.monitor.submit(progress.origin, snapshot);
    }

    fn after_step(&self) {
        if let Cadence::Steps(k) = self.monitor.cadence() {
            let mut progress = self.progress();
            let stamp = progress.stamp(self.steps);
            let due = stamp.step.is_multiple_of(k) && progress.observed < Some(self.steps);
            if due && self.monitor.affords() {
                progress.observed = Some(self.steps);
                let snapshot = self.monitor.snapshot(stamp.epoch, &self.model);
                progress.step_snapshot = snapshot.map(|s| (self.steps, s));
            }
        }
    }

    /// The learner takes the model for validation, or for its result.
    fn at_valid(&self) {
        let mut progress = self.progress();
        if self.steps == 0 {
            return;
        }
        if progress
            .pending
            .as_ref()
            .is_some_and(|p| p.step == self.steps)
        {
            // Twice at the same step: the run ends, and there were no validation batches.
            self.commit(&mut progress);
        }
        if self.steps == progress.epoch_step {
            // The result of a run whose last epoch the cadence left out.
            if progress.observed < Some(self.steps) {
                let stamp = progress.stamp(self.steps);
                if progress.spared == Some(self.steps) {
                    self.monitor.affords_after_all();
                }
                self.observe(&mut progress, stamp, None);
            }
        } else if self.steps > progress.epoch_step {
            let epoch = progress.origin.epoch + progress.epochs + 1;
            let due =
                matches!(self.monitor.cadence(), Cadence::Epochs(k) if epoch.is_multiple_of(k));
            let affords = due && self.monitor.affords();
            if due && !affords {
                progress.spared = Some(self.steps);
            }
            progress.pending = Some(Pending {
                step: self.steps,
                snapshot: affords
                    .then(|| self.monitor.snapshot(epoch, &self.model))
                    .flatten(),
            });
        }
    }

    fn at_inference(&self) {
        let mut progress = self.progress();
        progress.validated = true;
        if progress
            .pending
            .as_ref()
            .is_some_and(|p| p.step == self.steps)
        {
            self.commit(&mut progress);
        }
    }

    /// The pending epoch has ended indeed.
    fn commit(&self, progress: &mut Progress) {
        if let Some(Pending { step, snapshot }) = progress.pending.take() {
            progress.epochs += 1;
            progress.epoch_step = step;
            self.submit_step(progress);
            if snapshot.is_some() {
                let stamp = progress.stamp(step);
                progress.observed = Some(step);
                self.observe(progress, stamp, snapshot);
            }
        }
    }

    /// A step's snapshot waits until it is known whether the step ended an epoch.
    fn submit_step(&self, progress: &mut Progress) {
        if let Some((step, snapshot)) = progress.step_snapshot.take() {
            self.monitor.submit(progress.stamp(step), snapshot);
        }
    }

    fn observe(&self, progress: &mut Progress, stamp: Stamp, snapshot: Option<Snapshot>) {
        progress.observed = progress.observed.max(Some(self.steps));
        if let Some(snapshot) = snapshot.or_else(|| self.monitor.snapshot(stamp.epoch, &self.model))
        {
            self.monitor.submit(stamp, snapshot);
        }
    }
}

impl Progress {
    fn stamp(&self, step: u64) -> Stamp {
        Stamp {
            epoch: self.origin.epoch + self.epochs,
            step: self.origin.step + step,
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
        self.before_step();
        self.model = self.model.optimize(optim, lr_module, grads);
        self.steps += 1;
        self.after_step();
        self
    }

    fn optimize_multi(
        mut self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        self.before_step();
        self.model = self.model.optimize_multi(optim, lr_module, grads);
        self.steps += 1;
        self.after_step();
        self
    }
}

impl<M: InferenceStep + Module> InferenceStep for Monitored<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: Self::Input) -> Self::Output {
        self.at_inference();
        self.model.step(item)
    }
}

/// Everything is the model's own: no path gets a prefix, so records fit the bare model.
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
        self.at_valid();
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
