//! Benchmarks the fits of the bulk and the tail, and the whole analysis of a matrix.
//! Run with `cargo bench -p heavytail-benches --bench fits`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heavytail::fit::{fit_bulk, fit_tail};
use heavytail::spectrum::{Solver, Spectrum};
use heavytail::{Config, analyze};
use heavytail_benches::{bench, gemm_rate, matrix, min_flops};

fn fits(c: &mut Criterion) {
    let mut group = c.benchmark_group("fit");
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for m in [84, 192, 500, 1000, 2048] {
        let Ok(spectrum) = Spectrum::from_matrix(&matrix(2 * m, m), Solver::Gram) else {
            continue;
        };
        bench(&mut group, BenchmarkId::new("bulk", m), None, || {
            fit_bulk(&spectrum)
        });
        bench(&mut group, BenchmarkId::new("tail", m), None, || {
            fit_tail(spectrum.eigenvalues())
        });
    }
    group.finish();
}

fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("analyze");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    for (rows, cols) in [(120, 84), (384, 192), (2450, 500), (1024, 1024)] {
        let w = matrix(rows, cols);
        for (name, config) in [("live", Config::live()), ("full", Config::default())] {
            let floor = min_flops(rows, cols) / gemm_rate();
            let id = BenchmarkId::new(name, format!("{rows}x{cols}"));
            bench(&mut group, id, Some(floor), || analyze(&w, &config));
        }
    }
    group.finish();
}

criterion_group!(benches, fits, whole);
criterion_main!(benches);
