//! The program on weight files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::Value;

const BANK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/reference/bank.safetensors"
);
const EXPECTED: &str = include_str!("../reference/bank.json");

fn heavytail(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_heavytail"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = heavytail(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{errors}");
    text
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(arguments)).unwrap()
}

fn by_name(report: &Value) -> BTreeMap<String, Value> {
    let layers = report["layers"].as_array().unwrap();
    let pair = |l: &Value| (l["name"].as_str().unwrap().to_owned(), l.clone());
    layers.iter().map(pair).collect()
}

/// A model of f32 tensors.
fn model(path: &Path, tensors: &[(&str, &[usize], Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, v)| v.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap(),
        )
    });
    serialize_to_file(views, None, path).unwrap();
}

/// Numbers without a pattern.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next() + next() + next()).collect()
}

#[test]
fn columns_are_the_references_through_the_command_line() {
    let cases: BTreeMap<String, Value> = serde_json::from_str(EXPECTED).unwrap();
    let run = |extra: &[&str]| {
        let arguments = ["analyze", BANK, "--include", "/weight$", "--format", "json"];
        by_name(&json(&[&arguments[..], extra].concat()))
    };
    let (ours, compat) = (run(&[]), run(&["--compat", "weightwatcher"]));
    let (mut compared, mut shared) = (0, 0);
    for (name, case) in &cases {
        let ww = &case["ww"];
        let Some(row) = compat.get(&format!("{name}/weight")) else {
            continue;
        };
        let degenerate = [
            "e_allzero",
            "e_const",
            "e_rank1",
            "e_identity",
            "e_orthogonal",
            "e_tinyscale",
        ];
        if ww["status"] != "success" || degenerate.iter().any(|d| name.starts_with(d)) {
            continue;
        }
        // Its convolutions with more outputs than inputs and even kernels have N and M swapped.
        let columns = [
            "alpha",
            "D",
            "sigma",
            "xmin",
            "num_pl_spikes",
            "lambda_max",
            "log_spectral_norm",
            "log_norm",
            "stable_rank",
            "num_evals",
            "alpha_weighted",
            "log_alpha_norm",
        ];
        let agree = |row: &Value| {
            let present = columns.iter().filter(|column| !ww[**column].is_null());
            present
                .map(|column| {
                    let (a, b) = (&row[*column], &ww[*column]);
                    let close = a
                        .as_f64()
                        .zip(b.as_f64())
                        .is_some_and(|(a, b)| (a - b).abs() <= 1e-8 * b.abs().max(1e-12));
                    assert!(close, "{name} {column}: {a} {b}");
                })
                .count()
        };
        compared += agree(row);
        // Without the flag a convolution is its unfolding, and no eigenvalue is cut off by scale.
        let row = &ours[&format!("{name}/weight")];
        if row["cut"] == "whole" && case["n_nz"] == ww["num_evals"] && !name.contains("partscale") {
            shared += agree(row);
        }
    }
    assert!(compared > 200 && shared > 150, "{compared} {shared}");
}

