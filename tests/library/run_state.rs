//! What a run's folder promises: a state, one writer, one truth after a resume, and nothing lost
//! that can be kept.

#[allow(dead_code)]
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::noise::matrix;
use heavytail::monitor::{Outcome, Overload, Snapshot};
use heavytail::record::{Event, Line, Stamp};
use heavytail::run::{LogReader, RunDir, RunState, repair};
use heavytail::{Error, Monitor, Trajectory};

fn stamp(epoch: usize) -> Stamp {
    Stamp {
        epoch,
        step: 10 * epoch as u64,
    }
}

/// Weights of a moment; another branch of a run has others.
fn snapshot(epoch: usize, branch: u64) -> Snapshot {
    let seed = epoch as u64 + 100 * branch;
    Snapshot::new(vec![
        matrix("fc1", 90, 60, seed),
        matrix("fc2", 60, 40, seed),
    ])
}

/// The third observation of a model that has grown by a layer.
fn grown() -> Snapshot {
    let mut snapshot = snapshot(2, 0);
    snapshot.tensors.push(matrix("fc3", 50, 40, 9));
    snapshot
}

fn monitor(dir: &Path) -> heavytail::monitor::Builder {
    Monitor::builder()
        .run("r")
        .dir(dir)
        .overload(Overload::Wait)
}

fn observe(monitor: &Monitor, epochs: impl IntoIterator<Item = usize>, branch: u64) {
    for epoch in epochs {
        monitor.submit(stamp(epoch), snapshot(epoch, branch));
        monitor.scalar(epoch, "valid loss", epoch as f64 + branch as f64);
    }
}

fn epochs(run: &Trajectory) -> Vec<usize> {
    run.summaries().iter().map(|s| s.stamp.epoch).collect()
}

fn finished(monitor: &Monitor) -> Outcome {
    let outcome = monitor.finish();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    outcome
}

fn events(run: &Trajectory) -> Vec<&Event> {
    run.notices().iter().map(|n| &n.event).collect()
}

/// This test again as a process of its own, which does `what` in a folder and may be killed.
fn child(what: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "run_state::as_a_child", "--nocapture"])
        .env("HEAVYTAIL_CHILD", what)
        .env("HEAVYTAIL_DIR", dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(60), "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lines(dir: &Path, kind: fn(&Line) -> bool) -> usize {
    let mut count = 0;
    let mut reader = LogReader::new(RunDir::new(dir).log());
    let _ = reader.read_new_lines(|entry| {
        if let heavytail::run::LogEntry::Line(line) = entry {
            count += usize::from(kind(&line));
        }
    });
    count
}

