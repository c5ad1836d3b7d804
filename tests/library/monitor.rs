//! The monitor's promises without any framework: what goes wrong is recorded and stops nothing.

#[allow(dead_code)]
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::noise::matrix;
use heavytail::error::{Result, chain};
use heavytail::fit::fit_bulk;
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::field::FIELDS;
use heavytail::record::{Event, LayerOutcome, Line, Stamp};
use heavytail::sink::{Sink, read_spectra};
use heavytail::{Error, LayerError, Monitor, Phase, Trajectory};

fn snapshot(seed: u64) -> Snapshot {
    Snapshot::new(vec![
        matrix("fc1", 120, 60, seed),
        matrix("fc2", 60, 12, seed),
    ])
}

fn stamp(epoch: usize) -> Stamp {
    Stamp {
        epoch,
        step: 10 * epoch as u64,
    }
}

#[test]
fn bad_weights_fail_alone_and_by_name() {
    let monitor = Monitor::builder().build().unwrap();
    let mut bad = snapshot(1);
    bad.tensors[0].values[7] = f32::NAN;
    monitor.submit(stamp(0), snapshot(1));
    monitor.submit(stamp(1), bad);
    let t = monitor.finish().trajectory;
    let failed = t.layer("fc1").nth(1).unwrap();
    let cause = LayerError::NotFinite { count: 1, of: 7200 };
    assert_eq!(failed.outcome, LayerOutcome::Failed(cause));
    assert!(t.layer("fc2").nth(1).unwrap().alpha().is_some());
    assert_eq!(t.summaries()[1].without_alpha, ["fc1"]);
    assert!(t.summaries()[1].alpha.unwrap().is_finite());
}

#[test]
fn noise_is_random_like() {
    let monitor = Monitor::builder().build().unwrap();
    monitor.submit(stamp(0), snapshot(5));
    let t = monitor.finish().trajectory;
    assert_eq!(
        t.layer("fc1").next().unwrap().phase(),
        Some(Phase::RandomLike)
    );
}

#[test]
fn the_first_the_last_and_a_change_of_phase_are_analysed_in_full() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::builder()
        .dir(dir.path())
        .overload(Overload::Wait)
        .build()
        .unwrap();
    for epoch in 0..7 {
        let mut snapshot = snapshot(3);
        snapshot.tensors.truncate(1);
        if epoch >= 3 {
            // A mean is one spike: it stays from epoch 3 on.
            snapshot.tensors[0]
                .values
                .iter_mut()
                .for_each(|w| *w += 0.2);
        }
        monitor.submit(stamp(epoch), snapshot);
    }
    let t = monitor.finish().trajectory;
    let full = |t: &Trajectory| -> Vec<bool> {
        t.layer("fc1")
            .map(|r| r.values().unwrap().full.is_some())
            .collect()
    };
    // The change at epoch 3 is confirmed at epoch 4.
    let transition = &t.transitions("fc1")[0];
    assert_eq!(
        (transition.epoch, transition.to),
        (3, Phase::BulkPlusSpikes)
    );
    assert_eq!(full(&t), [true, false, false, false, true, false, true]);
    let doubt = t.records()[6].values().unwrap().full.as_ref().unwrap();
    let interval = doubt.alpha_interval.unwrap();
    assert!(interval.low < interval.high && interval.replicates > 150);
    // A mean survives every permutation.
    assert_eq!(
        doubt.annotations,
        t.records()[6].values().unwrap().annotations
    );
    assert!(!doubt.annotations.is_empty());

    let back = Trajectory::read_jsonl(dir.path().join("log.jsonl")).unwrap();
    assert_eq!(back.records(), t.records());
}

/// A sink that fails like a full disk.
struct Full;

impl Sink for Full {
    fn line(&mut self, _: &Line) -> Result<()> {
        Err(Error::Io {
            path: "log.jsonl".into(),
            source: std::io::Error::other("no space left on device"),
        })
    }
}

