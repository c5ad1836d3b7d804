//! Determines from the calls of burn's learner when epochs end, and when to take a snapshot.
//!
//! burn calls `valid()` on the model when an epoch's training is over, and then runs the validation
//! batches. burn also calls `valid()` for its result, even if the training was interrupted within
//! an epoch. So `valid()` alone does not prove that an epoch has ended. The snapshot is taken at
//! `valid()` and held until the next call shows whether the epoch counts.
//!
//! [`EpochTracker`] is pure: it takes an [`Event`] and returns [`Action`]s. It copies nothing,
//! locks nothing and uses no type of burn, so all orders of events can be tested without burn.
//! `watch.rs` executes the actions.
//!
//! Each copy of the model counts its own optimiser steps: `s` is the step of the copy that was
//! called. `end` is the step at which the last epoch ended, 0 before the first. *Release* means
//! `Submit` of the held snapshot, if it is of step s or earlier.
//!
//! | state | event | condition | actions | next state |
//! | ----- | ----- | --------- | ------- | ---------- |
//! | `NotStarted` | `StepBegins` | | `Start` | the same |
//! | `NotStarted` | `Started` | | `Notice`?, `ResumeFrom`?, `Submit` if taken | `Training` |
//! | `Training` | `StepBegins` s | | release | the same |
//! | `Training` | `Valid` s | s > end | `TakeSnapshot` if the cadence asks | `EpochPending` s |
//! | `Training` | `Valid` s | s = end | unobserved: `UncountOverBudget`?, `TakeSnapshot` | the same |
//! | `EpochPending` p | `StepBegins` s | s ≥ p | `Notice`?, *the epoch ends* | `Training` |
//! | `EpochPending` p | `StepBegins` s | s < p | release | the same |
//! | `EpochPending` p | `Inference` s | s = p | *the epoch ends* | `Training` |
//! | `EpochPending` p | `Valid` s | s ≥ p | *the epoch ends*, then as `Training` | as `Training` |
//! | all but `NotStarted` | `StepEnded` s | the cadence asks | release, `TakeSnapshot` | the same |
//! | all but `NotStarted` | `Taken` | s = end | `Submit` | the same |
//! | all but `NotStarted` | `Taken` | s ≠ end | none: the snapshot is held | the same |
//!
//! *The epoch ends* means: the tracker counts its number and its step, and submits the held
//! snapshot. The cadence asks for each step once, even if several copies end it. The tracker
//! remembers `Refused` and `NotTaken`. An event that is not in the table changes nothing.
//!
//! Two cases cannot be detected from outside. If a user calls `valid()` within an epoch and
//! continues to train, an epoch ends there. If a user runs inference on the watched result of an
//! interrupted training, its last epoch counts.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::monitor::Cadence;
use crate::record::{self, Stamp};

/// An event of the model, or the answer to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// An optimiser step begins on a copy that has done `step` steps.
    StepBegins { step: u64 },
    /// An optimiser step ended on a copy that has now done `step` steps.
    StepEnded { step: u64 },
    /// `valid()` was called on the model.
    Valid { step: u64 },
    /// The model ran a batch without training.
    Inference { step: u64 },
    /// Answers [`Action::Start`].
    Started {
        /// Where the weights come from.
        beginning: Beginning,
        /// Whether a snapshot was taken.
        taken: bool,
    },
    /// Answers [`Action::TakeSnapshot`]: the snapshot was taken and is held.
    Taken,
    /// Answers [`Action::TakeSnapshot`]: the snapshot does not fit into the budget.
    Refused,
    /// Answers [`Action::TakeSnapshot`]: the weights could not be copied.
    NotTaken,
}

/// A request to the wrapper. Actions are executed in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Take a snapshot of the initial weights, determine where they come from, and answer with
    /// [`Event::Started`].
    Start,
    /// Take a snapshot, hold it until [`Action::Submit`], and answer.
    TakeSnapshot {
        /// The epoch of the notice if the copy fails.
        epoch: usize,
        /// Whether the snapshot must fit into the budget.
        within_budget: bool,
    },
    /// Submit the held snapshot.
    Submit(Stamp),
    /// The last observation that did not fit into the budget is made after all.
    UncountOverBudget,
    /// Continue the log after this observation, although it has other weights.
    ResumeFrom(Stamp),
    /// Record a notice.
    Notice {
        epoch: Option<usize>,
        event: record::Event,
    },
}

