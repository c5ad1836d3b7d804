//! `heavytail watch` where there is no terminal: one picture as text.
#![cfg(feature = "watch")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use heavytail::matrix::{LayerTensor, Layout};
use heavytail::monitor::{Monitor, Overload, Snapshot};
use heavytail::record::Stamp;

fn watch(run: &Path, columns: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heavytail"))
        .args(["watch", "--once"])
        .arg(run)
        .env("COLUMNS", columns)
        .output()
        .unwrap()
}

#[test]
fn one_picture_of_a_running_training() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("demo");
    let output = watch(&run, "80");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains("log.jsonl: there is no log yet"),
        "{errors}"
    );

    let monitor = Monitor::builder().out(&run).overload(Overload::Wait);
    let monitor = monitor.build().unwrap();
    for epoch in 0..3 {
        let tensor = |name: &str, rows: usize, cols: usize| LayerTensor {
            name: name.into(),
            layout: Layout::Matrix,
            shape: vec![rows, cols],
            values: (0..rows * cols)
                .map(|i| ((i * (7919 + 2 * epoch)) % 1009) as f32 - 504.0)
                .collect(),
        };
        let snapshot = Snapshot {
            tensors: vec![tensor("fc1.weight", 90, 60), tensor("fc2.weight", 60, 30)],
            ..Snapshot::default()
        };
        let step = 10 * epoch as u64;
        monitor.submit(Stamp { epoch, step }, snapshot);
        monitor.scalar(epoch, "valid loss", 0.25);
    }
    monitor.notice(Some(2), "something to know");
    monitor.finish();
    // The next line is only half there.
    let log = std::fs::OpenOptions::new()
        .append(true)
        .open(run.join("log.jsonl"));
    log.unwrap().write_all(b"{\"kind\":\"lay").unwrap();

    for columns in ["60", "80", "200"] {
        let output = watch(&run, columns);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let wide = text.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(wide <= columns.parse().unwrap(), "{text}");
        let words = [
            "demo · epoch 2 · step 20",
            "valid loss 0.2500",
            "fc1.weight",
            "fc2.weight",
            "epoch 2: something to know",
        ];
        for word in words {
            assert!(text.contains(word), "{word}:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
