//! Event files as TensorBoard wants them: read back frame by frame, and by TensorBoard itself where
//! `$PYTHON` has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::Stamp;
use heavytail::sink::{TensorBoardSink, read_spectra, tensorboard};
use heavytail::{Monitor, Trajectory};

#[allow(dead_code)]
use crate::noise::matrix;
use crate::python::python;

/// A protobuf message taken apart: field numbers with what they hold.
struct Message(Vec<(u64, Field)>);

enum Field {
    Int(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

impl Message {
    fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let field = match tag & 7 {
                0 => Field::Int(varint(&mut bytes)),
                1 => Field::Fixed64(bytes.split_off(..8).unwrap().try_into().unwrap()),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    Field::Bytes(bytes.split_off(..length).unwrap().to_vec())
                }
                5 => Field::Fixed32(bytes.split_off(..4).unwrap().try_into().unwrap()),
                other => panic!("wire type {other}"),
            };
            fields.push((tag >> 3, field));
        }
        Self(fields)
    }

    fn all(&self, field: u64) -> impl Iterator<Item = &Field> {
        let of = self.0.iter().filter(move |(number, _)| *number == field);
        of.map(|(_, value)| value)
    }

    fn bytes(&self, field: u64) -> Option<&[u8]> {
        self.all(field).find_map(|f| match f {
            Field::Bytes(bytes) => Some(&bytes[..]),
            _ => None,
        })
    }

    fn text(&self, field: u64) -> String {
        String::from_utf8(self.bytes(field).unwrap_or_default().to_vec()).unwrap()
    }

    fn message(&self, field: u64) -> Option<Message> {
        self.bytes(field).map(Message::read)
    }

    fn int(&self, field: u64) -> u64 {
        let int = self.all(field).find_map(|f| match f {
            Field::Int(value) => Some(*value),
            _ => None,
        });
        int.unwrap_or(0)
    }
}

/// CRC-32C, bit by bit.
fn masked_crc(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn frames(path: &Path) -> Vec<Message> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let number = |b: &[u8]| u32::from_le_bytes(b.try_into().unwrap());
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(number(&rest[8..12]), masked_crc(&rest[..8]));
        let payload = &rest[12..12 + length];
        assert_eq!(number(&rest[12 + length..16 + length]), masked_crc(payload));
        frames.push(Message::read(payload));
        rest = &rest[16 + length..];
    }
    frames
}

#[derive(Debug, PartialEq)]
enum Shown {
    Scalar(f32),
    Histogram(Vec<[f64; 3]>),
    Text(String),
}

/// What a file shows, by tag and step.
fn shown(path: &Path) -> BTreeMap<(String, u64), Shown> {
    let frames = frames(path);
    assert_eq!(frames[0].text(3), "brain.Event:2");
    let mut all = BTreeMap::new();
    for event in &frames[1..] {
        let Some(Field::Fixed64(time)) = event.all(1).next() else {
            panic!("no wall time")
        };
        assert!(f64::from_le_bytes(*time) > 1.7e9);
        let Some(summary) = event.message(5) else {
            // A resumed run says so, by a session's start.
            assert_eq!(event.message(7).unwrap().int(1), 1);
            continue;
        };
        for value in summary.all(1) {
            let Field::Bytes(value) = value else { panic!() };
            let value = Message::read(value);
            let metadata = value.message(9).unwrap();
            let plugin = metadata.message(1).unwrap().text(1);
            let tensor = value.message(8);
            let shown = match (plugin.as_str(), metadata.int(4), tensor) {
                ("scalars", 1, None) => match value.all(2).next() {
                    Some(Field::Fixed32(bytes)) => Shown::Scalar(f32::from_le_bytes(*bytes)),
                    _ => panic!("no number"),
                },
                ("histograms", 2, Some(tensor)) => {
                    assert_eq!(tensor.int(1), 2);
                    let content = tensor.bytes(4).unwrap_or_default();
                    let numbers: Vec<f64> = content
                        .chunks_exact(8)
                        .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                        .collect();
                    let sizes = tensor.message(2).unwrap();
                    let sizes: Vec<u64> = sizes
                        .all(2)
                        .map(|size| match size {
                            Field::Bytes(bytes) => Message::read(bytes).int(1),
                            _ => panic!("no size"),
                        })
                        .collect();
                    assert_eq!(sizes, [numbers.len() as u64 / 3, 3]);
                    let bins = numbers.chunks_exact(3).map(|b| [b[0], b[1], b[2]]);
                    Shown::Histogram(bins.collect())
                }
                ("text", 2, Some(tensor)) => Shown::Text(tensor.text(8)),
                other => panic!("{:?} {}", other.0, other.1),
            };
            let old = all.insert((value.text(1), event.int(2)), shown);
            let tag = value.text(1);
            // A verdict that a full analysis has changed is written again at the end.
            let again = tag == "notices" || tag.starts_with("verdict/");
            assert!(old.is_none() || again, "{tag} twice");
        }
    }
    all
}