/// Where the first weights of a training come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A new log starts.
    New {
        /// Whether the weights come from a checkpoint.
        loaded: bool,
    },
    /// The user gave the number of finished epochs.
    Told {
        epoch: usize,
        /// The observation of that epoch in the log.
        logged: Option<Stamp>,
    },
    /// A log continues.
    Resumed {
        /// The observation in the log that has these weights.
        recognised: Option<Stamp>,
        /// The last observation in the log.
        last: Stamp,
    },
}

impl Beginning {
    /// The stamp of the first weights.
    fn origin(self) -> Stamp {
        match self {
            Self::New { .. } => Stamp::default(),
            Self::Told { epoch, logged } => logged.unwrap_or(Stamp::from_epoch(epoch)),
            Self::Resumed { recognised, last } => recognised.unwrap_or(last),
        }
    }

    /// The actions at the start of the training.
    fn actions(self) -> Vec<Action> {
        match self {
            Self::New { loaded: true } => vec![Action::Notice {
                epoch: None,
                event: record::Event::LoadedCheckpoint,
            }],
            Self::Resumed {
                recognised: None,
                last,
            } => vec![
                Action::Notice {
                    epoch: Some(last.epoch),
                    event: record::Event::UnknownWeights,
                },
                Action::ResumeFrom(last),
            ],
            _ => Vec::new(),
        }
    }
}

/// State of the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No optimiser step has started.
    NotStarted,
    /// The training is within an epoch or between two.
    Training,
    /// `valid()` was called at this step, but the end of an epoch is not certain.
    EpochPending { step: u64 },
}

/// The snapshot that was requested last.
#[derive(Debug, Clone, Copy)]
struct Newest {
    step: u64,
    snapshot: Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Snapshot {
    /// Requested, and not answered yet.
    Asked,
    /// Taken, but with an uncertain stamp.
    Held,
    Submitted,
    /// Not taken, to keep within the budget.
    Refused,
    Failed,
}

/// Counts epochs, and requests copies and submissions of weights. The table in the module's
/// documentation is its complete logic.
#[derive(Debug)]
pub(crate) struct EpochTracker {
    cadence: Cadence,
    state: State,
    /// Stamp of the first weights.
    origin: Stamp,
    /// Stamp of the last epoch's end.
    end: Stamp,
    newest: Newest,
    /// Whether an inference batch has run.
    validated: bool,
}

impl EpochTracker {
    pub(crate) fn new(cadence: Cadence) -> Self {
        Self {
            cadence,
            state: State::NotStarted,
            origin: Stamp::default(),
            end: Stamp::default(),
            newest: Newest {
                step: 0,
                snapshot: Snapshot::Failed,
            },
            validated: false,
        }
    }

    /// Processes an event. The caller must execute the actions in order.
    pub(crate) fn step(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::StepBegins { step } => self.step_begins(step),
            Event::StepEnded { step } => self.step_ended(step),
            Event::Valid { step } => self.valid(step),
            Event::Inference { step } => self.inference(step),
            Event::Started { beginning, taken } => self.started(beginning, taken),
            Event::Taken => self.answered(Snapshot::Held),
            Event::Refused => self.answered(Snapshot::Refused),
            Event::NotTaken => self.answered(Snapshot::Failed),
        }
    }

    fn started(&mut self, beginning: Beginning, taken: bool) -> Vec<Action> {
        if self.state != State::NotStarted {
            return Vec::new();
        }
        let origin = beginning.origin();
        (self.origin, self.end) = (origin, origin);
        self.state = State::Training;
        let mut actions = beginning.actions();
        if taken {
            self.newest.snapshot = Snapshot::Submitted;
            actions.push(Action::Submit(origin));
        }
        actions
    }

    fn step_begins(&mut self, step: u64) -> Vec<Action> {
        match self.state {
            State::NotStarted => vec![Action::Start],
            State::EpochPending { step: pending } if step >= pending => {
                // The training continues without a validation batch.
                let first = self.end.epoch == self.origin.epoch;
                let notice = (first && !self.validated).then_some(Action::Notice {
                    epoch: None,
                    event: record::Event::NoValidation,
                });
                notice.into_iter().chain(self.end_epoch(pending)).collect()
            }
            State::Training | State::EpochPending { .. } => {
                self.release(step).into_iter().collect()
            }
        }
    }