#[test]
fn with_compat_all_numbers_of_a_row_are_of_one_matrix() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let tensors: [(&str, &[usize], Vec<f32>); 2] = [
        ("conv.weight", &[48, 32, 3, 3], noise(48 * 32 * 9, 1)),
        ("fc.weight", &[60, 40], noise(60 * 40, 2)),
    ];
    model(&path, &tensors);
    let path = path.to_str().unwrap();
    let rows = by_name(&json(&[
        "analyze",
        path,
        "--format",
        "json",
        "--depth",
        "full",
        "--compat",
        "weightwatcher",
    ]));
    let (conv, fc) = (&rows["conv.weight"], &rows["fc.weight"]);
    assert_eq!(
        (&conv["cut"], &fc["cut"]),
        (&"pooled".into(), &"whole".into())
    );
    // These numbers exist for one matrix only, and the slices together are none.
    for column in [
        "noise_alpha_low",
        "noise_alpha",
        "noise_alpha_high",
        "bulk_min_x",
        "bulk_max_x",
        "bulk_edge_x",
        "bulk_d",
        "bulk_d95",
        "bulk_d_p",
        "lambda_max_p",
        "num_null",
        "phase",
        "phase_confidence",
        "full",
    ] {
        let Some(value) = fc.get(column) else {
            panic!("no column {column}");
        };
        assert!(!value.is_null(), "{column} of a dense layer");
        assert!(conv[column].is_null(), "{column}: {}", conv[column]);
    }
    for row in [conv, fc] {
        let number = |column: &str| row[column].as_f64().unwrap();
        let n = number("N");
        for (gram, x) in [
            ("lambda_max", "lambda_max_x"),
            ("norm", "norm_x"),
            ("xmin", "xmin_x"),
        ] {
            let (gram, x) = (number(gram), row[x].as_f64().unwrap());
            assert!((gram - n * x).abs() < 1e-9 * gram, "{gram} {n} {x}");
        }
    }
    assert_eq!((&conv["N"], &conv["M"]), (&48.into(), &32.into()));
}

#[test]
fn every_tensor_is_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let twin = noise(60 * 40, 3);
    let mut broken = noise(40 * 30, 4);
    broken[7] = f32::NAN;
    model(
        &path,
        &[
            ("fc.weight", &[60, 40], noise(2400, 1)),
            ("fc.bias", &[60], noise(60, 2)),
            ("head.weight", &[60, 40], twin.clone()),
            ("embed.weight", &[60, 40], twin),
            ("broken.weight", &[40, 30], broken),
            ("thin.weight", &[1, 30], noise(30, 5)),
            ("attn.in_proj_weight", &[96, 32], noise(96 * 32, 6)),
            ("conv.weight", &[24, 8, 3, 3], noise(24 * 72, 7)),
            ("odd", &[2, 3, 64, 64], noise(2 * 3 * 64 * 64, 8)),
            ("zero.weight", &[30, 20], vec![0.0; 600]),
        ],
    );
    let path = path.to_str().unwrap();
    let output = heavytail(&["analyze", path, "--format", "json"]);
    assert_eq!(output.status.code(), Some(3), "a layer failed");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], 2);
    let rows = by_name(&report);
    let why = |name: &str| rows[name]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(rows["broken.weight"]["status"], "failed");
    assert!(why("broken.weight").contains("1 of 1200 weights are not finite"));
    assert!(
        why("thin.weight").contains("fewer than 2"),
        "{}",
        why("thin.weight")
    );
    assert!(why("odd").contains("unknown meaning"));
    let tied = [&rows["head.weight"], &rows["embed.weight"]];
    assert_eq!(tied.iter().filter(|r| r["status"] == "success").count(), 1);
    assert!(rows.contains_key("attn.in_proj_weight[k]") && !rows.contains_key("fc.bias"));
    assert_eq!(rows["conv.weight"]["M"], 24);
    // Noise has the phase of noise, with a name of the six and a probability.
    assert_eq!(rows["fc.weight"]["phase"], "RandomLike");
    assert!(rows["fc.weight"]["phase_confidence"].as_f64().unwrap() > 0.5);
    // An all-zero layer spoils no mean.
    assert!(report["summary"]["log_norm"].as_f64().unwrap().is_finite());
    assert_eq!(report["summary"]["num_failed"], 1);

    let text = stdout(&["analyze", path, "--sort", "lambda_max"]);
    for word in [
        "Random-like",
        "Not analysed",
        "not finite",
        "workshop paper",
    ] {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
    let text = stdout(&["describe", path]);
    assert!(
        text.contains("q] 32×32") || text.contains("[q] 32×32"),
        "{text}"
    );
    let rows = |text: String| csv::Reader::from_reader(text.as_bytes()).records().count();
    let table = stdout(&["analyze", path, "--format", "csv", "--exclude", "zero"]);
    assert!(table.starts_with("model,"));
    assert_eq!(rows(table), 11);
    let lines = stdout(&["analyze", path, "--format", "jsonl", "--include", "^fc"]);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(
        first["model"]
            .as_str()
            .unwrap()
            .ends_with("model.safetensors")
    );
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let run = |jobs: &str| {
        let mut report = json(&[
            "analyze",
            BANK,
            "--include",
            "/weight$",
            "--format",
            "json",
            "--jobs",
            jobs,
        ]);
        for layer in report["layers"].as_array_mut().unwrap() {
            layer["seconds_analysis"] = Value::Null;
        }
        report["summary"]["seconds_analysis"] = Value::Null;
        report
    };
    assert!(run("1") == run("4"));
}