fn snapshot(seed: u64) -> Snapshot {
    let mut tensors = vec![
        matrix("fc1.weight", 120, 60, seed),
        matrix("fc2.weight", 60, 5, seed),
    ];
    if seed == 1 {
        tensors[1].values[7] = f32::NAN;
    }
    Snapshot::new(tensors)
}

fn observe(monitor: &Monitor, epochs: std::ops::Range<usize>) -> Trajectory {
    for epoch in epochs {
        let step = 10 * epoch as u64;
        monitor.submit(Stamp { epoch, step }, snapshot(epoch as u64));
        monitor.scalar(epoch, "valid loss", 1.0 / (1.0 + epoch as f64));
    }
    monitor.scalar(1, "train loss", f64::NAN);
    let outcome = monitor.finish();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    outcome.trajectory
}

fn export(run: &Path, folder: &Path) -> PathBuf {
    let log = Trajectory::read_jsonl(run.join("log.jsonl")).unwrap();
    tensorboard::export(&log, Some(&run.join("spectra")), folder).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_file_shows_what_the_log_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (out, board) = (dir.path().join("demo"), dir.path().join("board"));
    let builder = || Monitor::builder().dir(&out).overload(Overload::Wait);
    let sink = TensorBoardSink::create(&board).unwrap();
    let monitor = builder().sink(sink).build().unwrap();
    let first = observe(&monitor, 0..3);
    let resumed = TensorBoardSink::create(&board).unwrap();
    let monitor = builder().resume().sink(resumed).build().unwrap();
    let all = observe(&monitor, 3..5);
    assert_eq!((first.summaries().len(), all.summaries().len()), (3, 5));

    // A file a process; together they are what an export of the log shows.
    let live = files(&board);
    assert_eq!(live.len(), 2);
    let name = live[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        name.starts_with("events.out.tfevents.") && name.ends_with(".heavytail"),
        "{name}"
    );
    let mut together = shown(&live[0]);
    together.extend(shown(&live[1]));
    let exported = export(&out, &dir.path().join("exported"));
    assert_eq!(exported, export(&out, &dir.path().join("exported")));
    let mut exported = shown(&exported);
    // When a notice came that belongs to no epoch, a log does not say.
    assert!(exported.keys().any(|(tag, _)| tag == "notices"));
    together.retain(|(tag, _), _| tag != "notices");
    exported.retain(|(tag, _), _| tag != "notices");
    assert_eq!(together, exported);

    for record in all.records() {
        let at = |name: &str| {
            let key = (
                format!("{name}/{}", record.layer),
                record.stamp.epoch as u64,
            );
            exported.get(&key)
        };
        let Some(values) = record.values() else {
            assert!(at("alpha").is_none() && at("stable_rank").is_none());
            assert!(matches!(at("verdict"), Some(Shown::Text(t)) if t.contains("1 of 300")));
            continue;
        };
        let scalar = |number: Option<f64>| number.map(|n| Shown::Scalar(n as f32));
        assert_eq!(at("alpha"), scalar(values.primary.alpha).as_ref());
        assert_eq!(
            at("alpha_hat"),
            scalar(values.primary.alpha_weighted).as_ref()
        );
        assert_eq!(
            at("stable_rank"),
            scalar(Some(values.primary.stable_rank)).as_ref()
        );
        assert_eq!(at("soft_rank"), scalar(values.mp_softrank).as_ref());
        assert_eq!(
            at("lambda_max"),
            scalar(Some(values.primary.lambda_max)).as_ref()
        );
        assert_eq!(
            at("phase"),
            scalar(values.phase.map(|p| f64::from(p as u8))).as_ref()
        );
        let title = values.phase.map_or("no phase", |p| p.title());
        assert!(matches!(at("verdict"), Some(Shown::Text(t)) if t.contains(title)));
        let Some(Shown::Histogram(bins)) = at("esd_x") else {
            panic!("no histogram")
        };
        let spectra = out.join("spectra").join(format!(
            "epoch-{:05}-step-{:09}.safetensors",
            record.stamp.epoch, record.stamp.step
        ));
        let spectra = read_spectra(spectra).unwrap();
        let (_, spectrum) = spectra
            .iter()
            .find(|(name, _)| *name == record.layer)
            .unwrap();
        let eigenvalues = spectrum.eigenvalues();
        assert_eq!(bins[0][0], eigenvalues[0]);
        assert_eq!(bins[bins.len() - 1][1], spectrum.lambda_max());
        let mut below = 0.0;
        for bin in bins {
            below += bin[2];
            let truth = eigenvalues.iter().filter(|&&v| v <= bin[1]).count() as f64;
            assert!((below - truth).abs() <= 1.0, "an edge may be either bin's");
        }
        assert_eq!(below, eigenvalues.len() as f64);
    }
    assert!(exported.contains_key(&("training/valid loss".into(), 4)));
    assert!(!exported.keys().any(|(tag, _)| tag == "training/train loss"));
}

