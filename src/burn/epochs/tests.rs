//! Tests of selected event orders, and of all short ones.

use super::*;
use Event::{Inference, StepBegins, StepEnded, Valid};

const NEW: Beginning = Beginning::New { loaded: false };

fn stamp(epoch: usize, step: u64) -> Stamp {
    Stamp { epoch, step }
}

/// A training that executes the actions as `watch.rs` does, and checks invariants.
struct Training {
    tracker: EpochTracker,
    beginning: Beginning,
    /// The answers to `Start` and to each `TakeSnapshot`. After the last one, the answer is
    /// `Taken`.
    answers: Vec<Event>,
    asked: usize,
    /// The current step, and the step of the held snapshot.
    now: u64,
    kept: Option<u64>,
    submitted: Vec<Stamp>,
    notices: Vec<record::Event>,
    resumed_from: Option<Stamp>,
    /// Number of observations that the budget left out, and their steps.
    over_budget: usize,
    refused: Vec<u64>,
}

impl Training {
    fn new(cadence: Cadence) -> Self {
        Self {
            tracker: EpochTracker::new(cadence),
            beginning: NEW,
            answers: Vec::new(),
            asked: 0,
            now: 0,
            kept: None,
            submitted: Vec::new(),
            notices: Vec::new(),
            resumed_from: None,
            over_budget: 0,
            refused: Vec::new(),
        }
    }

    fn from(cadence: Cadence, beginning: Beginning) -> Self {
        Self {
            beginning,
            ..Self::new(cadence)
        }
    }

    fn answer(&mut self) -> Event {
        let answer = self.answers.get(self.asked).copied();
        self.asked += 1;
        answer.unwrap_or(Event::Taken)
    }

    fn send(&mut self, event: Event) {
        if let StepBegins { step } | StepEnded { step } | Valid { step } | Inference { step } =
            event
        {
            self.now = step;
        }
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for action in self.tracker.step(event) {
                assert_eq!(next, None, "nothing follows a question: {action:?}");
                match action {
                    Action::Start => {
                        let beginning = self.beginning;
                        let taken = self.answer() == Event::Taken;
                        self.kept = taken.then_some(0);
                        next = Some(Event::Started { beginning, taken });
                    }
                    Action::TakeSnapshot { within_budget, .. } => {
                        assert_eq!(self.kept, None, "a snapshot would be lost");
                        let answer = match self.answer() {
                            Event::Refused if !within_budget => Event::Taken,
                            answer => answer,
                        };
                        match answer {
                            Event::Taken => self.kept = Some(self.now),
                            Event::Refused => {
                                assert!(!self.refused.contains(&self.now), "asked twice");
                                self.refused.push(self.now);
                                self.over_budget += 1;
                            }
                            _ => {}
                        }
                        next = Some(answer);
                    }
                    Action::Submit(stamp) => self.submit(stamp),
                    Action::UncountOverBudget => {
                        assert_eq!(self.refused.pop(), Some(self.now), "not refused");
                        self.over_budget -= 1;
                    }
                    Action::ResumeFrom(stamp) => self.resumed_from = Some(stamp),
                    Action::Notice { event, .. } => self.notices.push(event),
                }
            }
        }
    }

    fn submit(&mut self, stamp: Stamp) {
        let step = self.kept.take().expect("a snapshot is there");
        assert_eq!(
            stamp.step,
            self.tracker.origin.step + step,
            "of other weights"
        );
        if let Some(last) = self.submitted.last() {
            assert!(stamp.step > last.step && stamp.epoch >= last.epoch, "back");
        }
        self.submitted.push(stamp);
    }

    fn send_all(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.send(event);
        }
    }

    /// Runs the optimiser steps from `from` to `to`.
    fn train(&mut self, from: u64, to: u64) {
        for step in from..to {
            self.send(StepBegins { step });
            self.send(StepEnded { step: step + 1 });
        }
    }

    /// Runs epochs of three steps, each with two validation batches.
    fn epochs(&mut self, epochs: std::ops::Range<u64>) {
        for epoch in epochs {
            self.train(3 * epoch, 3 * epoch + 3);
            let step = 3 * epoch + 3;
            self.send_all([Valid { step }, Inference { step }, Inference { step }]);
        }
    }

    /// Calls `valid()`, as burn does after the last epoch.
    fn result(&mut self, step: u64) {
        self.send(Valid { step });
    }

    fn stamps(&self) -> Vec<(usize, u64)> {
        self.submitted.iter().map(|s| (s.epoch, s.step)).collect()
    }
}

