//! Our α, xmin, D and columns against WeightWatcher's, on the bank in `tests/reference`.

use std::collections::BTreeMap;

use heavytail::fit::{fit_bulk, fit_tail};
use heavytail::matrix::{LayerTensor, Layout};
use heavytail::measures::erg;
use heavytail::record::{Record, Stamp};
use heavytail::spectrum::Spectrum;
use heavytail::{Config, analyze_tensor};
use safetensors::SafeTensors;
use serde_json::Value;

const TENSORS: &[u8] = include_bytes!("../reference/bank.safetensors");
const EXPECTED: &str = include_str!("../reference/bank.json");

/// All eigenvalues equal, or none above the reference's absolute cut: no tail exists.
const DEGENERATE: [&str; 6] = [
    "e_allzero_64x32",
    "e_const_64x32",
    "e_rank1_64x32",
    "e_identity_64x64",
    "e_orthogonal_128x64",
    "e_tinyscale_128x64",
];

fn cases() -> BTreeMap<String, Value> {
    serde_json::from_str(EXPECTED).unwrap()
}

fn floats<const K: usize, T>(name: &str, read: fn([u8; K]) -> T) -> Option<(Vec<usize>, Vec<T>)> {
    let file = SafeTensors::deserialize(TENSORS).unwrap();
    let view = file.tensor(name).ok()?;
    let values = view
        .data()
        .chunks_exact(K)
        .map(|b| read(b.try_into().unwrap()))
        .collect();
    Some((view.shape().to_vec(), values))
}

fn close(ours: f64, theirs: &Value, tolerance: f64, what: &str) {
    let theirs = theirs
        .as_f64()
        .unwrap_or_else(|| panic!("{what}: {theirs}"));
    let error = (ours - theirs).abs() / theirs.abs().max(1e-300);
    assert!(error <= tolerance, "{what}: {ours} against {theirs}");
}

#[test]
fn the_tail_is_the_references_on_its_own_eigenvalues() {
    let mut compared = 0;
    for (name, case) in cases() {
        let Some((_, mut evals)) = floats(&format!("{name}/evals"), f64::from_le_bytes) else {
            continue;
        };
        // The reference's absolute cut; ours is relative.
        evals.retain(|&x| x > 1e-5);
        evals.sort_by(f64::total_cmp);
        let fit = fit_tail(&evals);
        if DEGENERATE.contains(&name.as_str()) {
            assert!(fit.is_err(), "{name}: {fit:?}");
            continue;
        }
        let gap = case["gap"].as_f64().unwrap();
        assert!(gap > 1e-6, "{name}: xmin is not well determined");
        let (fit, ww) = (fit.unwrap(), &case["ww"]);
        close(fit.alpha, &ww["alpha"], 1e-9, &name);
        close(fit.xmin, &ww["xmin"], 1e-9, &name);
        close(fit.d, &ww["D"], 1e-9, &name);
        close(fit.sigma, &ww["sigma"], 1e-9, &name);
        assert_eq!(
            fit.n_tail as u64,
            ww["num_pl_spikes"].as_u64().unwrap(),
            "{name}"
        );
        compared += 1;
    }
    assert!(compared >= 65, "only {compared} cases were compared");
}