/// A sink that panics.
struct Broken;

impl Sink for Broken {
    fn line(&mut self, _: &Line) -> Result<()> {
        panic!("broken sink")
    }
}

#[test]
fn a_full_disk_stops_neither_the_run_nor_the_other_sinks() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::builder()
        .sink(Full)
        .dir(dir.path())
        .build()
        .unwrap();
    for epoch in 0..3 {
        monitor.submit(stamp(epoch), snapshot(1));
    }
    let outcome = monitor.finish();
    let error = chain(&outcome.failures[0].error);
    let expected = "cannot read or write log.jsonl: no space left on device";
    assert_eq!(error, expected);
    assert_eq!(outcome.trajectory.summaries().len(), 3);
    let read = Trajectory::read_jsonl(dir.path().join("log.jsonl")).unwrap();
    assert_eq!(read.summaries().len(), 3);
    let message = expected.to_owned();
    let sink = "a sink".to_owned();
    assert_eq!(read.notices()[0].event, Event::SinkFailed { sink, message });

    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::builder()
        .sink(Broken)
        .dir(dir.path())
        .build()
        .unwrap();
    monitor.submit(stamp(0), snapshot(1));
    let outcome = monitor.finish();
    let read = Trajectory::read_jsonl(dir.path().join("log.jsonl")).unwrap();
    assert_eq!(read.summaries().len(), 1);
    assert!(read.notices()[0].event.to_string().contains("panicked"));
    let error = &outcome.failures[0].error;
    assert!(
        matches!(error, Error::Sink { message } if message == "broken sink"),
        "{error}"
    );
    assert_eq!(error.to_string(), "a sink panicked: broken sink");
    assert_eq!(outcome.trajectory.summaries().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_no_log() {
    use heavytail::sink::JsonlSink;
    let error = JsonlSink::open("/dev/full").unwrap_err().to_string();
    assert!(error.contains("/dev/full"), "{error}");
}

/// Holds the worker at each summary until the test lets it go, and says when it holds it.
struct Gate {
    held: Sender<()>,
    released: Receiver<()>,
}

impl Sink for Gate {
    fn line(&mut self, line: &Line) -> Result<()> {
        if matches!(line, Line::Summary(_)) {
            let _ = self.held.send(());
            // A test that has failed hangs up.
            let _ = self.released.recv();
        }
        Ok(())
    }
}

fn gated(policy: Overload) -> (Monitor, Receiver<()>, Sender<()>) {
    let ((held, is_held), (release, released)) = (channel(), channel());
    let monitor = Monitor::builder()
        .sink(Gate { held, released })
        .overload(policy)
        .queue(2)
        .build()
        .unwrap();
    (monitor, is_held, release)
}

fn epochs_kept(policy: Overload) -> (Vec<usize>, usize) {
    let (monitor, is_held, release) = gated(policy);
    monitor.submit(stamp(0), snapshot(0));
    is_held.recv().unwrap();
    // The worker is held, so a submit that waits for it never returns.
    for epoch in 1..6 {
        monitor.submit(stamp(epoch), snapshot(0));
    }
    for _ in 0..6 {
        let _ = release.send(());
    }
    let outcome = monitor.finish();
    let epochs = outcome.trajectory.summaries().iter().map(|s| s.stamp.epoch);
    assert!(outcome.deferred >= 2);
    assert_eq!(outcome.observed + outcome.dropped, 6);
    let said = outcome
        .trajectory
        .notices()
        .iter()
        .any(|n| n.event.to_string().contains("dropped"));
    assert!(said, "the log says what is missing");
    (epochs.collect(), outcome.dropped)
}

#[test]
fn an_overloaded_worker_drops_by_policy_and_says_so() {
    assert_eq!(epochs_kept(Overload::DropOldest), (vec![0, 4, 5], 3));
    assert_eq!(epochs_kept(Overload::DropNewest), (vec![0, 1, 2], 3));
}

#[test]
fn a_patient_run_loses_nothing() {
    let (monitor, is_held, release) = gated(Overload::Wait);
    let releaser = std::thread::spawn(move || {
        for _ in 0..8 {
            is_held.recv().unwrap();
            release.send(()).unwrap();
        }
    });
    for epoch in 0..8 {
        monitor.submit(stamp(epoch), snapshot(0));
    }
    let outcome = monitor.finish();
    releaser.join().unwrap();
    assert_eq!((outcome.observed, outcome.dropped), (8, 0));
}

#[test]
fn logs_are_readable_after_a_kill_and_continue_without_duplicates() {
    let dir = tempfile::tempdir().unwrap();
    let first = Monitor::builder().run("r").dir(dir.path()).build().unwrap();
    for epoch in 0..2 {
        first.submit(stamp(epoch), snapshot(epoch as u64));
        first.scalar(epoch, "valid loss λ", 1.0 / (1.0 + epoch as f64));
    }
    first.finish();
    // A kill in the middle of a write.
    let log = dir.path().join("log.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let (wide, _) = text.char_indices().rfind(|(_, c)| !c.is_ascii()).unwrap();
    let bytes = &text.as_bytes()[..=wide];
    assert!(
        std::str::from_utf8(bytes).is_err(),
        "cut inside a character"
    );
    std::fs::write(&log, bytes).unwrap();
    let torn = Trajectory::read_jsonl(&log).unwrap();
    assert!(
        torn.notices()
            .iter()
            .any(|n| n.event.to_string().contains("cut off"))
    );

    let second = Monitor::builder().dir(dir.path()).resume().build().unwrap();
    assert_eq!(second.run(), "r");
    for epoch in 0..4 {
        second.submit(stamp(epoch), snapshot(epoch as u64));
    }
    let outcome = second.finish();
    let read = Trajectory::read_jsonl(&log).unwrap();
    let epochs: Vec<usize> = read.summaries().iter().map(|s| s.stamp.epoch).collect();
    assert_eq!(epochs, [0, 1, 2, 3]);
    assert_eq!(read.records().len(), 8);
    assert_eq!(outcome.trajectory.records().len(), 8);
    let whole = std::fs::read_to_string(&log).unwrap();
    assert!(
        whole
            .lines()
            .all(|l| serde_json::from_str::<Line>(l).is_ok())
    );

    let mut table = csv::Reader::from_path(dir.path().join("layers.csv")).unwrap();
    let names: Vec<&str> = FIELDS.iter().map(|f| f.name).collect();
    assert_eq!(table.headers().unwrap(), names);
    assert_eq!(table.records().count(), 8);
}

#[test]
fn an_epoch_can_be_analysed_again_from_its_eigenvalues() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Monitor::builder().dir(dir.path()).build().unwrap();
    monitor.submit(stamp(3), snapshot(1));
    let t = monitor.finish().trajectory;
    let file = dir
        .path()
        .join("spectra/epoch-00003-step-000000030.safetensors");
    let spectra = read_spectra(file).unwrap();
    let (_, fc1) = spectra.iter().find(|(name, _)| name == "fc1").unwrap();
    let sigma = t.records()[0].values().unwrap().sigma_mp.unwrap();
    assert_eq!(fit_bulk(fc1).unwrap().sigma_mp, sigma);
    assert!(
        (1.7..1.9).contains(&fc1.entry_kurtosis()),
        "uniform entries"
    );
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let refused = |result: Result<Monitor>| result.unwrap_err().to_string();
    assert!(refused(Monitor::builder().include("(").build()).contains("include"));
    assert!(refused(Monitor::builder().queue(0).build()).contains("queue"));
    let every = Monitor::builder().every(heavytail::monitor::Cadence::Epochs(0));
    assert!(refused(every.build()).contains("every"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let inside = Monitor::builder().dir(file.path().join("x"));
    assert!(!refused(inside.build()).is_empty());
}
