//! Shared parts of the benchmarks: matrices, CPU time, and the smallest possible time of a
//! spectrum.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use faer::{Accum, Mat, Par, linalg::matmul::matmul};
use heavytail::WeightMatrix;
use heavytail::matrix::{LayerTensor, Layout};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

/// The entries of a matrix like that of a trained layer: noise plus eight directions whose
/// strengths decay like a power law.
pub fn weights(rows: usize, cols: usize) -> Vec<f32> {
    let mut rng = Pcg64::seed_from_u64((rows * 100_003 + cols) as u64);
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    let scale = 1.0 / (rows.max(cols) as f32).sqrt();
    let mut values: Vec<f32> = (0..rows * cols).map(|_| scale * normal()).collect();
    for k in 1..=8 {
        let strength = 3.0 / (k as f32) / (cols as f32).sqrt();
        let left: Vec<f32> = (0..rows).map(|_| scale * normal()).collect();
        let right: Vec<f32> = (0..cols).map(|_| normal()).collect();
        for (row, l) in values.chunks_mut(cols).zip(&left) {
            for (value, r) in row.iter_mut().zip(&right) {
                *value += strength * l * r;
            }
        }
    }
    values
}

/// A matrix with the entries of [`weights`].
///
/// # Panics
///
/// Never, because the number of entries matches the shape.
pub fn matrix(rows: usize, cols: usize) -> WeightMatrix {
    WeightMatrix::new("w", rows, cols, weights(rows, cols)).expect("a shape that fits")
}

/// A dense layer with the entries of [`weights`].
pub fn dense(name: &str, rows: usize, cols: usize) -> LayerTensor {
    tensor(name, Layout::Matrix, &[rows, cols])
}

/// A layer of any shape with the entries of [`weights`].
pub fn tensor(name: &str, layout: Layout, shape: &[usize]) -> LayerTensor {
    let (last, rest) = (shape[shape.len() - 1], &shape[..shape.len() - 1]);
    LayerTensor {
        name: name.to_owned(),
        layout,
        shape: shape.to_vec(),
        values: weights(rest.iter().product(), last),
    }
}

/// The layers of three typical models.
pub fn models() -> Vec<(&'static str, Vec<LayerTensor>)> {
    let conv = |name: &str, shape: [usize; 4]| tensor(name, Layout::Conv, &shape);
    let lenet5 = vec![
        conv("conv1", [20, 1, 5, 5]),
        conv("conv2", [50, 20, 5, 5]),
        dense("fc1", 2450, 500),
        dense("fc2", 500, 10),
    ];
    let mini_alexnet = vec![
        conv("conv1", [96, 3, 5, 5]),
        conv("conv2", [256, 96, 5, 5]),
        dense("fc1", 4096, 384),
        dense("fc2", 384, 192),
        dense("fc3", 192, 10),
    ];
    let transformer = (0..12)
        .flat_map(|i| {
            let name = move |part: &str| format!("layer{i}.{part}");
            [
                dense(&name("query"), 384, 384),
                dense(&name("key"), 384, 384),
                dense(&name("value"), 384, 384),
                dense(&name("output"), 384, 384),
                dense(&name("up"), 384, 1536),
                dense(&name("down"), 1536, 384),
            ]
        })
        .collect();
    vec![
        ("LeNet5", lenet5),
        ("MiniAlexNet", mini_alexnet),
        ("transformer, 12 layers of 384", transformer),
    ]
}

/// The rate of faer's matrix product on one thread, in flops per second. Each call measures it
/// again.
pub fn gemm_rate() -> f64 {
    const SIDE: usize = 1536;
    let a = Mat::<f64>::from_fn(SIDE, SIDE, |i, j| ((i * 31 + j * 17) % 97) as f64);
    let mut c = Mat::<f64>::zeros(SIDE, SIDE);
    let once = || {
        let start = ThreadTime::now();
        matmul(c.as_mut(), Accum::Replace, &a, &a, 1.0, Par::Seq);
        black_box(&c);
        start.elapsed().as_secs_f64()
    };
    let seconds: Vec<f64> = std::iter::repeat_with(once).take(5).collect();
    2.0 * (SIDE as f64).powi(3) / median(seconds)
}

/// The smallest number of flops for a spectrum: N·M² for the Gram matrix and 4/3·M³ for its
/// reduction.
pub fn min_flops(rows: usize, cols: usize) -> f64 {
    let (n, m) = (rows.max(cols) as f64, rows.min(cols) as f64);
    n * m * m + 4.0 / 3.0 * m.powi(3)
}

/// The median of the values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The CPU time of this thread for one call, in seconds.
pub fn cpu<T>(work: impl FnOnce() -> T) -> f64 {
    let start = ThreadTime::now();
    black_box(work());
    start.elapsed().as_secs_f64()
}

/// Measures `work` in CPU time of this thread. Prints the median and the range in addition to
/// criterion's report. With `floor`, a time in seconds, it also prints the ratio of the median to
/// the floor.
pub fn bench<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    floor: Option<f64>,
    mut work: impl FnMut() -> T,
) {
    let samples = RefCell::new(Vec::new());
    group.bench_function(id, |b| {
        b.iter_custom(|iterations| {
            let start = ThreadTime::now();
            for _ in 0..iterations {
                black_box(work());
            }
            let took = start.elapsed();
            samples
                .borrow_mut()
                .push(took.as_secs_f64() / iterations as f64);
            took.max(Duration::from_nanos(1))
        });
    });
    let mut samples = samples.into_inner();
    if samples.is_empty() {
        return;
    }
    samples.sort_by(f64::total_cmp);
    let (low, high) = (samples[0], samples[samples.len() - 1]);
    let middle = samples[samples.len() / 2];
    let floor = floor.map_or_else(String::new, |floor| {
        format!(
            ", floor {:.3} ms: {:.2} times (from {:.2})",
            1e3 * floor,
            middle / floor,
            low / floor
        )
    });
    println!(
        "    CPU {:.3} ms ({:.3} to {:.3}){floor}\n",
        1e3 * middle,
        1e3 * low,
        1e3 * high
    );
}