    fn step_ended(&mut self, step: u64) -> Vec<Action> {
        let at = self.stamp(step).step;
        let due = matches!(self.cadence, Cadence::Steps(k) if at.is_multiple_of(k));
        // Several copies of the model end the same step. Only the first one requests a snapshot.
        let new = step > self.newest.step && at >= self.end.step;
        if self.state == State::NotStarted || !due || !new {
            return Vec::new();
        }
        let mut actions: Vec<Action> = self.release(step).into_iter().collect();
        actions.push(self.ask(step, self.end.epoch, true));
        actions
    }

    fn valid(&mut self, step: u64) -> Vec<Action> {
        let ended = match self.state {
            State::EpochPending { step: pending } if step >= pending => self.end_epoch(pending),
            State::Training => None,
            State::NotStarted | State::EpochPending { .. } => return Vec::new(),
        };
        let mut actions: Vec<Action> = ended.into_iter().collect();
        match self.stamp(step).step.cmp(&self.end.step) {
            Ordering::Less => {}
            // Before its first step, a training has no result.
            Ordering::Equal if step == 0 => {}
            Ordering::Equal => actions.extend(self.result(step)),
            Ordering::Greater => {
                self.state = State::EpochPending { step };
                let epoch = self.end.epoch + 1;
                if matches!(self.cadence, Cadence::Epochs(k) if epoch.is_multiple_of(k)) {
                    actions.push(self.ask(step, epoch, true));
                }
            }
        }
        actions
    }

    /// Requests a snapshot of the training's result, even if the cadence or the budget left it out.
    fn result(&mut self, step: u64) -> Vec<Action> {
        let refused = match self.newest {
            Newest { step: newest, .. } if newest < step => false,
            Newest { step: newest, .. } if newest > step => return Vec::new(),
            Newest { snapshot, .. } => match snapshot {
                Snapshot::Refused => true,
                Snapshot::Failed => false,
                Snapshot::Asked | Snapshot::Held | Snapshot::Submitted => return Vec::new(),
            },
        };
        let reimburse = refused.then_some(Action::UncountOverBudget);
        let ask = self.ask(step, self.end.epoch, false);
        reimburse.into_iter().chain([ask]).collect()
    }

    fn inference(&mut self, step: u64) -> Vec<Action> {
        self.validated = true;
        match self.state {
            State::EpochPending { step: pending } if step == pending => {
                self.end_epoch(pending).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, answer: Snapshot) -> Vec<Action> {
        if self.newest.snapshot != Snapshot::Asked {
            return Vec::new();
        }
        self.newest.snapshot = answer;
        let step = self.newest.step;
        // At the end of an epoch that is already counted, the stamp is certain.
        if self.stamp(step) == self.end {
            self.release(step).into_iter().collect()
        } else {
            Vec::new()
        }
    }

    /// Counts the pending epoch as ended.
    fn end_epoch(&mut self, step: u64) -> Option<Action> {
        self.state = State::Training;
        self.end.epoch += 1;
        self.end.step = self.origin.step + step;
        self.release(u64::MAX)
    }

    /// Submits the held snapshot if it is of this step or an earlier one.
    fn release(&mut self, step: u64) -> Option<Action> {
        if self.newest.snapshot != Snapshot::Held || self.newest.step > step {
            return None;
        }
        self.newest.snapshot = Snapshot::Submitted;
        Some(Action::Submit(self.stamp(self.newest.step)))
    }

    fn ask(&mut self, step: u64, epoch: usize, within_budget: bool) -> Action {
        let snapshot = Snapshot::Asked;
        self.newest = Newest { step, snapshot };
        Action::TakeSnapshot {
            epoch,
            within_budget,
        }
    }

    /// Stamp of a step after the end of the last epoch.
    fn stamp(&self, step: u64) -> Stamp {
        Stamp {
            epoch: self.end.epoch,
            step: self.origin.step + step,
        }
    }
}