#[test]
fn the_columns_are_the_references_from_the_weights_on() {
    let mut compared = 0;
    for (name, case) in cases() {
        let Some((shape, values)) = floats(&format!("{name}/weight"), f32::from_le_bytes) else {
            continue;
        };
        let ww = &case["ww"];
        let pooled = name.contains("conv");
        // What the absolute cut removes there takes part here; degenerate cases have no tail.
        if ww["status"] != "success"
            || DEGENERATE.contains(&name.as_str())
            || case["n_nz"] != ww["num_evals"]
            || name.contains("partscale")
        {
            continue;
        }
        let tensor = LayerTensor {
            name: name.clone(),
            layout: if pooled { Layout::Conv } else { Layout::Matrix },
            shape,
            values,
        };
        let report = analyze_tensor(&tensor, &Config::live(), None).unwrap();
        let record = Record::success("bank", Stamp::default(), 0, &report);
        let values = record.values().unwrap();
        // The reference pools a convolution's slices and halves their eigenvalues.
        let (row, half) = match &values.pooled {
            Some(pooled) => (pooled, 0.5),
            None => (&values.primary, 1.0),
        };
        // f64 Gram against f64 SVD: the smallest eigenvalues differ in the last digits.
        let tolerance = 1e-9;
        close(row.alpha.unwrap(), &ww["alpha"], tolerance, &name);
        close(row.d.unwrap(), &ww["D"], tolerance, &name);
        close(row.sigma.unwrap(), &ww["sigma"], tolerance, &name);
        close(half * row.xmin.unwrap(), &ww["xmin"], tolerance, &name);
        close(half * row.xmax.unwrap(), &ww["xmax"], tolerance, &name);
        close(half * row.norm, &ww["norm"], tolerance, &name);
        close(half * row.lambda_max, &ww["lambda_max"], tolerance, &name);
        close(row.stable_rank, &ww["stable_rank"], tolerance, &name);
        assert_eq!(
            row.num_evals as u64,
            ww["num_evals"].as_u64().unwrap(),
            "{name}"
        );
        if half == 1.0 {
            close(row.log_norm.unwrap(), &ww["log_norm"], tolerance, &name);
            close(
                row.log_spectral_norm.unwrap(),
                &ww["log_spectral_norm"],
                tolerance,
                &name,
            );
            close(
                row.alpha_weighted.unwrap(),
                &ww["alpha_weighted"],
                tolerance,
                &name,
            );
            close(
                row.log_alpha_norm.unwrap(),
                &ww["log_alpha_norm"],
                1e-8,
                &name,
            );
        }
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} cases were compared");
}

#[test]
fn the_erg_condition_is_the_references() {
    let (mut compared, mut gaps) = (0, 0);
    for (name, case) in cases() {
        let Some((shape, mut evals)) = floats(&format!("{name}/evals"), f64::from_le_bytes) else {
            continue;
        };
        let ww = &case["ww"];
        // All eigenvalues equal (the reference answers 0, or what rounding makes of it).
        if name.starts_with("e_identity")
            || name.starts_with("e_ortho")
            || name == "e_allzero_64x32"
        {
            continue;
        }
        evals.sort_by(f64::total_cmp);
        let tail = fit_tail(&evals).ok();
        let spectrum = Spectrum::from_eigenvalues(evals, shape[0], shape[0]).unwrap();
        let ours = erg(&spectrum, tail.as_ref()).unwrap();
        assert_eq!(
            Some(ours.detx_num as u64),
            ww["detX_num"].as_u64(),
            "{name}"
        );
        compared += 1;
        // Where our relative cut and the reference's absolute one find the same tail.
        if let (Some(gap), Some(tail)) = (ours.against_tail, tail)
            && ww["num_pl_spikes"] == tail.n_tail
        {
            assert_eq!(Some(gap.erg_gap), ww["ERG_gap"].as_i64(), "{name}");
            gaps += 1;
        }
    }
    assert!(
        compared >= 70 && gaps >= 65,
        "{compared} cases, {gaps} gaps"
    );
}

#[test]
fn scale_does_not_change_alpha_where_the_reference_fails() {
    // `e_tinyscale` fails there: all of its eigenvalues lie below the absolute cut.
    let (shape, values) = floats("e_tinyscale_128x64/weight", f32::from_le_bytes).unwrap();
    let alpha = |scale: f32| {
        let tensor = LayerTensor {
            name: "w".into(),
            layout: Layout::Matrix,
            shape: shape.clone(),
            values: values.iter().map(|v| v * scale).collect(),
        };
        let report = analyze_tensor(&tensor, &Config::live(), None).unwrap();
        report.primary.tail.unwrap().alpha
    };
    // Powers of two, so that the weights keep their bits.
    assert!((alpha(1.0) / alpha(1024.0) - 1.0).abs() < 1e-12);
    assert!((alpha(1.0) / alpha(1.0 / 1024.0) - 1.0).abs() < 1e-12);
}

#[test]
fn spikes_do_not_move_the_bulk() {
    // Noise of variance 1/N with planted spikes.
    let mut compared = 0;
    for name in cases().into_keys().filter(|name| name.starts_with("b_")) {
        let (_, evals) = floats(&format!("{name}/evals"), f64::from_le_bytes).unwrap();
        let (n, m) = (400, 200);
        let x = evals.iter().map(|e| e / n as f64).collect();
        let spectrum = Spectrum::from_eigenvalues(x, n, m).unwrap();
        let sigma = fit_bulk(&spectrum).unwrap().sigma_mp * (n as f64).sqrt();
        assert!((sigma - 1.0).abs() < 0.01, "{name}: {sigma}");
        compared += 1;
    }
    assert_eq!(compared, 4);
}
