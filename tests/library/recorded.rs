//! A small run that an earlier version recorded: its log is still read, and its numbers are still
//! the same.

use std::collections::BTreeMap;
use std::path::Path;

use crate::noise::{matrix, tensor};
use heavytail::matrix::{LayerTensor, Layout, SkipReason};
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::{AlarmRule, SkippedLayer, Stamp};
use heavytail::run::{RunDir, RunState};
use heavytail::sink::read_spectra;
use heavytail::{Monitor, Phase, Record, Trajectory};
use serde_json::Value;

/// Layers in many states: noise that grows spikes, a convolution, a heavy tail, lost ranks, zeros,
/// one that is frozen, one that becomes NaN, one too small for a phase.
fn layers(epoch: usize) -> Vec<LayerTensor> {
    let t = epoch as f32;
    let mut fc1 = matrix("fc1.weight", 120, 84, 1);
    for (i, value) in fc1.values.iter_mut().enumerate() {
        let (row, column) = (i / 84, i % 84);
        let sign = |k: usize, p: usize| if (k * p).is_multiple_of(3) { 1.0 } else { -0.5 };
        *value +=
            0.12 * t * sign(row, 7) * sign(column, 5) + 0.05 * t * sign(row, 11) * sign(column, 13);
    }
    let conv = tensor("conv.weight", Layout::Conv, &[32, 24, 2, 2], 2);
    let mut heavy = matrix("heavy.weight", 100, 80, 3);
    for value in &mut heavy.values {
        *value = value.signum() * value.abs().max(1e-4).powf(-0.8);
    }
    let mut collapsed = matrix("collapsed.weight", 64, 40, 4);
    for row in collapsed.values.chunks_exact_mut(40) {
        row[30..].fill(0.0);
    }
    let mut zero = matrix("zero.weight", 20, 15, 5);
    zero.values.fill(0.0);
    let frozen = matrix("frozen.weight", 90, 60, 6);
    let mut broken = matrix("broken.weight", 40, 30, 7);
    if epoch == 2 {
        broken.values[5] = f32::NAN;
    }
    let tiny = matrix("tiny.weight", 12, 6, 8);
    vec![conv, fc1, heavy, collapsed, zero, frozen, broken, tiny]
}

/// Four observations under all rules.
fn run(folder: &Path) -> heavytail::monitor::Outcome {
    let monitor = Monitor::builder()
        .run("recorded")
        .dir(folder)
        .overload(Overload::Wait)
        .skip_unchanged(0.05)
        .alarm(AlarmRule::NotFinite)
        .alarm(AlarmRule::CorrelationTrap)
        .alarm(AlarmRule::TurnedTo {
            phase: Phase::BulkPlusSpikes,
        })
        .alarm(AlarmRule::AlphaBelow {
            alpha: 3.0,
            observations: 2,
        })
        .build()
        .unwrap();
    for epoch in 0..4 {
        let skipped = vec![SkippedLayer {
            name: "fc1.bias".into(),
            shape: vec![84],
            why: SkipReason::Vector,
        }];
        let mut snapshot = Snapshot::new(layers(epoch));
        (snapshot.skipped, snapshot.seconds) = (skipped, 0.001);
        monitor.submit(
            Stamp {
                epoch,
                step: 10 * epoch as u64,
            },
            snapshot,
        );
        monitor.scalar(epoch, "valid loss", 1.0 / (1.0 + epoch as f64));
    }
    monitor.scalar(3, "train loss", f64::NAN);
    monitor.notice(Some(3), "a note of the user");
    monitor.finish()
}

/// The numbers of a record, by the way to them; words and times left out.
fn numbers(record: &Record) -> BTreeMap<String, Value> {
    fn walk(way: &str, value: &Value, all: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    walk(&format!("{way}/{key}"), value, all);
                }
            }
            Value::Array(list) => {
                for (i, value) in list.iter().enumerate() {
                    walk(&format!("{way}/{i}"), value, all);
                }
            }
            Value::Number(_) | Value::Bool(_) | Value::Null | Value::String(_) => {
                all.insert(way.to_owned(), value.clone());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk("", &serde_json::to_value(record).unwrap(), &mut all);
    // What format 2 did not keep, and what is measured by a clock.
    all.retain(|way, _| {
        let last = way.rsplit('/').next().unwrap();
        let since = last == "num_fitted" || way.starts_with("/doubts");
        !last.starts_with("seconds") && !since && !way.starts_with("/annotations")
    });
    all
}

