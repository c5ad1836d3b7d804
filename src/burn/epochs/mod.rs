//! Tells from the calls of burn's learner where epochs end, and when to take a snapshot.
//!
//! burn takes `valid()` of the model when an epoch's training is over, and then runs the validation
//! batches. It also takes `valid()` for its result, even if the training was interrupted within an
//! epoch. So `valid()` alone does not prove that an epoch has ended. The snapshot is taken there,
//! and is held until the next call tells whether the epoch counts.
//!
//! [`EpochTracker`] is pure: it takes an [`Event`] and returns [`Action`]s. It copies nothing,
//! locks nothing and knows no type of burn, so all orders of events are tested without burn.
//! `watch.rs` carries the actions out.
//!
//! Each copy of the model counts its own optimiser steps: `s` is the step of the copy that was
//! called. `end` is the step at which the last epoch ended, 0 before the first. *Release* means
//! `Submit` of the snapshot that is held, if it is of step s or earlier.
//!
//! | state                | event          | condition        | actions                                     | next state       |
//! | -------------------- | -------------- | ---------------- | ------------------------------------------- | ---------------- |
//! | `NotStarted`         | `StepBegins`   |                  | `Start`                                     | the same         |
//! | `NotStarted`         | `Started`      |                  | `Notice`?, `ResumeFrom`?, `Submit` if taken | `Training`       |
//! | `Training`           | `StepBegins` s |                  | release                                     | the same         |
//! | `Training`           | `Valid` s      | s > end          | `TakeSnapshot` if the cadence asks          | `EpochPending` s |
//! | `Training`           | `Valid` s      | s = end          | if unobserved: `Reimburse`?, `TakeSnapshot` | the same         |
//! | `EpochPending` p     | `StepBegins` s | s ≥ p            | `Notice`?, *the epoch ends*                 | `Training`       |
//! | `EpochPending` p     | `StepBegins` s | s < p            | release                                     | the same         |
//! | `EpochPending` p     | `Inference` s  | s = p            | *the epoch ends*                            | `Training`       |
//! | `EpochPending` p     | `Valid` s      | s ≥ p            | *the epoch ends*, then as in `Training`     | as in `Training` |
//! | all but `NotStarted` | `StepEnded` s  | the cadence asks | release, `TakeSnapshot`                     | the same         |
//! | all but `NotStarted` | `Taken`        | s = end          | `Submit`                                    | the same         |
//! | all but `NotStarted` | `Taken`        | s ≠ end          | none: the snapshot is held                  | the same         |
//!
//! *The epoch ends*: its number and its step are counted, and the snapshot that is held is
//! submitted. The cadence asks for a step once, however many copies end it. `Refused` and
//! `NotTaken` are remembered. Whatever the table does not name changes nothing.
//!
//! Two things cannot be told apart from outside. A user who calls `valid()` within an epoch and
//! trains on ends an epoch there. A user who runs inference on the result of an interrupted
//! training, still watched, makes its last epoch count.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::monitor::Cadence;
use crate::record::{self, Stamp};

/// What happened to the model, or the answer to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// An optimiser step begins on a copy that has taken `step` steps.
    StepBegins { step: u64 },
    /// An optimiser step has ended; the copy has taken `step` steps now.
    StepEnded { step: u64 },
    /// `valid()` was taken of the model.
    Valid { step: u64 },
    /// The model ran a batch without training.
    Inference { step: u64 },
    /// Answers [`Action::Start`].
    Started {
        /// What the weights are.
        beginning: Beginning,
        /// Whether a snapshot could be taken.
        taken: bool,
    },
    /// Answers [`Action::TakeSnapshot`]: it was taken and is kept.
    Taken,
    /// Answers [`Action::TakeSnapshot`]: the budget does not allow it.
    Refused,
    /// Answers [`Action::TakeSnapshot`]: the weights could not be taken.
    NotTaken,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Take a snapshot of the initial weights, find out what they are, and answer with
    /// [`Event::Started`].
    Start,
    /// Take a snapshot, keep it until [`Action::Submit`], and answer.
    TakeSnapshot {
        /// The epoch to name if that fails.
        epoch: usize,
        /// Whether to ask the budget first.
        within_budget: bool,
    },
    /// Hand over the snapshot that is kept.
    Submit(Stamp),
    /// The observation that the budget refused last is made after all.
    Reimburse,
    /// The log goes on from this observation, although its weights are others.
    ResumeFrom(Stamp),
    /// Record what the reader of the log should know.
    Notice {
        epoch: Option<usize>,
        event: record::Event,
    },
}

/// What the weights are at which a training begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A new log begins.
    New {
        /// Whether the weights come from a checkpoint.
        loaded: bool,
    },
    /// The user said how many epochs are finished.
    Told {
        epoch: usize,
        /// The log's observation of that epoch.
        logged: Option<Stamp>,
    },
    /// A log is continued.
    Resumed {
        /// The log's observation that has these weights.
        recognised: Option<Stamp>,
        /// The log's last observation.
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

    /// What the log should know of it.
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

/// Where the training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No optimiser step has begun.
    NotStarted,
    /// Within an epoch or between two.
    Training,
    /// `valid()` was taken at this step, and nothing proves yet that an epoch ended there.
    EpochPending { step: u64 },
}

/// The newest snapshot that was asked for.
#[derive(Debug, Clone, Copy)]
struct Newest {
    step: u64,
    snapshot: Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Snapshot {
    /// Asked for, and not answered yet.
    Asked,
    /// Taken, but its stamp is not certain yet.
    Held,
    Submitted,
    /// Left out to keep within the budget.
    Refused,
    Failed,
}

/// Counts epochs and says when to copy and to submit weights. The module's table is its whole
/// logic.
#[derive(Debug)]
pub(crate) struct EpochTracker {
    cadence: Cadence,
    state: State,
    /// The stamp of the first weights.
    origin: Stamp,
    /// The stamp of the last epoch's end.
    end: Stamp,
    newest: Newest,
    /// Whether a batch was run without training.
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

    /// Take in an event. The actions are to be carried out in order.
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
                // The training goes on, and no validation batch has come.
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
        // Several copies of the model end the same step. Only the first is asked.
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
            // Before its first step a training has no result.
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

    /// The result of a training is observed even if the cadence or the budget left it out.
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
        let reimburse = refused.then_some(Action::Reimburse);
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
        // At the end of an epoch that is counted already, the stamp is certain.
        if self.stamp(step) == self.end {
            self.release(step).into_iter().collect()
        } else {
            Vec::new()
        }
    }

    /// The pending epoch has ended indeed.
    fn end_epoch(&mut self, step: u64) -> Option<Action> {
        self.state = State::Training;
        self.end.epoch += 1;
        self.end.step = self.origin.step + step;
        self.release(u64::MAX)
    }

    /// Submit the snapshot that is held, if it is of this step or an earlier one.
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

    /// The stamp of a step after the last epoch's end.
    fn stamp(&self, step: u64) -> Stamp {
        Stamp {
            epoch: self.end.epoch,
            step: self.origin.step + step,
        }
    }
}
