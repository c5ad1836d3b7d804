//! The program on runs: exported, and watched where there is no terminal.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use heavytail::matrix::{LayerTensor, Layout};
use heavytail::monitor::{Monitor, Overload, Snapshot};
use heavytail::record::Stamp;

fn heavytail(arguments: &[&str], columns: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heavytail"))
        .args(arguments)
        .env("COLUMNS", columns)
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str], columns: &str) -> String {
    let output = heavytail(arguments, columns);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str], why: &str) {
    let output = heavytail(arguments, "80");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(why), "{errors}");
}

/// A run of two layers and three observations.
fn training(folder: &str, name: &str) {
    let monitor = Monitor::builder().run(name).dir(folder);
    let monitor = monitor.overload(Overload::Wait).build().unwrap();
    for epoch in 0..3 {
        let tensor = |name: &str, rows: usize, cols: usize| LayerTensor {
            name: name.into(),
            layout: Layout::Matrix,
            shape: vec![rows, cols],
            values: (0..rows * cols)
                .map(|i| ((i * (7919 + 2 * epoch)) % 1009) as f32 - 504.0)
                .collect(),
        };
        let snapshot = Snapshot::new(vec![
            tensor("fc1.weight", 90, 60),
            tensor("fc2.weight", 60, 30),
        ]);
        let step = 10 * epoch as u64;
        monitor.submit(Stamp { epoch, step }, snapshot);
        monitor.scalar(epoch, "valid loss", 0.25);
    }
    monitor.notice(Some(2), "something to know");
    monitor.finish();
}

#[test]
fn one_picture_of_a_running_training() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("demo").display().to_string();
    refused(&["watch", &run], "log.jsonl: there is no log yet");
    training(&run, "demo");
    // The next line is only half there.
    let log = Path::new(&run).join("log.jsonl");
    let log = std::fs::OpenOptions::new().append(true).open(log);
    log.unwrap().write_all(b"{\"kind\":\"lay").unwrap();

    // The output is no terminal here, so that the flag changes nothing.
    assert_eq!(
        stdout(&["watch", &run], "80").lines().count(),
        stdout(&["watch", "--once", &run], "80").lines().count()
    );
    for columns in ["60", "80", "200"] {
        let text = stdout(&["watch", "--once", &run], columns);
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

#[test]
fn runs_are_exported() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (a, b, copy) = (path("a"), path("b"), path("copy"));
    training(&a, "first run");
    training(&b, "second");
    training(&copy, "second");

    let table = path("table.csv");
    let said = stdout(&["export", "csv", &a, &b, "-o", &table], "80");
    assert_eq!(said, format!("{table}\n"));
    let mut rows = csv::Reader::from_path(&table).unwrap();
    let runs: Vec<String> = rows.records().map(|r| r.unwrap()[0].to_owned()).collect();
    assert_eq!(runs.len(), 12);
    assert_eq!(
        (runs[0].as_str(), runs[11].as_str()),
        ("first run", "second")
    );

    let board = path("board");
    let said = stdout(&["export", "tensorboard", &a, &b, "-o", &board], "80");
    let files: Vec<&Path> = said.lines().map(Path::new).collect();
    assert_eq!(
        files[0].parent().unwrap(),
        Path::new(&board).join("first_run")
    );
    assert_eq!(files[1].parent().unwrap(), Path::new(&board).join("second"));
    // Histograms make most of it.
    assert!(
        files
            .iter()
            .all(|f| f.metadata().unwrap().len() > 12 * 60 * 24)
    );

    refused(
        &["export", "csv", &b, &copy, "-o", &table],
        "have the same run name `second`",
    );
    refused(&["export", "csv", &board, "-o", &table], "has no log.jsonl");
    let parquet = path("table.parquet");
    if cfg!(feature = "parquet") {
        stdout(&["export", "parquet", &a, &b, "-o", &parquet], "80");
        assert!(std::fs::read(&parquet).unwrap().ends_with(b"PAR1"));
    } else {
        refused(
            &["export", "parquet", &a, "-o", &parquet],
            "--features cli,parquet",
        );
        assert!(!Path::new(&parquet).exists());
    }
}
