//! What a monitor does to stay cheap, and what it says about that.

use crate::noise::{matrix, tensor};
use heavytail::matrix::{LayerTensor, Layout};
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::{AlarmRule, Event, Record, Stamp};
use heavytail::{Monitor, Trajectory};
use rand::{RngExt, SeedableRng};

fn snapshot(tensors: Vec<LayerTensor>) -> Snapshot {
    Snapshot::new(tensors)
}

fn records(t: &Trajectory, layer: &str) -> Vec<Record> {
    t.layer(layer).cloned().collect()
}

#[test]
fn an_unchanged_layer_is_carried_and_the_record_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::builder()
        .dir(dir.path())
        .skip_unchanged(0.05)
        .overload(Overload::Wait)
        .build()
        .unwrap();
    for epoch in 0..4usize {
        let frozen = matrix("frozen", 120, 60, 1);
        let mut creeps = matrix("creeps", 120, 60, 2);
        // 1e-9 of itself from epoch to epoch.
        creeps.values[0] *= 1.0 + 1e-7 * epoch as f32;
        let learns = matrix("learns", 120, 60, 3 + epoch as u64);
        let tensors = vec![frozen, creeps, learns];
        monitor.submit(Stamp::from_epoch(epoch), snapshot(tensors));
    }
    let t = monitor.finish().trajectory;
    let frozen = records(&t, "frozen");
    assert_eq!(frozen.len(), 4);
    assert_eq!(frozen[0].carried, None);
    for record in &frozen[1..] {
        let carried = record.carried.unwrap();
        assert_eq!((carried.from, carried.drift), (Stamp::from_epoch(0), 0.0));
        assert_eq!(record.alpha(), frozen[0].alpha());
    }
    let creeps = records(&t, "creeps")[3].carried.unwrap();
    assert!(creeps.drift > 0.0 && creeps.drift < 1e-7, "{creeps:?}");
    assert_eq!(creeps.alpha_tolerance, 0.05);
    assert!(records(&t, "learns").iter().all(|r| r.carried.is_none()));
    // The end of the run is still looked at in full: what was analysed last.
    assert!(frozen[0].values().unwrap().full.is_some());
    let learns = records(&t, "learns");
    assert!(learns[3].values().unwrap().full.is_some());

    let back = Trajectory::read_jsonl(dir.path().join("log.jsonl")).unwrap();
    assert_eq!(back.records(), t.records());
}

#[test]
fn carried_alphas_are_what_an_analysis_would_have_found() {
    let run = |tolerance: Option<f64>| {
        let mut builder = Monitor::builder().overload(Overload::Wait);
        if let Some(tolerance) = tolerance {
            builder = builder.skip_unchanged(tolerance);
        }
        let monitor = builder.build().unwrap();
        let mut weights = matrix("fc", 200, 40, 9);
        let mut rng = rand_pcg::Pcg64::seed_from_u64(10);
        for epoch in 0..30 {
            for w in &mut weights.values {
                *w *= 1.0 + 2e-6 * (rng.random::<f32>() - 0.5);
            }
            monitor.submit(Stamp::from_epoch(epoch), snapshot(vec![weights.clone()]));
        }
        records(&monitor.finish().trajectory, "fc")
    };
    let (all, gated) = (run(None), run(Some(0.1)));
    let carried = gated.iter().filter(|r| r.carried.is_some()).count();
    assert!(carried > 5, "{carried} of 30");
    for (a, b) in all.iter().zip(&gated) {
        assert!((a.alpha().unwrap() - b.alpha().unwrap()).abs() <= 0.1);
    }
}

#[test]
fn more_threads_change_no_bit() {
    let run = |threads: usize| {
        let monitor = Monitor::builder().threads(threads).build().unwrap();
        let tensors = vec![
            tensor("conv", Layout::Conv, &[24, 16, 3, 3], 1),
            matrix("fc1", 150, 80, 2),
            matrix("fc2", 80, 30, 3),
        ];
        monitor.submit(Stamp::from_epoch(0), snapshot(tensors));
        let t = monitor.finish().trajectory;
        let strip = |mut r: Record| {
            r.seconds_analysis = 0.0;
            if let Some(full) = r.values_mut().and_then(|v| v.full.as_mut()) {
                full.seconds = 0.0;
            }
            r
        };
        t.records().iter().cloned().map(strip).collect::<Vec<_>>()
    };
    let one = run(1);
    assert_eq!(one.len(), 3);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

/// How much of the time a budget allows is computed in `monitor/budget.rs` and tested there. Here
/// counts do not depend on the machine: a share that no observation fits into admits the first
/// only.
#[test]
fn a_budget_leaves_out_what_exceeds_it_and_counts_it() {
    let monitor = Monitor::builder()
        .budget(1e-12)
        .overload(Overload::Wait)
        .build()
        .unwrap();
    let asked = 25;
    for epoch in 0..asked {
        if monitor.within_budget() {
            let layer = matrix("fc", 90, 40, epoch as u64);
            monitor.submit(Stamp::from_epoch(epoch), snapshot(vec![layer]));
        }
    }
    let outcome = monitor.finish();
    assert_eq!((outcome.observed, outcome.over_budget), (1, asked - 1));
    let notices = outcome.trajectory.notices();
    let told = |n: &heavytail::record::Notice| matches!(n.event, Event::OverBudget { count } if count == asked - 1);
    assert!(notices.iter().any(told), "{notices:?}");
}

#[test]
fn without_a_budget_nothing_is_left_out() {
    let monitor = Monitor::builder().overload(Overload::Wait).build().unwrap();
    for epoch in 0..5 {
        assert!(monitor.within_budget());
        let layer = matrix("fc", 90, 40, epoch as u64);
        monitor.submit(Stamp::from_epoch(epoch), snapshot(vec![layer]));
    }
    let outcome = monitor.finish();
    assert_eq!((outcome.observed, outcome.over_budget), (5, 0));
}

#[test]
fn nonsense_is_refused() {
    let refused = |builder: heavytail::monitor::Builder| builder.build().unwrap_err().to_string();
    let never = AlarmRule::AlphaBelow {
        alpha: f64::INFINITY,
        observations: 1,
    };
    for (builder, option) in [
        (Monitor::builder().threads(0), "threads"),
        (Monitor::builder().budget(0.0), "budget"),
        (Monitor::builder().budget(f64::NAN), "budget"),
        (Monitor::builder().skip_unchanged(-1.0), "skip_unchanged"),
        (Monitor::builder().alarm(never), "alarm"),
    ] {
        let why = refused(builder);
        assert!(why.contains(option), "{why}");
    }
}
