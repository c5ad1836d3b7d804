//! A small run that an earlier version recorded: its log is still read, and its numbers are still the same.

#[allow(dead_code)]
#[path = "support/noise.rs"]
mod noise;

use std::path::Path;

use heavytail::matrix::{LayerTensor, Layout, LeftOut};
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::{LeftOutLayer, Rule, Stamp};
use heavytail::{Monitor, Phase};
use noise::{matrix, tensor};

/// Layers in many states: noise that grows spikes, a convolution, a heavy tail, lost ranks, zeros, one that is frozen,
/// one that becomes NaN, one too small for a phase.
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
        .out(folder)
        .overload(Overload::Wait)
        .skip_unchanged(0.05)
        .alarm(Rule::NotFinite)
        .alarm(Rule::CorrelationTrap)
        .alarm(Rule::TurnedTo {
            phase: Phase::BulkPlusSpikes,
        })
        .alarm(Rule::AlphaBelow {
            alpha: 3.0,
            observations: 2,
        })
        .build()
        .unwrap();
    for epoch in 0..4 {
        let left_out = vec![LeftOutLayer {
            name: "fc1.bias".into(),
            shape: vec![84],
            why: LeftOut::Vector,
        }];
        let snapshot = Snapshot {
            tensors: layers(epoch),
            left_out,
            seconds: 0.001,
        };
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

#[test]
#[ignore = "writes the fixture anew"]
fn record() {
    let folder = Path::new("tests/fixtures/run-schema-2");
    let _ = std::fs::remove_dir_all(folder);
    run(folder);
}
