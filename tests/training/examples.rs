//! Every example, run in short form. Plain `cargo test` builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

fn run(example: &str, arguments: &[&str]) -> String {
    // target/<profile>/deps/<this test> → target/<profile>/examples/<example>
    let test = std::env::current_exe().unwrap();
    let profile: PathBuf = test.parent().and_then(Path::parent).unwrap().into();
    let program = profile
        .join("examples")
        .join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "{} is not built: run the whole of `cargo test`",
        program.display()
    );
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{example}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

#[test]
fn offline_matrix() {
    let text = run("offline_matrix", &[]);
    assert!(
        text.contains("Random-like") && text.contains("Bulk+Spikes"),
        "{text}"
    );
}

#[test]
fn phase_confusion() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let text = run(
        "phase_confusion",
        &["--only", "collapse", "--effort", "0.01", "--out", out],
    );
    assert!(text.contains("Rank-collapse recognised: 288/288"), "{text}");
    assert!(dir.path().join("collapse.json").exists());
}

#[test]
fn custom_loop() {
    let text = run("custom_loop", &["--epochs", "1", "--train-items", "64"]);
    assert!(
        text.contains("epoch 0: α = ") && text.contains("epoch 1: α = "),
        "{text}"
    );
}

#[test]
fn lenet5() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let out = out.to_str().unwrap();
    let arguments = ["--epochs", "2", "--train-items", "64", "--out", out];
    let text = run("lenet5", &arguments);
    for word in [
        "initial weights",
        "epoch 2: ",
        "α ± σ",
        "fc1.weight",
        "Random-like",
        "log.jsonl",
    ] {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
    for line in text
        .lines()
        .filter(|l| l.starts_with("  ") && l.contains(out))
    {
        assert!(Path::new(line.trim()).exists(), "{line} was promised");
    }
    // A second run does not touch the first.
    let short = ["--epochs", "1", "--train-items", "32", "--out", out];
    assert!(run("lenet5", &short).contains(&format!("{out}-2")));
}

#[test]
fn mini_alexnet() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let out = out.to_str().unwrap();
    let text = run(
        "mini_alexnet",
        &[
            "--epochs",
            "1",
            "--train-items",
            "32",
            "--test-items",
            "16",
            "--out",
            out,
        ],
    );
    for word in [
        "embedded Fashion-MNIST",
        "[4096, 384]",
        "[384, 192]",
        "Random-like",
    ] {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
    assert!(dir.path().join("run/figures/esd-fc1.weight.svg").exists());
}

#[test]
fn batch_size_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("sweep");
    let text = run(
        "batch_size_sweep",
        &[
            "--batch-sizes",
            "16,32",
            "--epochs",
            "1",
            "--train-items",
            "64",
            "--out",
            out.to_str().unwrap(),
        ],
    );
    assert!(
        text.contains("batch size 16") && text.contains("batch size 32"),
        "{text}"
    );
    assert!(out.join("phases.svg").exists() && out.join("results.jsonl").exists());
}

#[test]
fn missing_data_is_explained() {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/lenet5");
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(["--data", "no/such/folder", "--out"])
        .arg(dir.path().join("x"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("no/such/folder"),
        "{text}"
    );
}
