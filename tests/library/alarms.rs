//! Alarms: off unless asked for, once for each beginning, with their evidence, and what a user does
//! about them.

#[allow(dead_code)]
use std::sync::{Arc, Mutex};

use crate::noise::matrix;
use heavytail::matrix::{LayerTensor, Layout};
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::{Alarm, AlarmRule, Stamp};
use heavytail::{Monitor, Phase, Trajectory};

fn noise(rows: usize, cols: usize, seed: u64) -> Vec<f32> {
    matrix("", rows, cols, seed).values
}

fn layer(rows: usize, cols: usize, values: Vec<f32>) -> Snapshot {
    let tensor = LayerTensor {
        name: "fc1".into(),
        layout: Layout::Matrix,
        shape: vec![rows, cols],
        values,
    };
    Snapshot::new(vec![tensor])
}

const RULES: [AlarmRule; 5] = [
    AlarmRule::TurnedTo {
        phase: Phase::BulkPlusSpikes,
    },
    AlarmRule::AlphaBelow {
        alpha: 2.0,
        observations: 3,
    },
    AlarmRule::CorrelationTrap,
    AlarmRule::SoftCollapse,
    AlarmRule::NotFinite,
];

/// A run of these weights under all rules.
fn run(rows: usize, cols: usize, epochs: Vec<Vec<f32>>) -> Trajectory {
    let mut builder = Monitor::builder().overload(Overload::Wait);
    for rule in RULES {
        builder = builder.alarm(rule);
    }
    let monitor = builder.build().unwrap();
    for (epoch, values) in epochs.into_iter().enumerate() {
        monitor.submit(Stamp::from_epoch(epoch), layer(rows, cols, values));
    }
    monitor.finish().trajectory
}

fn only(t: &Trajectory) -> &Alarm {
    assert_eq!(t.alarms().len(), 1, "{:?}", t.alarms());
    &t.alarms()[0]
}

#[test]
fn a_confirmed_turn_is_reported_once_with_what_speaks_for_it() {
    let with_mean = |epoch: usize| {
        let mut values = noise(120, 60, 3);
        if epoch >= 3 {
            values.iter_mut().for_each(|w| *w += 0.2);
        }
        values
    };
    let t = run(120, 60, (0..8).map(with_mean).collect());
    let alarm = only(&t);
    assert_eq!((alarm.rule, alarm.stamp.epoch), (RULES[0], 4));
    assert!(
        alarm
            .evidence
            .to_string()
            .contains("no longer Random-like since epoch 3"),
        "{alarm}"
    );
    assert!(
        alarm.evidence.to_string().contains("probability"),
        "{alarm}"
    );
}

#[test]
fn a_low_alpha_must_last() {
    // Rows scaled by powers of their place: a spectrum that falls slower than any network's.
    let heavy = |epoch: usize| {
        let mut values = noise(300, 100, 5);
        if ![0, 3].contains(&epoch) {
            for row in values.chunks_mut(100) {
                for (j, w) in row.iter_mut().enumerate() {
                    *w *= 100.0 * ((j + 1) as f32).powf(-2.0);
                }
            }
        }
        values
    };
    let t = run(300, 100, (0..8).map(heavy).collect());
    let low: Vec<&Alarm> = t.alarms().iter().filter(|a| a.rule == RULES[1]).collect();
    // Epochs 1 and 2 are too few; 4, 5, 6 are three.
    assert_eq!(low.len(), 1, "{:?}", t.alarms());
    assert_eq!(low[0].stamp.epoch, 6);
    assert!(
        low[0].evidence.to_string().starts_with("α = 1."),
        "{}",
        low[0]
    );
}

#[test]
fn huge_entries_are_a_correlation_trap() {
    let mut values = noise(120, 60, 9);
    values[777] = 40.0;
    let t = run(120, 60, vec![values]);
    let traps: Vec<&Alarm> = t.alarms().iter().filter(|a| a.rule == RULES[2]).collect();
    assert_eq!(traps.len(), 1, "{:?}", t.alarms());
}

#[test]
fn a_faded_bulk_is_a_soft_collapse() {
    let faded = |epoch: usize| {
        let mut values = noise(120, 60, 3);
        if epoch > 0 {
            let (left, right) = (noise(120, 3, 7), noise(60, 3, 8));
            for (i, w) in values.iter_mut().enumerate() {
                let (r, c) = (i / 60, i % 60);
                let signal: f32 = (0..3).map(|k| left[3 * r + k] * right[3 * c + k]).sum();
                *w = 0.02 * *w + 5.0 * signal;
            }
        }
        values
    };
    let t = run(120, 60, (0..3).map(faded).collect());
    let soft: Vec<&Alarm> = t.alarms().iter().filter(|a| a.rule == RULES[3]).collect();
    assert_eq!(soft.len(), 1, "{:?}", t.alarms());
    assert!(soft[0].evidence.to_string().contains("soft"), "{}", soft[0]);
}