/// Numbers that need the normal law. The fixture was recorded with an erfc of our own, which
/// differs from today's (libm's) in the last digits.
fn from_erfc(way: &str) -> bool {
    way.starts_with("/full/alpha_interval/") || way.ends_with("/p")
}

/// The log of format 2 gives the numbers that today's code finds: the same bits where the
/// eigensolver gives the same bits, and else as close as two machines are.
#[test]
fn numbers_are_those_of_before() {
    let recorded = RunDir::new("tests/fixtures/run-schema-2");
    // It has no end, but nobody writes that format any more.
    assert_eq!(recorded.state().unwrap(), RunState::Ended);
    let before = recorded.read().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(dir.path());
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    let now = RunDir::new(dir.path()).read().unwrap();
    assert_eq!(RunDir::new(dir.path()).state().unwrap(), RunState::Ended);
    assert_eq!(before.layers(), now.layers());
    assert_eq!(before.records().len(), now.records().len());

    let spectra =
        |dir: &RunDir| read_spectra(dir.spectra().join("epoch-00001-step-000000010.safetensors"));
    let same_solver = spectra(&recorded).unwrap() == spectra(&RunDir::new(dir.path())).unwrap();
    let mut compared = 0;
    for (a, b) in before.records().iter().zip(now.records()) {
        if a.is_failed() {
            // Format 2 has words for a failure.
            assert!(b.is_failed());
            continue;
        }
        // Remarks may have come since; none is gone.
        let remarks = |r: &Record| r.values().unwrap().annotations.clone();
        assert!(remarks(a).iter().all(|one| remarks(b).contains(one)));
        let (x, y) = (numbers(a), numbers(b));
        assert_eq!(
            x.keys().collect::<Vec<_>>(),
            y.keys().collect::<Vec<_>>(),
            "{}",
            a.layer
        );
        for (way, p) in &x {
            let place = format!("{} at epoch {}: {way}", a.layer, a.stamp.epoch);
            match (p.as_f64(), y[way].as_f64()) {
                (Some(p), Some(q)) if !same_solver => {
                    assert!(
                        (p - q).abs() <= 1e-6 * p.abs().max(q.abs()).max(1e-9),
                        "{place}: {p} {q}"
                    );
                }
                (Some(p), Some(q)) if from_erfc(way) => {
                    assert!((p - q).abs() <= 1e-12 * p.abs(), "{place}: {p} {q}");
                }
                (Some(p), Some(q)) => assert_eq!(p.to_bits(), q.to_bits(), "{place}: {p} {q}"),
                _ => assert_eq!(*p, y[way], "{place}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 3_000, "{compared}");
    for (a, b) in before.summaries().iter().zip(now.summaries()) {
        let mut b = b.clone();
        (b.unix_time, b.seconds_analysis) = (None, a.seconds_analysis);
        if same_solver {
            assert_eq!(*a, b);
        }
    }
    let raised = |t: &Trajectory| -> Vec<(String, usize)> {
        let alarm =
            |a: &heavytail::record::Alarm| (format!("{} {}", a.layer, a.rule), a.stamp.epoch);
        let mut all: Vec<_> = t.alarms().iter().map(alarm).collect();
        all.sort();
        all
    };
    assert_eq!(raised(&before), raised(&now));
}

#[test]
fn an_earlier_format_is_read_but_not_continued() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    std::fs::copy("tests/fixtures/run-schema-2/log.jsonl", &log).unwrap();
    let before = std::fs::read(&log).unwrap();
    let refused = Monitor::builder().dir(dir.path()).resume().build();
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("format 2") && error.contains("another folder"),
        "{error}"
    );
    assert_eq!(std::fs::read(&log).unwrap(), before);
}

#[test]
#[ignore = "writes the fixture anew"]
fn record() {
    let folder = Path::new("tests/fixtures/run-schema-2");
    let _ = std::fs::remove_dir_all(folder);
    run(folder);
}