#[test]
fn an_epoch_counts_once_its_validation_runs() {
    let mut t = Training::new(Cadence::Epochs(1));
    t.train(0, 3);
    assert_eq!(t.stamps(), [(0, 0)]);
    t.send(Valid { step: 3 });
    assert_eq!(t.stamps(), [(0, 0)], "not certain yet");
    t.send(Inference { step: 3 });
    assert_eq!(t.stamps(), [(0, 0), (1, 3)]);
    t.epochs(1..3);
    t.result(9);
    assert_eq!(t.stamps(), [(0, 0), (1, 3), (2, 6), (3, 9)]);
    assert_eq!((t.notices, t.asked), (vec![], 4));
}

#[test]
fn the_cadence_leaves_epochs_out_but_not_the_result() {
    for (every, expected) in [
        (2, vec![(0, 0), (2, 6), (3, 9)]),
        (3, vec![(0, 0), (3, 9)]),
        (5, vec![(0, 0), (3, 9)]),
    ] {
        let mut t = Training::new(Cadence::Epochs(every));
        t.epochs(0..3);
        t.result(9);
        t.result(9);
        assert_eq!(t.stamps(), expected, "every {every} epochs");
    }
}

#[test]
fn steps_have_the_epoch_that_their_training_is_in() {
    for (every, expected) in [
        (2, vec![(0, 0), (0, 2), (1, 4), (2, 6), (2, 8), (3, 9)]),
        (3, vec![(0, 0), (1, 3), (2, 6), (3, 9)]),
        (4, vec![(0, 0), (1, 4), (2, 8), (3, 9)]),
    ] {
        let mut t = Training::new(Cadence::Steps(every));
        t.epochs(0..3);
        t.result(9);
        assert_eq!(t.stamps(), expected, "every {every} steps");
    }
}

#[test]
fn without_validation_an_epoch_ends_where_the_next_begins() {
    let mut t = Training::new(Cadence::Epochs(1));
    for epoch in 0..3 {
        t.train(3 * epoch, 3 * epoch + 3);
        t.send(Valid {
            step: 3 * epoch + 3,
        });
    }
    assert_eq!(t.stamps(), [(0, 0), (1, 3), (2, 6)]);
    // `valid()` is called twice at this step: at the end of the last epoch, and for the result.
    t.result(9);
    assert_eq!(t.stamps(), [(0, 0), (1, 3), (2, 6), (3, 9)]);
    assert_eq!(t.notices, [record::Event::NoValidation], "said once");
}

#[test]
fn without_validation_one_epoch_ends_with_the_training() {
    let mut t = Training::new(Cadence::Epochs(2));
    t.train(0, 3);
    t.send(Valid { step: 3 });
    assert_eq!(t.stamps(), [(0, 0)]);
    t.result(3);
    assert_eq!(t.stamps(), [(0, 0), (1, 3)]);
    assert_eq!(t.notices, []);
}

#[test]
fn an_interrupted_epoch_does_not_count() {
    for cadence in [Cadence::Epochs(1), Cadence::Steps(3)] {
        let mut t = Training::new(cadence);
        t.epochs(0..1);
        t.train(3, 5);
        t.result(5);
        assert_eq!(t.stamps(), [(0, 0), (1, 3)], "{cadence:?}");
    }
    let mut t = Training::new(Cadence::Epochs(1));
    t.train(0, 1);
    t.result(1);
    assert_eq!(t.stamps(), [(0, 0)]);
}

#[test]
fn a_model_that_is_not_trained_is_not_observed() {
    let mut t = Training::new(Cadence::Epochs(1));
    t.send_all([Valid { step: 0 }, Inference { step: 0 }, Valid { step: 0 }]);
    assert_eq!((t.stamps(), t.asked), (vec![], 0));
    t.send_all([StepBegins { step: 0 }, Valid { step: 0 }]);
    assert_eq!((t.stamps(), t.asked), (vec![(0, 0)], 1));
}

