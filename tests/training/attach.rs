//! The monitor's promises while burn trains: it sees every epoch once, and changes nothing.

use std::process::Command;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use burn::train::{Interrupter, MultiDeviceOptim};
use heavytail::Trajectory;
use heavytail::monitor::{Cadence, Outcome};
use heavytail::record::{AlarmRule, Line};

use crate::run::{Run, STEPS, builder};
use crate::support::lenet5::LeNet5;
use crate::support::train::Backend;

/// Whether this is the process of the calling test alone. If not, the test runs in such a process:
/// seeds are global to a backend, so two trainings in one process would disturb each other.
pub fn alone() -> bool {
    const ALONE: &str = "HEAVYTAIL_ALONE";
    let thread = std::thread::current();
    // Without threads of their own, tests run one after the other.
    let test = thread.name().filter(|name| *name != "main");
    let (None, Some(test)) = (std::env::var_os(ALONE), test) else {
        return true;
    };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{test} failed, see above");
    false
}

/// Every parameter's bits, by name.
fn bits<M: Module>(model: &M) -> Vec<(String, Vec<u32>)> {
    struct Bits(Vec<String>, Vec<(String, Vec<u32>)>);
    impl ModuleVisitor for Bits {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data();
            let bits = data.iter::<f32>().map(f32::to_bits).collect();
            self.1.push((self.0.join("."), bits));
        }
    }
    let mut visitor = Bits(Vec::new(), Vec::new());
    model.visit(&mut visitor);
    visitor.1
}

fn stamps(trajectory: &Trajectory) -> Vec<(usize, u64)> {
    trajectory
        .summaries()
        .iter()
        .map(|s| (s.stamp.epoch, s.stamp.step))
        .collect()
}

fn epochs(trajectory: &Trajectory) -> Vec<usize> {
    stamps(trajectory).into_iter().map(|s| s.0).collect()
}

pub fn notices(outcome: &Outcome) -> String {
    let texts = outcome.trajectory.notices().iter();
    texts
        .map(|n| n.event.to_string())
        .collect::<Vec<_>>()
        .join("; ")
}