#[test]
fn parts_make_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let parts = dir.path().to_str().unwrap();
    let merge = [
        "merge", BANK, "--of", "3", "--parts", parts, "--format", "json",
    ];
    for part in ["2/3", "0/3"] {
        stdout(&["analyze", BANK, "--shard", part, "--parts", parts]);
    }
    let output = heavytail(&merge);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("part 1"),
        "{error}"
    );
    stdout(&["analyze", BANK, "--shard", "1/3", "--parts", parts]);
    let (mut whole, mut merged) = (json(&["analyze", BANK, "--format", "json"]), json(&merge));
    for report in [&mut whole, &mut merged] {
        report["summary"]["seconds_analysis"] = Value::Null;
        for layer in report["layers"].as_array_mut().unwrap() {
            layer["seconds_analysis"] = Value::Null;
        }
    }
    for (a, b) in whole["layers"]
        .as_array()
        .unwrap()
        .iter()
        .zip(merged["layers"].as_array().unwrap())
    {
        assert_eq!(a, b);
    }
    assert_eq!(whole["summary"], merged["summary"]);
    let output = heavytail(&["analyze", BANK, "--shard", "3/3", "--parts", parts]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn adapters_are_multiplied_out() {
    let dir = tempfile::tempdir().unwrap();
    let (adapter, base) = (
        dir.path().join("adapter_model.safetensors"),
        dir.path().join("base.safetensors"),
    );
    let config = dir.path().join("adapter_config.json");
    std::fs::write(config, "{\"lora_alpha\": 8, \"r\": 4}").unwrap();
    let (a, b) = (noise(4 * 40, 1), noise(60 * 4, 2));
    model(
        &adapter,
        &[
            ("base_model.model.fc.lora_A.weight", &[4, 40], a.clone()),
            ("base_model.model.fc.lora_B.weight", &[60, 4], b.clone()),
        ],
    );
    model(&base, &[("fc.weight", &[60, 40], noise(2400, 3))]);
    let rows = by_name(&json(&[
        "analyze",
        adapter.to_str().unwrap(),
        "--base",
        base.to_str().unwrap(),
        "--format",
        "json",
    ]));
    let text = stdout(&["describe", adapter.to_str().unwrap()]);
    assert!(
        text.contains("factor of the adapter of base_model.model.fc"),
        "{text}"
    );
    let product = &rows["base_model.model.fc[lora]"];
    // ‖2·B·A‖²_F by hand.
    let mut norm = 0.0;
    for i in 0..60 {
        for j in 0..40 {
            let sum: f64 = (0..4)
                .map(|k| f64::from(b[i * 4 + k]) * f64::from(a[k * 40 + j]))
                .sum();
            norm += 4.0 * sum * sum;
        }
    }
    assert!((product["norm"].as_f64().unwrap() / norm - 1.0).abs() < 1e-9);
    assert_eq!(product["matrix_rank"], 4);
    assert!(product["phase"].is_null() && product["alpha"].is_null());
    assert_eq!(product["phase_reason"]["reason"], "low_rank");
    assert_eq!(product["phase_reason"]["rank"], 4);
    assert!(product["alpha_reason"].is_object());
    assert_eq!(
        rows["base_model.model.fc[merged]"]["phase"]
            .as_str()
            .map(str::is_empty),
        Some(false)
    );
}

#[test]
fn models_are_compared_layer_by_layer() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (
        dir.path().join("a.safetensors"),
        dir.path().join("b.safetensors"),
    );
    let fc = noise(80 * 50, 1);
    let tuned: Vec<f32> = fc
        .iter()
        .enumerate()
        .map(|(i, v)| v + if i % 51 == 0 { 2.0 } else { 0.0 })
        .collect();
    let same = noise(60 * 40, 2);
    model(
        &a,
        &[
            ("fc.weight", &[80, 50], fc),
            ("old.weight", &[60, 40], same.clone()),
        ],
    );
    model(
        &b,
        &[
            ("fc.weight", &[80, 50], tuned),
            ("new.weight", &[60, 40], same),
        ],
    );
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let report = json(&["compare", a, b, "--json"]);
    let layers = report[0]["layers"].as_array().unwrap();
    assert_eq!(
        layers[0]["name"], "fc.weight",
        "what changed most comes first"
    );
    let distance = |i: usize, which: &str| layers[i][which].as_f64().unwrap();
    assert!(distance(0, "spectral_distance") <= distance(0, "weight_distance"));
    assert!(distance(0, "weight_distance") > 0.1);
    assert_eq!(
        (
            layers[1]["matched_with"].as_str(),
            distance(1, "weight_distance")
        ),
        (Some("new.weight"), 0.0)
    );
    assert!(stdout(&["compare", a, b]).contains("matched by shape with new.weight"));

    let scores = dir.path().join("scores.csv");
    std::fs::write(&scores, "model,score\na,91.5\nb.safetensors,92\n").unwrap();
    let figure = dir.path().join("scores.svg");
    let series = ["compare", a, b, "--scores", scores.to_str().unwrap()];
    let text = stdout(&[&series[..], &["--figure", figure.to_str().unwrap()]].concat());
    assert!(
        text.contains("2 models") && text.contains("alpha_hat_paper") && figure.exists(),
        "{text}"
    );
    std::fs::write(&scores, "model,score\na,high\n").unwrap();
    let output = heavytail(&series);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("line 2") && error.contains("high"),
        "{error}"
    );
}