#[test]
fn a_resumed_training_counts_on() {
    let logged = stamp(1, 3);
    let told = |epoch, logged| Beginning::Told { epoch, logged };
    let resumed = |recognised| Beginning::Resumed {
        recognised,
        last: stamp(2, 6),
    };
    for (beginning, origin, notice) in [
        (told(1, Some(logged)), stamp(1, 3), None),
        (told(4, None), stamp(4, 0), None),
        (resumed(Some(logged)), stamp(1, 3), None),
        (
            resumed(None),
            stamp(2, 6),
            Some(record::Event::UnknownWeights),
        ),
        (Beginning::New { loaded: false }, stamp(0, 0), None),
        (
            Beginning::New { loaded: true },
            stamp(0, 0),
            Some(record::Event::LoadedCheckpoint),
        ),
    ] {
        let mut t = Training::from(Cadence::Epochs(1), beginning);
        t.epochs(0..2);
        t.result(6);
        let expected = [0, 1, 2].map(|e| (origin.epoch + e, origin.step + 3 * e as u64));
        assert_eq!(t.stamps(), expected, "{beginning:?}");
        assert_eq!(t.notices, Vec::from_iter(notice), "{beginning:?}");
        let unknown = beginning == resumed(None);
        assert_eq!(t.resumed_from, unknown.then_some(stamp(2, 6)));
    }
    // The cadence counts from the first epoch and step of the run, not of the process.
    let mut t = Training::from(Cadence::Epochs(2), resumed(Some(logged)));
    t.epochs(0..2);
    assert_eq!(t.stamps(), [(1, 3), (2, 6)]);
    let mut t = Training::from(Cadence::Steps(4), resumed(Some(logged)));
    t.epochs(0..2);
    assert_eq!(t.stamps(), [(1, 3), (1, 4), (2, 8)]);
}

#[test]
fn a_training_counts_on_even_if_its_first_weights_cannot_be_copied() {
    for (beginning, expected) in [
        (
            Beginning::Told {
                epoch: 4,
                logged: None,
            },
            [(5, 3), (6, 6)],
        ),
        (
            Beginning::Resumed {
                recognised: None,
                last: stamp(2, 6),
            },
            [(3, 9), (4, 12)],
        ),
        (NEW, [(1, 3), (2, 6)]),
    ] {
        let mut t = Training::from(Cadence::Epochs(1), beginning);
        t.answers = vec![Event::NotTaken];
        t.epochs(0..2);
        t.result(6);
        assert_eq!(t.stamps(), expected, "{beginning:?}");
    }
}

#[test]
fn a_budget_leaves_out_all_but_the_first_and_the_result() {
    for cadence in [Cadence::Epochs(1), Cadence::Steps(3)] {
        let mut t = Training::new(cadence);
        t.answers = vec![Event::Taken, Event::Refused, Event::Refused, Event::Refused];
        t.epochs(0..3);
        assert_eq!(
            (t.stamps(), t.over_budget),
            (vec![(0, 0)], 3),
            "{cadence:?}"
        );
        t.result(9);
        let expected = vec![(0, 0), (3, 9)];
        assert_eq!((t.stamps(), t.over_budget), (expected, 2), "{cadence:?}");
        t.result(9);
        assert_eq!(t.asked, 5, "{cadence:?}");
    }
    // Without validation, one call both ends the epoch and takes the result.
    let mut t = Training::new(Cadence::Epochs(1));
    t.answers = vec![Event::Taken, Event::Refused];
    t.train(0, 3);
    t.send_all([Valid { step: 3 }, Valid { step: 3 }]);
    assert_eq!((t.stamps(), t.over_budget), (vec![(0, 0), (1, 3)], 0));
}

#[test]
fn a_snapshot_that_fails_is_tried_again_for_the_result_only() {
    for cadence in [Cadence::Epochs(1), Cadence::Steps(3)] {
        let mut t = Training::new(cadence);
        t.answers = vec![Event::Taken, Event::NotTaken, Event::NotTaken];
        t.epochs(0..2);
        assert_eq!((t.stamps(), t.asked), (vec![(0, 0)], 3), "{cadence:?}");
        t.result(6);
        assert_eq!(t.stamps(), [(0, 0), (2, 6)], "{cadence:?}");
    }
}