fn same_bits_with_and_without(device: Device) {
    let dir = tempfile::tempdir().unwrap();
    let plain = Run {
        device: device.clone(),
        ..Run::new(&dir.path().join("plain"))
    }
    .plain();
    let out = dir.path().join("watched");
    let monitor = builder().dir(out.join("log")).build().unwrap();
    let watched = Run {
        device,
        ..Run::new(&out)
    }
    .watched(&monitor);
    assert_eq!(bits(&plain), bits(&watched));

    let outcome = monitor.finish();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    let t = &outcome.trajectory;
    assert_eq!(stamps(t), [(0, 0), (1, STEPS), (2, 2 * STEPS)]);
    assert_eq!(
        t.layers(),
        ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"]
    );
    let left_out: Vec<&str> = t.skipped().iter().map(|l| l.name.as_str()).collect();
    assert_eq!(
        left_out,
        ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias"]
    );
    // burn's own numbers are in the log, and ours are in burn's files.
    for name in ["train loss", "valid loss", "valid accuracy"] {
        assert_eq!(t.scalar(name).count(), 2, "{name}");
    }
    for metric in [
        "Weights_alpha",
        "Weights_alpha-hat",
        "Weights_phase",
        "Loss",
    ] {
        let file = out.join(format!("burn/valid/epoch-2/{metric}.log"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        assert!(
            !text.trim().is_empty() && !text.contains("NaN"),
            "{metric}: {text}"
        );
    }
    // What was written is what was returned.
    let read = Trajectory::read_jsonl(out.join("log/log.jsonl")).unwrap();
    assert_eq!(&read, t);
    assert_eq!(
        std::fs::read_dir(out.join("log/spectra")).unwrap().count(),
        3
    );
}

#[test]
fn watching_changes_no_bit_on_flex() {
    if !alone() {
        return;
    }
    same_bits_with_and_without(Backend::Flex.device().unwrap());
}

#[cfg(feature = "wgpu")]
#[test]
fn watching_changes_no_bit_on_wgpu() {
    if !alone() {
        return;
    }
    let device = std::panic::catch_unwind(|| {
        let device = Backend::Wgpu.device().unwrap();
        Tensor::<1>::zeros([1], &device).into_data();
        device
    });
    match device {
        Ok(device) => same_bits_with_and_without(device),
        Err(_) => eprintln!("SKIPPED: no GPU and no software Vulkan driver on this machine"),
    }
}

#[test]
fn a_checkpoint_of_a_watched_model_is_the_models_own() {
    if !alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let monitor = builder().build().unwrap();
    let watched = monitor.watch(Run::new(dir.path()).model());
    let names = |model: Vec<(String, Vec<u32>)>| -> Vec<String> {
        model.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(bits(&watched)), names(bits(watched.inner())));
    let record = watched.clone().into_record();
    // A record of the watched model loads into the bare one.
    let bare = Run::new(dir.path()).model().load_record(record);
    assert_eq!(bits(&bare), bits(watched.inner()));
    assert_eq!(format!("{watched}"), format!("{bare}"));
}

#[test]
fn several_devices_fire_once_an_epoch() {
    if !alone() {
        return;
    }
    for optim in [
        MultiDeviceOptim::OptimMainDevice,
        MultiDeviceOptim::OptimSharded,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let monitor = builder().include("fc").build().unwrap();
        Run {
            devices: Some(optim),
            ..Run::new(dir.path())
        }
        .watched(&monitor);
        let epochs: Vec<usize> = stamps(&monitor.finish().trajectory)
            .into_iter()
            .map(|(epoch, _)| epoch)
            .collect();
        assert_eq!(epochs, [0, 1, 2]);
    }
}

#[test]
fn a_resumed_run_continues_its_log() {
    if !alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let first = builder().dir(&log).build().unwrap();
    Run::new(dir.path()).watched(&first);
    first.finish();

    let again = builder().dir(&log).build();
    assert!(again.unwrap_err().to_string().contains("resume()"));

    // Epoch 1, not the last: the weights themselves tell where the count goes on.
    let second = builder().dir(&log).resume().build().unwrap();
    Run {
        resume: Some(1),
        epochs: 3,
        ..Run::new(dir.path())
    }
    .watched(&second);
    let outcome = second.finish();
    let expected: Vec<(usize, u64)> = (0..4).map(|e| (e, e as u64 * STEPS)).collect();
    assert_eq!(
        stamps(&outcome.trajectory),
        expected,
        "{}",
        notices(&outcome)
    );
    let text = std::fs::read_to_string(log.join("log.jsonl")).unwrap();
    // Epoch 2 of the first process is an abandoned branch. What still counts is there once.
    let mut keys: Vec<heavytail::record::Key> = Vec::new();
    for line in text
        .lines()
        .map(|l| serde_json::from_str::<Line>(l).unwrap())
    {
        if let Line::Resumed(resumed) = &line {
            assert_eq!((resumed.from.epoch, resumed.from.step), (1, STEPS));
            keys.retain(|(_, _, epoch, _, _)| epoch.is_none_or(|epoch| resumed.keeps_epoch(epoch)));
        }
        keys.push(line.key());
    }
    let unique: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(unique.len(), keys.len(), "duplicates in {keys:#?}");
    let rows = std::fs::read_to_string(log.join("layers.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 4 * 4);
}

#[test]
fn a_checkpoint_in_a_new_log_counts_from_where_it_is_told() {
    if !alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    Run::new(dir.path()).plain();
    for (told, expected) in [(Some(2), vec![2, 3]), (None, vec![0, 1])] {
        let mut builder = builder().include("fc2");
        if let Some(epoch) = told {
            builder = builder.starting_epoch(epoch);
        }
        let monitor = builder.build().unwrap();
        Run {
            resume: Some(2),
            epochs: 3,
            ..Run::new(dir.path())
        }
        .watched(&monitor);
        let outcome = monitor.finish();
        assert_eq!(epochs(&outcome.trajectory), expected);
        assert_eq!(notices(&outcome).contains("starting_epoch"), told.is_none());
    }
}

/// The initialiser is Glorot-uniform here: variance 2/(2450 + 500), and theory gives the rest.
#[test]
fn fc1_at_initialisation_is_what_theory_says() {
    if !alone() {
        return;
    }
    let device = Device::flex();
    device.seed(1);
    let model = LeNet5::new(&device);
    heavytail::burn::initialize(&model);
    let monitor = builder().include("fc1").build().unwrap();
    monitor.observe(0, &model);
    let t = monitor.finish().trajectory;
    let v = t.records()[0].values().unwrap();
    let (n, m, sigma2): (f64, f64, f64) = (2450.0, 500.0, 2.0 / 2950.0);
    let close = |ours: f64, theory: f64, tolerance: f64| {
        assert!(
            (ours / theory - 1.0).abs() < tolerance,
            "{ours} against {theory}"
        );
    };
    close(v.sigma_mp.unwrap(), sigma2.sqrt(), 0.01);
    close(v.primary.entropy, 1.0 - m / (2.0 * n * m.ln()), 0.01);
    let edge = |sign: f64| sigma2 * (1.0 + sign * (m / n).sqrt()).powi(2);
    close(v.bulk_min_x.unwrap(), edge(-1.0), 0.02);
    close(v.bulk_max_x.unwrap(), edge(1.0), 0.02);
    // λmax = centre + scale·TW, mean −1.2065, sd 1.268; the trace hardly fluctuates.
    let (centre, scale) = heavytail::law::noise_edge(2450, 500).unwrap();
    let top = centre - 1.2065 * scale;
    let deviation = m / (top * top) * 1.268 * scale;
    let distance = (v.primary.stable_rank - m / top).abs();
    assert!(distance < 3.0 * deviation, "{}", v.primary.stable_rank);
    assert_eq!(v.phase, Some(heavytail::Phase::RandomLike));
}

#[test]
fn without_validation_epochs_are_still_seen_and_it_is_said() {
    if !alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let monitor = builder().build().unwrap();
    Run {
        valid_items: 0,
        epochs: 3,
        ..Run::new(dir.path())
    }
    .watched(&monitor);
    let outcome = monitor.finish();
    assert_eq!(epochs(&outcome.trajectory), [0, 1, 2, 3]);
    assert!(notices(&outcome).contains("no validation batches"));
}

#[test]
fn an_interrupted_epoch_does_not_count() {
    if !alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let interrupter = Interrupter::new();
    interrupter.stop(Some("the test says so"));
    let monitor = builder().build().unwrap();
    Run {
        interrupter: Some(interrupter),
        ..Run::new(dir.path())
    }
    .watched(&monitor);
    assert_eq!(stamps(&monitor.finish().trajectory), [(0, 0)]);
}

#[test]
fn cadence_counts_epochs_or_steps_and_always_has_the_last() {
    if !alone() {
        return;
    }
    for (cadence, expected) in [
        (Cadence::Epochs(2), vec![(0, 0), (2, 6), (3, 9)]),
        (Cadence::Steps(4), vec![(0, 0), (1, 4), (2, 8), (3, 9)]),
        (Cadence::Steps(3), vec![(0, 0), (1, 3), (2, 6), (3, 9)]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let monitor = builder().include("fc2").every(cadence).build().unwrap();
        Run {
            epochs: 3,
            ..Run::new(dir.path())
        }
        .watched(&monitor);
        assert_eq!(
            stamps(&monitor.finish().trajectory),
            expected,
            "{cadence:?}"
        );
    }
}

#[test]
fn an_alarm_ends_the_training_between_epochs_or_within_one() {
    if !alone() {
        return;
    }
    // fc2 has ten eigenvalues: its α, when there is one, is below a hundred at once.
    let rule = AlarmRule::AlphaBelow {
        alpha: 100.0,
        observations: 2,
    };
    let dir = tempfile::tempdir().unwrap();
    let monitor = builder().alarm(rule).build().unwrap();
    Run {
        epochs: 5,
        stop_on_alarm: true,
        ..Run::new(&dir.path().join("between"))
    }
    .watched(&monitor);
    let t = monitor.finish().trajectory;
    // The initial weights and those after the first epoch: two observations.
    assert_eq!(stamps(&t), [(0, 0), (1, STEPS)]);
    assert!(!t.alarms().is_empty());

    let interrupter = Interrupter::new();
    let stop = interrupter.clone();
    let monitor = builder()
        .alarm(rule)
        .on_alarm(move |alarm| stop.stop(Some(&alarm.to_string())))
        .build()
        .unwrap();
    Run {
        epochs: 50,
        interrupter: Some(interrupter.clone()),
        ..Run::new(&dir.path().join("within"))
    }
    .watched(&monitor);
    let t = monitor.finish().trajectory;
    assert!(interrupter.should_stop());
    assert!(stamps(&t).len() < 50, "{:?}", stamps(&t));
}

#[test]
fn a_budget_leaves_out_all_but_the_first_and_the_last() {
    if !alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Nothing more than the first fits into a millionth of a per cent.
    let monitor = builder().budget(1e-8).build().unwrap();
    Run {
        epochs: 3,
        ..Run::new(dir.path())
    }
    .watched(&monitor);
    let outcome = monitor.finish();
    assert_eq!(stamps(&outcome.trajectory), [(0, 0), (3, 3 * STEPS)]);
    assert_eq!(outcome.over_budget, 2);
    assert!(
        notices(&outcome).contains("budget"),
        "{}",
        notices(&outcome)
    );
}
