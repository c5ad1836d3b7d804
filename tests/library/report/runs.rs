//! Runs to report on: one that a monitor watches, and large ones made from a few analyses.

use std::path::Path;

use heavytail::matrix::{LayerTensor, Layout};
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::{Line, Record, Scalar, Stamp, Summary};
use heavytail::report::Run;
use heavytail::run::RunState;
use heavytail::spectrum::Spectrum;
use heavytail::{Config, Monitor, WeightMatrix, analyze};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

/// Noise with so many planted directions of growing strength.
fn weights(rows: usize, columns: usize, spikes: usize, strength: f64, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut normal = || rng.sample::<f64, _>(StandardNormal);
    let mut w: Vec<f64> = (0..rows * columns).map(|_| normal()).collect();
    for spike in 0..spikes {
        let u: Vec<f64> = (0..rows).map(|_| normal()).collect();
        let v: Vec<f64> = (0..columns).map(|_| normal()).collect();
        let scale = strength * (1.0 + spike as f64 / 2.0) / (columns as f64).sqrt();
        for (i, x) in w.iter_mut().enumerate() {
            *x += scale * u[i / columns] * v[i % columns];
        }
    }
    w.into_iter().map(|x| (0.05 * x) as f32).collect()
}

/// Names that are markup, code, another direction, or no letters at all.
const NAMES: [&str; 7] = [
    "fc1.weight",
    "</script><script>document.title='owned'</script>",
    "\"quoted\" 'twice' & <b>bold</b>",
    "<!-- <script> ",
    "🔥.🧠.weight",
    "{{ name }} {% raw %} \u{202e}rtl",
    "${1+1}`\\u003c",
];

/// A run in a folder, watched by a monitor: the page before it ended, and its layers.
pub fn watched(out: &Path) -> (String, Vec<&'static str>) {
    const EPOCHS: usize = 8;
    let mut config = Config::live();
    config.replicates = 20;
    let monitor = Monitor::builder()
        .dir(out)
        .run("</title><script>alert(1)</script> & \"run\"")
        .overload(Overload::Wait)
        .config(config)
        .build()
        .unwrap();
    let mut meanwhile = String::new();
    for epoch in 0..=EPOCHS {
        let tensors = NAMES.iter().enumerate().map(|(i, name)| LayerTensor {
            name: (*name).to_owned(),
            layout: Layout::Matrix,
            shape: vec![160, 80],
            values: weights(160, 80, i, 0.35 * epoch as f64, 7 + i as u64),
        });
        let snapshot = Snapshot::new(tensors.collect());
        monitor.submit(
            Stamp {
                epoch,
                step: 10 * epoch as u64,
            },
            snapshot,
        );
        monitor.scalar(epoch, "valid loss", 1.0 / (1.0 + epoch as f64));
        monitor.scalar(epoch, "valid accuracy", 90.0 - 40.0 / (1.0 + epoch as f64));
        if epoch == EPOCHS {
            // The first observation is on the disk once a later one waits no more.
            let page = out.join("report.html");
            let start = std::time::Instant::now();
            while !page.exists() && start.elapsed().as_secs() < 60 {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            meanwhile = std::fs::read_to_string(page).unwrap();
        }
    }
    let outcome = monitor.finish();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    (meanwhile, NAMES.to_vec())
}

/// So many layers and epochs, from eight real analyses of 300×120 matrices; each layer walks
/// through them at its own pace.
pub fn synthetic(name: &str, layers: usize, epochs: usize) -> Run {
    let bases: Vec<(Record, Spectrum)> = (0..8)
        .map(|k| {
            let w = weights(300, 120, k, 0.3 * k as f64, 11);
            let report = analyze(
                &WeightMatrix::new("w", 300, 120, w).unwrap(),
                &Config::live(),
            )
            .unwrap();
            (
                Record::success(name, Stamp::default(), 0, &report),
                report.primary.spectrum.clone(),
            )
        })
        .collect();
    let mut run = Run::new(name);
    run.state = RunState::Ended;
    for epoch in 0..epochs {
        let stamp = Stamp::from_epoch(epoch);
        let mut records = Vec::new();
        let mut spectra = Vec::new();
        for layer in 0..layers {
            let walked = epoch as f64 / epochs as f64 * (1.0 + layer as f64 / layers as f64);
            // Neighbours differ, so that no two tiles are one.
            let place = (8.0 * walked) as usize + (epoch + layer) % 2;
            let (record, spectrum) = &bases[place.min(7)];
            let mut record = record.clone();
            record.layer = format!("block.{layer}.weight");
            record.layer_id = layer;
            record.stamp = stamp;
            spectra.push((record.layer.clone(), spectrum.clone()));
            records.push(record);
        }
        let summary = Summary::new(name, stamp, &records, 0.0);
        for record in records {
            run.push(Line::Layer(Box::new(record)));
        }
        run.push(Line::Summary(Box::new(summary)));
        run.push(Line::Scalar(Scalar::new(
            name,
            epoch,
            "train loss",
            1.0 / (1.0 + epoch as f64),
        )));
        run.observe(stamp, &spectra);
    }
    run
}
