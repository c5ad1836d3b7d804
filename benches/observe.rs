//! Benchmarks one observation of a whole model by the monitor's analysis thread. It also measures
//! the memory after two hundred observations.
//! Run with `cargo bench -p heavytail-benches --bench observe`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heavytail::matrix::LayerTensor;
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::Stamp;
use heavytail::{Analyzer, Config, Monitor};
use heavytail_benches::{bench, gemm_rate, min_flops, models};

fn observe(c: &mut Criterion) {
    // The monitor's own thread also keeps one analyzer.
    let analyzer = Analyzer::new(Config::live());
    let mut group = c.benchmark_group("observe");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(3));
    for (name, layers) in models() {
        // The floor counts only the layers' own matrices. The slices of convolutions need
        // additional time.
        let flops: f64 = layers.iter().map(whole).sum();
        let floor = flops / gemm_rate();
        let id = BenchmarkId::new("all layers", name);
        bench(&mut group, id, Some(floor), || {
            let look = |layer| analyzer.analyze_tensor(layer, None);
            layers.iter().map(look).collect::<Vec<_>>()
        });
    }
    group.finish();
}

/// The smallest number of flops for the matrix of a layer.
fn whole(layer: &LayerTensor) -> f64 {
    let cuts = layer.cut();
    cuts.map_or(0.0, |cuts| min_flops(cuts.primary.n(), cuts.primary.m()))
}

/// Two hundred observations of MiniAlexNet. Prints the resident memory of the process after
/// observations 10, 50, 100 and 200.
fn memory(_: &mut Criterion) {
    let Some((_, layers)) = models().into_iter().nth(1) else {
        return;
    };
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let monitor = Monitor::builder()
        .dir(folder.path())
        .overload(Overload::Wait)
        .build();
    let Ok(monitor) = monitor else { return };
    let mut resident = Vec::new();
    for epoch in 0..=200usize {
        let mut tensors = layers.clone();
        for layer in &mut tensors {
            layer.values.iter_mut().for_each(|w| *w *= 1.001);
        }
        let snapshot = Snapshot::new(tensors);
        monitor.submit(Stamp::from_epoch(epoch), snapshot);
        while monitor.with_trajectory(|t| t.summaries().len()) <= epoch {
            std::thread::sleep(Duration::from_millis(1));
        }
        resident.push(megabytes());
    }
    drop(monitor.finish());
    if let Some(Some(_)) = resident.first() {
        let at = |i: usize| resident[i].unwrap_or(f64::NAN);
        println!(
            "    resident after observation 10: {:.1} MB, 50: {:.1}, 100: {:.1}, 200: {:.1}",
            at(10),
            at(50),
            at(100),
            at(200)
        );
    } else {
        println!("    resident memory is not available on this system");
    }
}

/// The resident memory of this process in MiB. `None` without `/proc`.
fn megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

criterion_group!(benches, observe, memory);
criterion_main!(benches);
