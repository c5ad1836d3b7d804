//! Distributions of independent matrix entries.

use rand::RngExt;
use rand_distr::{Distribution, Exp1, StudentT};

use super::{Rng, normal, pick, uniform};

/// A distribution of independent entries. It is scaled to variance 1 if its variance is finite,
/// except for the Pareto distributions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entries {
    Normal,
    Uniform,
    Sign,
    TruncatedNormal,
    Laplace,
    /// Student's t with ν degrees of freedom. Its tail exponent is μ = ν.
    Student(f64),
    /// A Pareto distribution of type I with tail exponent μ and a random sign. All entries satisfy
    /// |w| ≥ 1.
    SignedPareto(f64),
    /// A Pareto distribution of type II (Lomax) with tail exponent μ and a random sign. It has mass
    /// near 0.
    SignedLomax(f64),
}

impl Entries {
    /// The distributions of the family Random-like.
    pub const NOISE: [Entries; 5] = [
        Entries::Normal,
        Entries::Uniform,
        Entries::Sign,
        Entries::TruncatedNormal,
        Entries::Laplace,
    ];

    pub fn name(self) -> String {
        match self {
            Entries::Normal => "normal".into(),
            Entries::Uniform => "uniform".into(),
            Entries::Sign => "±1".into(),
            Entries::TruncatedNormal => "truncated normal".into(),
            Entries::Laplace => "Laplace".into(),
            Entries::Student(nu) => format!("t({nu})"),
            Entries::SignedPareto(mu) => format!("signed Pareto({mu})"),
            Entries::SignedLomax(mu) => format!("signed Lomax({mu})"),
        }
    }

    /// Draws `count` independent entries.
    pub fn fill(self, count: usize, rng: &mut Rng) -> Vec<f64> {
        let sign = |rng: &mut Rng| if rng.random::<bool>() { 1.0 } else { -1.0 };
        match self {
            Entries::Normal => (0..count).map(|_| normal(rng)).collect(),
            Entries::Uniform => {
                let h = 3f64.sqrt();
                (0..count).map(|_| uniform(rng, -h, h)).collect()
            }
            Entries::Sign => (0..count).map(|_| sign(rng)).collect(),
            Entries::TruncatedNormal => (0..count)
                .map(|_| {
                    loop {
                        let x = normal(rng);
                        if x.abs() <= 2.0 {
                            // 0.7737415 is the variance of a standard normal variable that is cut
                            // at ±2.
                            return x / 0.773_741_5f64.sqrt();
                        }
                    }
                })
                .collect(),
            Entries::Laplace => (0..count)
                .map(|_| {
                    let e: f64 = Exp1.sample(rng);
                    sign(rng) * e / 2f64.sqrt()
                })
                .collect(),
            Entries::Student(nu) => {
                let t = StudentT::new(nu).expect("ν > 0");
                let scale = if nu > 2.0 {
                    ((nu - 2.0) / nu).sqrt()
                } else {
                    1.0
                };
                (0..count).map(|_| scale * t.sample(rng)).collect()
            }
            Entries::SignedPareto(mu) => (0..count)
                .map(|_| sign(rng) * (1.0 - rng.random::<f64>()).powf(-1.0 / mu))
                .collect(),
            Entries::SignedLomax(mu) => (0..count)
                .map(|_| sign(rng) * ((1.0 - rng.random::<f64>()).powf(-1.0 / mu) - 1.0))
                .collect(),
        }
    }
}

/// A matrix of noise with variance 1 from one of the five distributions in [`Entries::NOISE`].
pub fn noise(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    Entries::NOISE[pick(rng, 5)].fill(n * m, rng)
}