#[test]
fn steps_can_be_the_axis() {
    let dir = tempfile::tempdir().unwrap();
    let (out, board) = (dir.path().join("demo"), dir.path().join("board"));
    let sink = TensorBoardSink::create(&board).unwrap().by_step();
    let monitor = Monitor::builder()
        .dir(&out)
        .sink(sink)
        .overload(Overload::Wait);
    let monitor = monitor.build().unwrap();
    for (epoch, step) in [(0, 0), (0, 5), (1, 10), (1, 15)] {
        monitor.submit(Stamp { epoch, step }, snapshot(2));
    }
    monitor.scalar(1, "valid loss", 0.5);
    monitor.finish();
    let exported = export(&out, &dir.path().join("exported"));
    for file in [&files(&board)[0], &exported] {
        let shown = shown(file);
        let steps = |tag: &str| -> Vec<u64> {
            shown
                .keys()
                .filter(|(t, _)| t == tag)
                .map(|(_, s)| *s)
                .collect()
        };
        assert_eq!(steps("stable_rank/fc1.weight"), [0, 5, 10, 15]);
        assert_eq!(steps("training/valid loss"), [10]);
    }
}

#[test]
fn tensorboard_reads_it() {
    let Some(python) = python("tensorboard") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("demo");
    let monitor = Monitor::builder().dir(&out).overload(Overload::Wait);
    observe(&monitor.build().unwrap(), 0..4);
    export(&out, &dir.path().join("board/demo"));
    python.run(
        "tests/readers/read_tensorboard.py",
        &[&out, &dir.path().join("board")],
    );
}

#[test]
fn a_run_that_goes_back_leaves_no_point_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (out, board) = (dir.path().join("demo"), dir.path().join("board"));
    let train = |epochs: std::ops::Range<usize>, branch: u64| {
        let sink = TensorBoardSink::create(&board).unwrap();
        let monitor = Monitor::builder().dir(&out).resume().sink(sink);
        let monitor = monitor.overload(Overload::Wait).build().unwrap();
        for epoch in epochs {
            let step = 10 * epoch as u64;
            let seed = epoch as u64 + if epoch > 2 { 100 * branch } else { 0 };
            monitor.submit(Stamp { epoch, step }, snapshot(seed));
            monitor.scalar(epoch, "valid loss", epoch as f64 + 10.0 * branch as f64);
        }
        monitor.finish().trajectory
    };
    assert_eq!(train(0..6, 0).summaries().len(), 6);
    // Back at the weights of epoch 2, whose loss is known.
    let run = train(2..5, 1);
    assert_eq!((run.summaries().len(), run.abandoned().len()), (5, 3));
    let later = frames(&files(&board)[1]);
    let session = later
        .iter()
        .find_map(|event| Some((event.int(2), event.message(7)?)));
    let (step, session) = session.unwrap();
    assert_eq!((step, session.int(1)), (3, 1));
    if let Some(python) = python("tensorboard") {
        python.run("tests/readers/read_session.py", &[&board]);
    }
}