#[test]
fn figures_completions_and_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    model(&path, &[("fc/../x.weight", &[80, 50], noise(4000, 1))]);
    let out = dir.path().join("figures");
    let text = stdout(&[
        "plot",
        path.to_str().unwrap(),
        "--output",
        out.to_str().unwrap(),
    ]);
    assert_eq!(text.lines().count(), 5);
    assert!(
        text.lines()
            .all(|line| Path::new(line).exists() && line.contains("figures")),
        "{text}"
    );
    assert!(stdout(&["completions", "bash"]).contains("heavytail"));

    for (arguments, code, words) in [
        (&["analyze", "no/such/file"][..], 1, "no/such/file"),
        (&["analyze", BANK, "--include", "("], 1, "`(`"),
        (&["analyze", BANK, "--jobs", "0"], 1, "at least 1"),
        (
            &["analyze", BANK, "--include", "a_", "--sort", "nonsense"],
            1,
            "nonsense",
        ),
        (&["analyze"], 2, "FILES"),
    ] {
        let output = heavytail(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn layers_of_any_name_have_figures_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let long = format!("{}weight", "block.".repeat(50));
    let names = ["a_b", "a:b", "A_B", &long];
    let layers: Vec<_> = names
        .iter()
        .zip(1..)
        .map(|(name, seed)| (*name, &[50, 40][..], noise(2000, seed)))
        .collect();
    model(&path, &layers);
    let out = dir.path().join("figures");
    let text = stdout(&[
        "plot",
        path.to_str().unwrap(),
        "--output",
        out.to_str().unwrap(),
    ]);
    // Two of each layer, α and phases of the model, α of all models.
    assert_eq!(text.lines().count(), 2 * names.len() + 3, "{text}");
    assert_eq!(
        std::fs::read_dir(&out).unwrap().count(),
        2 * names.len() + 3
    );
    for stem in ["m-esd-A_B", "m-esd-loglog-a_b-2", "m-esd-a_b-3"] {
        assert!(out.join(format!("{stem}.svg")).exists(), "{stem}: {text}");
    }
}

#[test]
fn tensors_of_a_missing_shard_have_rows_that_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join("there.safetensors");
    model(&there, &[("a.weight", &[40, 30], noise(1200, 1))]);
    let map = serde_json::json!({ "weight_map": {
        "a.weight": "there.safetensors", "b.weight": "gone.safetensors", "c.weight": "gone.safetensors",
    }});
    let index = dir.path().join("model.safetensors.index.json");
    std::fs::write(index, map.to_string()).unwrap();
    let folder = dir.path().to_str().unwrap();
    let arguments = ["analyze", folder, "--exclude", "c", "--format", "json"];
    let output = heavytail(&arguments);
    assert_eq!(output.status.code(), Some(3));
    let rows = by_name(&serde_json::from_slice(&output.stdout).unwrap());
    assert_eq!(rows["a.weight"]["status"], "success");
    assert_eq!(rows["b.weight"]["status"], "failed");
    assert_eq!(
        rows["b.weight"]["reason"],
        "its shard `gone.safetensors` is missing"
    );
    assert_eq!(rows["c.weight"]["status"], "skipped");
    assert!(stdout(&["describe", folder]).contains("none: its shard `gone.safetensors`"));
}