/// No test of its own: what the others start as a process.
#[test]
fn as_a_child() {
    let Ok(what) = std::env::var("HEAVYTAIL_CHILD") else {
        return;
    };
    let dir = std::env::var_os("HEAVYTAIL_DIR").unwrap();
    let dir = Path::new(&dir);
    match what.as_str() {
        // Observes three epochs and then lives on.
        "train" => {
            let monitor = monitor(dir).build().unwrap();
            observe(&monitor, 0..3, 0);
            std::thread::sleep(Duration::from_secs(60));
        }
        // Its first full analysis takes long.
        "slow" => {
            let mut config = heavytail::Config::live();
            config.replicates = 2_000_000;
            let monitor = monitor(dir).config(config).build().unwrap();
            observe(&monitor, [0], 0);
            std::thread::sleep(Duration::from_secs(60));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_run_knows_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path().join("run"));
    assert_eq!(run.state().unwrap(), RunState::Empty);
    let monitor = monitor(run.path()).build().unwrap();
    observe(&monitor, 0..2, 0);
    assert_eq!(run.state().unwrap(), RunState::Running);
    finished(&monitor);
    drop(monitor);
    assert_eq!(run.state().unwrap(), RunState::Ended);
    let trajectory = run.read().unwrap();
    let end = trajectory.end().unwrap();
    assert_eq!((end.observed, end.dropped), (2, 0));
    // Each observation has its time, in order.
    let times: Vec<f64> = (0..2)
        .map(|epoch| trajectory.time_of(stamp(epoch)).unwrap())
        .collect();
    assert!(
        times[0] <= times[1] && times[1] <= end.unix_time,
        "{times:?}"
    );
}

#[test]
fn a_killed_run_has_died_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path());
    let mut child = child("train", dir.path());
    let summaries = || lines(dir.path(), |l| matches!(l, Line::Summary(_)));
    wait_for("observations", || summaries() == 3);
    assert_eq!(run.state().unwrap(), RunState::Running);
    // The second writer is refused, in words that name the folder and the first.
    let pid = child.id().to_string();
    let refused = monitor(dir.path()).resume().build().unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    let words = refused.to_string();
    assert!(
        words.contains(&pid) && words.contains("another folder"),
        "{words}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(run.state().unwrap(), RunState::Died);

    let resumed = monitor(dir.path()).resume().build().unwrap();
    observe(&resumed, 3..5, 0);
    let outcome = finished(&resumed);
    assert_eq!(epochs(&outcome.trajectory), [0, 1, 2, 3, 4]);
    assert!(outcome.trajectory.abandoned().is_empty());
    drop(resumed);
    assert_eq!(run.state().unwrap(), RunState::Ended);
    assert_eq!(epochs(&run.read().unwrap()), [0, 1, 2, 3, 4]);
}

#[test]
fn one_process_has_one_writer_too() {
    let dir = tempfile::tempdir().unwrap();
    let first = monitor(dir.path()).build().unwrap();
    assert!(matches!(
        monitor(dir.path()).resume().build(),
        Err(Error::Locked { .. })
    ));
    observe(&first, 0..2, 0);
    finished(&first);
    drop(first);
    let log = fs::read_to_string(RunDir::new(dir.path()).log()).unwrap();
    assert!(log.lines().all(|l| serde_json::from_str::<Line>(l).is_ok()));
}

#[test]
fn a_kill_costs_no_full_analysis_that_was_promised() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child("slow", dir.path());
    let pending = dir.path().join("pending");
    let kept = || fs::read_dir(&pending).is_ok_and(|all| all.count() == 1);
    let summaries = || lines(dir.path(), |l| matches!(l, Line::Summary(_)));
    wait_for("weights that wait", || kept() && summaries() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(lines(dir.path(), |l| matches!(l, Line::Full(_))), 0);

    let resumed = monitor(dir.path()).resume().build().unwrap();
    observe(&resumed, 1..3, 0);
    let run = finished(&resumed).trajectory;
    let full = |epoch: usize| {
        let of = |r: &&heavytail::Record| r.stamp == stamp(epoch);
        let has = |r: &heavytail::Record| r.values().unwrap().full.is_some();
        run.records().iter().filter(of).all(has)
    };
    assert!(full(0) && full(2) && !full(1));
    assert!(!pending.exists());
    // They are those of the weights of then.
    let other = tempfile::tempdir().unwrap();
    let alone = monitor(other.path()).build().unwrap();
    observe(&alone, 0..3, 0);
    let alone = finished(&alone).trajectory;
    for (a, b) in run.layer("fc1").zip(alone.layer("fc1")) {
        let interval =
            |r: &heavytail::Record| r.values().unwrap().full.as_ref().map(|f| f.alpha_interval);
        assert_eq!(interval(a), interval(b));
    }
}

#[test]
fn a_run_that_ends_where_it_was_resumed_has_its_last_observation_in_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child("train", dir.path());
    let summaries = || lines(dir.path(), |l| matches!(l, Line::Summary(_)));
    wait_for("observations", || summaries() == 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = monitor(dir.path()).resume().build().unwrap();
    // The weights of the last checkpoint, and nothing more.
    resumed.submit(stamp(2), snapshot(2, 0));
    let run = finished(&resumed).trajectory;
    assert_eq!(epochs(&run), [0, 1, 2]);
    let last = run.layer("fc1").last().unwrap();
    assert!(last.values().unwrap().full.is_some());
}