#[test]
fn what_is_not_finite_alarms_and_a_user_can_act_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let monitor = Monitor::builder()
        .dir(dir.path())
        .overload(Overload::Wait)
        .alarm(AlarmRule::NotFinite)
        .on_alarm(|alarm| panic!("no idea what to do about {}", alarm.layer))
        .on_alarm(move |alarm| sees.lock().unwrap().push(alarm.clone()))
        .build()
        .unwrap();
    for epoch in 0..4 {
        let mut values = noise(60, 30, 1);
        if epoch >= 2 {
            values[5] = f32::NAN;
        }
        monitor.submit(Stamp::from_epoch(epoch), layer(60, 30, values));
        monitor.scalar(epoch, "train loss", if epoch == 3 { f64::NAN } else { 1.0 });
    }
    let t = monitor.finish().trajectory;
    let names: Vec<(&str, usize)> = t
        .alarms()
        .iter()
        .map(|a| (a.layer.as_str(), a.stamp.epoch))
        .collect();
    assert_eq!(names, [("fc1", 2), ("train loss", 3)]);
    assert!(
        t.alarms()[0]
            .evidence
            .to_string()
            .contains("1 of 1800 weights")
    );
    assert_eq!(*seen.lock().unwrap(), t.alarms());
    let panicked =
        |n: &heavytail::record::Notice| n.event.to_string().contains("no idea what to do");
    assert!(t.notices().iter().any(panicked), "{:?}", t.notices());

    // Alarms are in the log, and a run that goes on does not repeat them.
    let log = dir.path().join("log.jsonl");
    assert_eq!(Trajectory::read_jsonl(&log).unwrap().alarms(), t.alarms());
    let monitor = Monitor::builder()
        .dir(dir.path())
        .resume()
        .alarm(AlarmRule::NotFinite)
        .build()
        .unwrap();
    let mut values = noise(60, 30, 1);
    values[5] = f32::NAN;
    monitor.submit(Stamp::from_epoch(4), layer(60, 30, values));
    assert_eq!(monitor.finish().trajectory.alarms().len(), 2);
}

#[test]
fn a_rule_that_is_new_to_a_log_is_not_silenced_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let low = AlarmRule::AlphaBelow {
        alpha: 50.0,
        observations: 2,
    };
    let builder = || Monitor::builder().dir(dir.path()).resume();
    let monitor = builder().build().unwrap();
    for epoch in 0..3 {
        let values = noise(60, 30, epoch as u64);
        monitor.submit(Stamp::from_epoch(epoch), layer(60, 30, values));
    }
    assert!(monitor.finish().trajectory.alarms().is_empty());
    for (epoch, alarms) in [(3, 1), (4, 1)] {
        let monitor = builder().alarm(low).build().unwrap();
        monitor.submit(Stamp::from_epoch(epoch), layer(60, 30, noise(60, 30, 9)));
        let t = monitor.finish().trajectory;
        assert_eq!(t.alarms().len(), alarms, "{:?}", t.alarms());
    }
}

#[test]
fn what_is_done_about_an_alarm_may_ask_the_monitor_to_finish() {
    let cell: Arc<Mutex<Option<Monitor>>> = Arc::default();
    let inside = Arc::clone(&cell);
    let monitor = Monitor::builder()
        .alarm(AlarmRule::NotFinite)
        .on_alarm(move |_| {
            let monitor = inside.lock().unwrap().take();
            monitor.unwrap().finish();
        })
        .build()
        .unwrap();
    *cell.lock().unwrap() = Some(monitor.clone());
    monitor.submit(Stamp::from_epoch(0), layer(60, 30, vec![f32::NAN; 1800]));
    assert_eq!(monitor.finish().trajectory.alarms().len(), 1);
}

#[test]
fn without_a_rule_there_is_no_alarm() {
    let monitor = Monitor::builder()
        .on_alarm(|_| unreachable!())
        .build()
        .unwrap();
    monitor.submit(Stamp::from_epoch(0), layer(60, 30, vec![f32::NAN; 1800]));
    monitor.scalar(0, "loss", f64::INFINITY);
    assert!(monitor.finish().trajectory.alarms().is_empty());
}