/// Each device trains a copy that counts its own steps. Only the first copy validates.
#[test]
fn several_devices_are_observed_once() {
    for (cadence, answers, expected) in [
        (Cadence::Epochs(1), vec![], vec![(0, 0), (1, 3), (2, 6)]),
        (
            Cadence::Steps(2),
            vec![],
            vec![(0, 0), (0, 2), (1, 4), (2, 6)],
        ),
        (
            Cadence::Steps(2),
            vec![Event::Taken, Event::Refused],
            vec![(0, 0), (1, 4), (2, 6)],
        ),
    ] {
        let mut t = Training::new(cadence);
        t.answers = answers;
        for epoch in 0..2 {
            for step in 3 * epoch..3 * epoch + 3 {
                t.send_all([StepBegins { step }, StepBegins { step }]);
                t.send_all([StepEnded { step: step + 1 }, StepEnded { step: step + 1 }]);
            }
            let step = 3 * epoch + 3;
            // The second device finishes its step late, and starts the next one before validation
            // ends.
            t.send(Valid { step });
            t.send_all([StepBegins { step: step - 1 }, StepEnded { step }]);
            t.send_all([Inference { step }, StepBegins { step }, Inference { step }]);
        }
        t.result(6);
        assert_eq!(t.stamps(), expected, "{cadence:?}");
        assert_eq!(t.notices, []);
    }
}

#[test]
fn an_old_copy_ends_no_epoch() {
    let mut t = Training::new(Cadence::Epochs(1));
    t.train(0, 3);
    t.send_all([Valid { step: 3 }, Valid { step: 2 }, Inference { step: 2 }]);
    assert_eq!(t.stamps(), [(0, 0)]);
    t.send(Inference { step: 3 });
    t.send_all([Valid { step: 2 }, Inference { step: 2 }]);
    assert_eq!(t.stamps(), [(0, 0), (1, 3)]);
}

#[test]
fn the_result_can_be_trained_further() {
    let mut t = Training::new(Cadence::Epochs(2));
    t.epochs(0..1);
    t.result(3);
    t.epochs(1..3);
    t.result(9);
    assert_eq!(t.stamps(), [(0, 0), (1, 3), (2, 6), (3, 9)]);
}

const CADENCES: [Cadence; 5] = [
    Cadence::Epochs(1),
    Cadence::Epochs(2),
    Cadence::Steps(1),
    Cadence::Steps(2),
    Cadence::Steps(3),
];

/// The digits of `n` in base `of.len()`. Each `n` below `of.len()^length` gives another sequence.
fn choices<T: Copy>(mut n: usize, length: usize, of: &[T]) -> Vec<T> {
    let mut chosen = Vec::new();
    for _ in 0..length {
        chosen.push(of[n % of.len()]);
        n /= of.len();
    }
    chosen
}

fn all<T: Copy>(length: usize, of: &[T]) -> impl Iterator<Item = Vec<T>> {
    (0..of.len().pow(length as u32)).map(move |n| choices(n, length, of))
}

/// A call on one copy of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Train,
    Valid,
    Infer,
}

/// Number of whole epochs. An epoch ends at the first `valid()` after a step. If no call follows,
/// the epoch was interrupted.
fn whole_epochs(calls: &[Call]) -> usize {
    let (mut trained, mut epochs) = (false, 0);
    for (i, call) in calls.iter().enumerate() {
        if *call == Call::Valid && trained && i + 1 < calls.len() {
            epochs += 1;
        }
        match call {
            Call::Train => trained = true,
            Call::Valid => trained = false,
            Call::Infer => {}
        }
    }
    epochs
}