#[test]
fn a_log_tells_the_run_that_happened() {
    let dir = tempfile::tempdir().unwrap();
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..6, 0);
    finished(&first);
    drop(first);
    // Back to the checkpoint of epoch 2, and another way from there.
    let second = monitor(dir.path()).resume().build().unwrap();
    second.submit(stamp(2), snapshot(2, 0));
    observe(&second, 3..5, 7);
    let outcome = finished(&second);
    drop(second);
    let run = RunDir::new(dir.path());
    for run in [&outcome.trajectory, &run.read().unwrap()] {
        assert_eq!(epochs(run), [0, 1, 2, 3, 4]);
        assert_eq!(run.abandoned(), [3, 4, 5].map(stamp));
        let scalars: Vec<f64> = run.scalar("valid loss").map(|s| s.1).collect();
        assert_eq!(scalars, [0.0, 1.0, 2.0, 10.0, 11.0]);
        let new = snapshot(3, 7).tensors[0]
            .values
            .iter()
            .map(|&v| f64::from(v).powi(2))
            .sum::<f64>();
        let norm = run
            .layer("fc1")
            .nth(3)
            .unwrap()
            .values()
            .unwrap()
            .primary
            .norm;
        assert!((norm / new - 1.0).abs() < 1e-9);
    }
    // The table and the spectra are those of the living branch.
    let table = fs::read_to_string(run.table()).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 * 5);
    let spectra: Vec<_> = fs::read_dir(run.spectra())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let files = spectra.iter().filter(|p| p.is_file()).count();
    assert_eq!(files, 5);
    assert_eq!(
        fs::read_dir(run.spectra().join("abandoned-1"))
            .unwrap()
            .count(),
        3
    );

    // A loop that begins anew, with weights that the log has: everything after them is done again.
    let third = monitor(dir.path()).resume().build().unwrap();
    observe(&third, 0..2, 0);
    let outcome = finished(&third);
    assert_eq!(epochs(&outcome.trajectory), [0, 1]);
}

#[test]
fn the_epoch_after_the_checkpoint_is_replaced_where_its_weights_differ() {
    let dir = tempfile::tempdir().unwrap();
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..4, 0);
    finished(&first);
    drop(first);
    // A loop of one's own that trains epoch 3 again.
    let second = monitor(dir.path()).resume().build().unwrap();
    observe(&second, 3..5, 1);
    let run = finished(&second).trajectory;
    assert_eq!(epochs(&run), [0, 1, 2, 3, 4]);
    assert_eq!(run.abandoned(), [stamp(3)]);
}

#[test]
fn a_log_that_is_lost_while_it_is_written_is_told_and_written_anew() {
    let losses: [fn(&Path); 3] = [
        |log| fs::remove_file(log).unwrap(),
        |log| {
            fs::File::options()
                .write(true)
                .open(log)
                .unwrap()
                .set_len(100)
                .unwrap()
        },
        |log| {
            fs::remove_file(log).unwrap();
            fs::write(log, "somebody else's\n".repeat(10_000)).unwrap();
        },
    ];
    for lose in losses {
        let dir = tempfile::tempdir().unwrap();
        let log = RunDir::new(dir.path()).log();
        let monitor = monitor(dir.path()).build().unwrap();
        observe(&monitor, 0..2, 0);
        let summaries = || lines(dir.path(), |l| matches!(l, Line::Scalar(_)));
        wait_for("observations", || summaries() == 2);
        lose(&log);
        observe(&monitor, 2..4, 0);
        let outcome = monitor.finish();
        let [failure] = outcome.failures.as_slice() else {
            panic!("{:?}", outcome.failures);
        };
        assert!(
            matches!(failure.error, Error::FileReplaced { .. }),
            "{failure:?}"
        );
        assert!(failure.sink.ends_with("log.jsonl"));
        assert_eq!(failure.unwritten_lines, 0);
        let read = Trajectory::read_jsonl(&log).unwrap();
        assert_eq!(epochs(&read), [0, 1, 2, 3]);
        assert_eq!(read.records(), outcome.trajectory.records());
        assert!(
            events(&read)
                .iter()
                .any(|e| matches!(e, Event::LogLost { .. }))
        );
        assert!(read.end().is_some());
    }
}