#[test]
fn an_error_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.csv");
    let out = out.to_str().unwrap();
    for arguments in [
        &["analyze", "no/such.npy"][..],
        &["describe", "no/such.npy"],
        &["analyze", BANK, "--base", "no/such.npy"],
        &["compare", BANK, "no/such.npy"],
        &["plot", "no/such.npy", "--output", out],
        &["report", "no/such.npy"],
        &["compare", BANK, BANK, "--scores", "no/such.npy"],
    ] {
        let output = heavytail(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        for part in ["no/such.npy", "os error"] {
            assert_eq!(error.matches(part).count(), 1, "{arguments:?}: {error}");
        }
    }
}

#[test]
fn runs_are_reported() {
    use heavytail::matrix::{LayerTensor, Layout};
    use heavytail::monitor::{Monitor, Snapshot};
    use heavytail::record::Stamp;

    let dir = tempfile::tempdir().unwrap();
    let folders = ["one", "two=2"].map(|name| dir.path().join(name));
    for (seed, folder) in (1..).zip(&folders) {
        let monitor = Monitor::builder().dir(folder).run("same").build().unwrap();
        let tensor = LayerTensor {
            name: "fc".into(),
            layout: Layout::Matrix,
            shape: vec![60, 40],
            values: noise(2400, seed),
        };
        let tensors = vec![tensor];
        monitor.submit(Stamp::default(), Snapshot::new(tensors));
        assert!(monitor.finish().failures.is_empty());
        std::fs::remove_file(folder.join("report.html")).unwrap();
    }
    let [one, two] = folders.each_ref().map(|f| f.to_str().unwrap());
    let written = stdout(&["report", one]);
    assert_eq!(Path::new(written.trim()), folders[0].join("report.html"));
    assert!(folders[0].join("report.html").exists());

    let out = dir.path().join("both.html");
    stdout(&[
        "report",
        &format!("batch 4={one}"),
        two,
        "--output",
        out.to_str().unwrap(),
    ]);
    let page = std::fs::read_to_string(out).unwrap();
    // The template's engine writes a slash as its character reference.
    for said in ["2 runs side by side", "batch 4", "two%3D2&#x2f;log.jsonl"] {
        assert!(page.contains(said), "{said}");
    }

    let failed = heavytail(&["report", dir.path().join("nothing").to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        String::from_utf8(failed.stderr)
            .unwrap()
            .contains("nothing")
    );
}