#[test]
fn all_short_trainings_of_one_copy() {
    let answers = [Event::Taken, Event::Refused, Event::NotTaken];
    let beginnings = [
        NEW,
        Beginning::Resumed {
            recognised: None,
            last: stamp(2, 5),
        },
    ];
    for calls in (1..=7).flat_map(|n| all(n, &[Call::Train, Call::Valid, Call::Infer])) {
        for answers in all(3, &answers) {
            for (cadence, beginning) in CADENCES
                .into_iter()
                .flat_map(|c| beginnings.map(|b| (c, b)))
            {
                let case = format!("{calls:?} {answers:?} {cadence:?} {beginning:?}");
                let mut t = Training::from(cadence, beginning);
                t.answers.clone_from(&answers);
                let mut step = 0;
                for call in &calls {
                    match call {
                        Call::Train => {
                            t.send_all([StepBegins { step }, StepEnded { step: step + 1 }]);
                            step += 1;
                        }
                        Call::Valid => t.send(Valid { step }),
                        Call::Infer => t.send(Inference { step }),
                    }
                }
                check(&t, &calls, step, &case);
            }
        }
    }
}

fn check(t: &Training, calls: &[Call], step: u64, case: &str) {
    let (origin, end) = (t.tracker.origin, t.tracker.end);
    assert_eq!(end.epoch - origin.epoch, whole_epochs(calls), "{case}");
    let started = calls.contains(&Call::Train);
    if started && t.answers[0] == Event::Taken {
        assert_eq!(
            t.submitted[0], origin,
            "the initial weights come first: {case}"
        );
    }
    assert_eq!(started, t.asked > 0, "{case}");
    // An observation is either made or left out by the budget, never both.
    assert_eq!(t.over_budget, t.refused.len(), "{case}");
    let refused = t.refused.iter().map(|step| origin.step + step);
    let observed = |step| t.submitted.iter().any(|s| s.step == step);
    assert!(!refused.into_iter().any(observed), "{case}");
    // Every held snapshot is submitted, unless the end of an epoch is uncertain.
    if t.kept.is_some() {
        let last = calls[calls.len() - 1];
        let steps = matches!(t.tracker.cadence, Cadence::Steps(_));
        let valid = calls.iter().rfind(|c| **c != Call::Infer) == Some(&Call::Valid);
        assert!(last == Call::Valid || steps && !valid, "{case}");
    }
    // The result of a whole training is observed, for every cadence.
    if let [.., before, Call::Valid] = calls
        && started
        && *before != Call::Train
        && t.asked > t.answers.len()
        && end.step == origin.step + step
    {
        assert_eq!(t.submitted.last(), Some(&end), "{case}");
    }
}

/// A call on one of two copies. The steps of a copy begin and end in turn.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    First,
    Second,
    Valid,
    Infer,
}

#[test]
fn all_short_trainings_of_two_copies() {
    let turns = [Turn::First, Turn::Second, Turn::Valid, Turn::Infer];
    for turns in all(8, &turns) {
        for (cadence, answers) in CADENCES.into_iter().flat_map(|c| {
            [Event::Taken, Event::Refused].map(|answer| (c, vec![Event::Taken, answer]))
        }) {
            let mut t = Training::new(cadence);
            t.answers = answers;
            // Twice the number of steps of each copy, plus one within a step.
            let mut halves = [0; 2];
            for turn in turns.iter().copied() {
                let step = halves[0] / 2;
                match turn {
                    Turn::First | Turn::Second => {
                        let half = &mut halves[usize::from(turn == Turn::Second)];
                        let step = *half / 2;
                        *half += 1;
                        t.send(match *half % 2 {
                            1 => StepBegins { step },
                            _ => StepEnded { step: step + 1 },
                        });
                    }
                    Turn::Valid => t.send(Valid { step }),
                    Turn::Infer => t.send(Inference { step }),
                }
            }
            let first = t.submitted.first().copied();
            assert!(first.is_none_or(|s| s == stamp(0, 0)), "{turns:?}");
        }
    }
}

/// Even invalid sequences never move stamps back, lose a snapshot or panic.
#[test]
fn all_short_sequences_of_events() {
    let mut events: Vec<Event> = (0..3)
        .flat_map(|step| {
            [
                StepBegins { step },
                StepEnded { step },
                Valid { step },
                Inference { step },
            ]
        })
        .collect();
    let taken = true;
    let beginning = NEW;
    events.extend([Event::Taken, Event::Refused, Event::NotTaken]);
    events.push(Event::Started { beginning, taken });
    for cadence in [Cadence::Epochs(1), Cadence::Steps(1)] {
        for sequence in all(4, &events) {
            let mut t = Training::new(cadence);
            t.send(StepBegins { step: 0 });
            t.send_all(sequence);
        }
    }
}