#[test]
fn another_model_in_the_same_log_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..2, 0);
    first.submit(stamp(2), grown());
    let run = finished(&first).trajectory;
    assert_eq!(run.layers(), ["fc1", "fc2", "fc3"]);
    let told = Event::OtherModel {
        added: vec!["fc3".into()],
        removed: vec![],
    };
    assert!(events(&run).contains(&&told), "{:?}", run.notices());
    drop(first);
    // A foreign one.
    let second = monitor(dir.path()).resume().build().unwrap();
    let foreign = Snapshot::new(vec![matrix("conv", 80, 40, 3)]);
    second.submit(stamp(3), foreign);
    let run = finished(&second).trajectory;
    assert_eq!(run.layers(), ["fc1", "fc2", "fc3", "conv"]);
    let foreign =
        |e: &&&Event| matches!(e, Event::OtherModel { removed, .. } if removed.len() == 3);
    assert_eq!(events(&run).iter().filter(foreign).count(), 1);
    let read = RunDir::new(dir.path()).read().unwrap();
    assert_eq!(read.layers(), run.layers());
}

#[test]
fn damage_is_left_out_told_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path());
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..4, 0);
    assert!(matches!(repair(&run), Err(Error::Locked { .. })));
    finished(&first);
    drop(first);
    assert_eq!(repair(&run).unwrap().original, None);

    // A line of zeros, as a disk that failed leaves it, one that is no text, and a torn end.
    let text = fs::read(run.log()).unwrap();
    let mut lines: Vec<Vec<u8>> = text.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop();
    let is_layer = |l: &[u8]| l.starts_with(b"{\"kind\":\"layer\"");
    let places: Vec<usize> = (0..lines.len()).filter(|&i| is_layer(&lines[i])).collect();
    lines[places[1]].fill(0);
    lines[places[4]] = b"\xff\xfe nonsense".to_vec();
    let mut bytes = lines.join(&b'\n');
    bytes.extend(b"\n{\"kind\":\"lay");
    fs::write(run.log(), &bytes).unwrap();
    let damaged = run.read().unwrap();
    assert_eq!(damaged.records().len(), 6);
    let mut told: Vec<usize> = Vec::new();
    for event in events(&damaged) {
        if let Event::DamagedLine { number } = event {
            told.push(*number);
        }
    }
    assert_eq!(told, [places[1] + 1, places[4] + 1]);
    assert!(events(&damaged).contains(&&Event::CutOffLine));

    let repaired = repair(&run).unwrap();
    assert_eq!(
        (repaired.lines, repaired.removed_incomplete_line),
        (told, true)
    );
    assert_eq!(fs::read(repaired.original.unwrap()).unwrap(), bytes);
    let whole = run.read().unwrap();
    assert_eq!(whole.records(), damaged.records());
    assert!(
        !events(&whole)
            .iter()
            .any(|e| matches!(e, Event::DamagedLine { .. }))
    );
    assert_eq!(repair(&run).unwrap().original, None);

    // A resume goes on all the same where the damage was not repaired.
    fs::write(run.log(), &bytes).unwrap();
    let resumed = monitor(dir.path()).resume().build().unwrap();
    observe(&resumed, 4..5, 0);
    finished(&resumed);
    assert_eq!(epochs(&run.read().unwrap()), [0, 1, 2, 3, 4]);
}

