//! Analyses single matrices without a training and without burn.
//!
//! ```text
//! cargo run --release --no-default-features --example offline_matrix
//! ```

use anyhow::Result;
use heavytail::{Config, WeightMatrix, analyze};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

fn main() -> Result<()> {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let (rows, cols) = (400, 100);
    let noise: Vec<f64> = (0..rows * cols).map(|_| normal()).collect();
    println!(
        "{}",
        analyze(
            &WeightMatrix::new("noise", rows, cols, &noise)?,
            &Config::default()
        )?
    );

    // The same noise plus three directions, like those of a trained layer.
    let mut learned = noise;
    for strength in [3.0, 4.0, 6.0] {
        let u: Vec<f64> = (0..rows).map(|_| normal()).collect();
        let v: Vec<f64> = (0..cols).map(|_| normal() / (cols as f64).sqrt()).collect();
        for (i, w) in learned.iter_mut().enumerate() {
            *w += strength * u[i / cols] * v[i % cols];
        }
    }
    println!(
        "{}",
        analyze(
            &WeightMatrix::new("learned", rows, cols, &learned)?,
            &Config::default()
        )?
    );
    Ok(())
}
