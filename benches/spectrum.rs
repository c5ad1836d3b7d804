//! Benchmarks the eigenvalues and compares their time with the smallest possible number of flops.
//! Run with `cargo bench -p heavytail-benches --bench spectrum`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heavytail::spectrum::{Solver, Spectrum};
use heavytail_benches::{bench, gemm_rate, matrix, min_flops};

const SHAPES: [(usize, usize); 9] = [
    (120, 84),
    (384, 192),
    (2450, 500),
    (800, 500),
    (4096, 384),
    (1024, 1024),
    (4096, 1024),
    (2048, 2048),
    (4096, 4096),
];

fn spectrum(c: &mut Criterion) {
    let mut group = c.benchmark_group("spectrum");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    for (rows, cols) in SHAPES {
        let w = matrix(rows, cols);
        for (name, solver) in [
            ("gram", Solver::Gram),
            ("gram_f32", Solver::GramF32),
            ("svd", Solver::Svd),
        ] {
            // The SVD is slow. It is measured only where it takes seconds.
            if solver == Solver::Svd && cols > 1024 {
                continue;
            }
            let rate = gemm_rate();
            let floor = min_flops(rows, cols) / rate;
            println!("    floor at {:.0} GFLOP/s", rate / 1e9);
            let id = BenchmarkId::new(name, format!("{rows}x{cols}"));
            bench(&mut group, id, Some(floor), || {
                Spectrum::from_matrix(&w, solver)
            });
        }
    }
    group.finish();
}

criterion_group!(benches, spectrum);
criterion_main!(benches);