#[test]
fn a_run_that_begins_anew_keeps_what_it_says_of_epoch_0() {
    let dir = tempfile::tempdir().unwrap();
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..3, 0);
    first.notice(Some(0), "before");
    finished(&first);
    drop(first);
    // Other initial weights: nothing of the log counts.
    let second = monitor(dir.path()).resume().build().unwrap();
    observe(&second, 0..2, 5);
    second.notice(Some(0), "after");
    let outcome = finished(&second);
    for run in [
        &outcome.trajectory,
        &RunDir::new(dir.path()).read().unwrap(),
    ] {
        assert_eq!(epochs(run), [0, 1]);
        let scalars: Vec<(usize, f64)> = run.scalar("valid loss").collect();
        assert_eq!(scalars, [(0, 5.0), (1, 6.0)]);
        let said: Vec<String> = events(run).iter().map(|e| e.to_string()).collect();
        assert!(said.contains(&"after".to_owned()) && !said.contains(&"before".to_owned()));
        assert!(run.resumed()[0].anew);
    }
}

#[test]
fn what_was_told_before_a_kill_is_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..2, 0);
    // The loss of epoch 2 is in the log, its observation is not.
    first.scalar(2, "valid loss", 20.0);
    finished(&first);
    drop(first);
    let second = monitor(dir.path()).resume().build().unwrap();
    // Before the first observation nobody knows which branch this is.
    second.scalar(2, "valid loss", 21.0);
    second.submit(stamp(2), snapshot(2, 0));
    let outcome = finished(&second);
    for run in [
        &outcome.trajectory,
        &RunDir::new(dir.path()).read().unwrap(),
    ] {
        assert_eq!(epochs(run), [0, 1, 2]);
        let last = run.scalar("valid loss").last().unwrap();
        assert_eq!(last, (2, 21.0));
        assert_eq!(run.scalar("valid loss").count(), 3);
        assert!(run.abandoned().is_empty());
    }
}

#[test]
fn a_model_that_comes_back_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..2, 0);
    first.submit(stamp(2), grown());
    finished(&first);
    drop(first);
    let second = monitor(dir.path()).resume().build().unwrap();
    second.submit(stamp(1), snapshot(1, 0));
    second.submit(stamp(2), snapshot(2, 3));
    let outcome = finished(&second);
    for run in [
        &outcome.trajectory,
        &RunDir::new(dir.path()).read().unwrap(),
    ] {
        assert_eq!(run.layers(), ["fc1", "fc2"]);
        // The branch that grew is abandoned, and so is what was said of it.
        let grown = |e: &&&Event| matches!(e, Event::OtherModel { added, .. } if !added.is_empty());
        assert_eq!(events(run).iter().filter(grown).count(), 0);
    }
}

#[test]
fn a_torn_first_observation_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path());
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..1, 0);
    finished(&first);
    drop(first);
    // A kill after the first layer's record.
    let text = fs::read_to_string(run.log()).unwrap();
    let end = text.find("\"layer\":\"fc2\"").unwrap();
    fs::write(run.log(), &text[..end]).unwrap();
    let second = monitor(dir.path()).resume().build().unwrap();
    observe(&second, 0..2, 1);
    let read = finished(&second).trajectory;
    assert_eq!(epochs(&read), [0, 1]);
    assert_eq!(read.records().len(), 4);
    assert!(read.abandoned().is_empty());
    assert!(events(&read).contains(&&Event::CutOffLine));
    let norm = |v: &[f32]| v.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let new = norm(&snapshot(0, 1).tensors[0].values);
    let known = read.records()[0].values().unwrap().primary.norm;
    assert!((known / new - 1.0).abs() < 1e-9);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_moved_or_taken_loses_no_line() {
    // Moved: the log goes on where it is.
    let dir = tempfile::tempdir().unwrap();
    let (run, moved) = (dir.path().join("run"), dir.path().join("moved"));
    let first = monitor(&run).build().unwrap();
    observe(&first, 0..2, 0);
    wait_for("observations", || {
        lines(&run, |l| matches!(l, Line::Scalar(_))) == 2
    });
    fs::rename(&run, &moved).unwrap();
    observe(&first, 2..4, 0);
    let outcome = first.finish();
    let log = outcome
        .failures
        .iter()
        .find(|f| f.sink.ends_with("log.jsonl"));
    assert!(
        matches!(log.unwrap().error, Error::FileMoved { .. }),
        "{:?}",
        outcome.failures
    );
    assert_eq!(epochs(&RunDir::new(&moved).read().unwrap()), [0, 1, 2, 3]);
    drop(first);

    // Taken by another run, which keeps its log.
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let first = monitor(&run).build().unwrap();
    observe(&first, 0..2, 0);
    wait_for("observations", || {
        lines(&run, |l| matches!(l, Line::Scalar(_))) == 2
    });
    // Nothing is written any more: also the full analyses are done.
    wait_for("full analyses", || {
        lines(&run, |l| matches!(l, Line::Full(_))) == 2 && !run.join("pending").exists()
    });
    wait_for("removal", || fs::remove_dir_all(&run).is_ok());
    let other = Monitor::builder()
        .run("other")
        .dir(&run)
        .overload(Overload::Wait);
    let other = other.build().unwrap();
    observe(&other, 0..3, 4);
    observe(&first, 2..4, 0);
    let outcome = first.finish();
    assert!(!outcome.failures.is_empty());
    finished(&other);
    let read = RunDir::new(&run).read().unwrap();
    assert_eq!((read.run(), epochs(&read)), ("other", vec![0, 1, 2]));
    let beside = fs::read_dir(&run).unwrap().map(|e| e.unwrap().path());
    let lost = |p: &std::path::PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        name.contains(".lost-") && !name.ends_with(".lock")
    };
    let lost = beside.into_iter().find(lost).unwrap();
    assert_eq!(epochs(&Trajectory::read_jsonl(lost).unwrap()), [0, 1, 2, 3]);
}

#[test]
fn what_a_former_run_left_is_not_taken_for_this_ones() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path());
    let first = monitor(dir.path()).build().unwrap();
    observe(&first, 0..4, 0);
    finished(&first);
    drop(first);
    fs::remove_file(run.log()).unwrap();
    let second = monitor(dir.path()).build().unwrap();
    observe(&second, 0..2, 3);
    let read = finished(&second).trajectory;
    let file = run.spectra().join("epoch-00000-step-000000000.safetensors");
    let kept = heavytail::sink::read_spectra(file).unwrap();
    let (name, spectrum) = &kept[0];
    let record = read.layer(name).next().unwrap().values().unwrap();
    assert_eq!(
        record.primary.lambda_max_x.to_bits(),
        spectrum.lambda_max().to_bits()
    );
    assert!(
        !run.spectra()
            .join("epoch-00003-step-000000030.safetensors")
            .exists()
    );
}

#[test]
fn a_training_that_panics_has_died() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let training = std::thread::spawn(move || {
        let monitor = monitor(&path).build().unwrap();
        observe(&monitor, 0..2, 0);
        panic!("the training panics");
    });
    assert!(training.join().is_err());
    let run = RunDir::new(dir.path());
    assert_eq!(run.state().unwrap(), RunState::Died);
    assert_eq!(epochs(&run.read().unwrap()), [0, 1]);
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = RunDir::new(dir.path()).log();
    let made = Command::new("mkfifo").arg(&log).status();
    if !made.is_ok_and(|s| s.success()) {
        return;
    }
    for error in [
        Trajectory::read_jsonl(&log).unwrap_err(),
        monitor(dir.path()).resume().build().unwrap_err(),
    ] {
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
