//! Random matrices whose phase is known from their construction. The classifier is calibrated and
//! measured on them. The same seed always gives the same matrix.
//!
//! The six families and their ranges state what this project means by each phase. In the list, r is
//! an eigenvalue in units of the noise edge λ₊:
//!
//! - Random-like: independent entries with a normal, uniform, ±1, truncated normal or Laplace
//!   distribution.
//! - Bleeding-out: noise and 1–5 rank-one signals between 2 Tracy–Widom scales above the edge and
//!   r ≈ 1.2 (M < 150: 1.4).
//! - Bulk+Spikes: noise and 1–8 rank-one signals, r from 1.4 to 15, well separated.
//! - Bulk-decay: noise times a population spectrum that is flat for most directions and rises
//!   smoothly for the others. 4–15 % of the eigenvalues lie beyond λ₊, and r goes from the end of
//!   Bleeding-out up to about 6.
//! - Heavy-tailed: population spectra with a Pareto tail (density exponent 1.7–3), or entries with
//!   tail exponent μ < 2.
//! - Rank-collapse: low rank over a negligible floor, or zeroed rows or columns, with 10–95 % null
//!   directions.
//!
//! ```text
//! entries (distributions of entries) -> structure (signals, scales, rotations, spectra)
//!   -> families (the six phases), out_of_family (generators outside of the families)
//! ```

// Every program compiles its own copy of this module and uses only a part of it.
#![allow(dead_code, unused_imports)]

mod entries;
mod families;
pub mod out_of_family;
mod structure;

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;

pub use entries::{Entries, noise};
pub use families::{Breadth, random_matrix};
pub use structure::{
    add_spikes, edge, eigenvalues, rotate_columns, scale_columns, scale_rows, wishart_eigenvalues,
};

/// The random number generator of this module.
pub type Rng = Pcg64;

/// A generator for one case of one experiment.
pub fn rng(experiment: u64, case: u64) -> Rng {
    Pcg64::new(
        (u128::from(experiment) << 64) | u128::from(case),
        0x0a02_bdbf_7bb3_c0a7_ac28_fa16_a64a_bf96,
    )
}

/// A uniform number on [a, b).
pub fn uniform(rng: &mut Rng, a: f64, b: f64) -> f64 {
    a + (b - a) * rng.random::<f64>()
}

/// A number on [a, b) whose logarithm is uniform.
pub fn log_uniform(rng: &mut Rng, a: f64, b: f64) -> f64 {
    uniform(rng, a.ln(), b.ln()).exp()
}

/// A random integer from 0 to `count` − 1.
pub fn pick(rng: &mut Rng, count: usize) -> usize {
    rng.random_range(0..count)
}

/// A standard normal number.
pub fn normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}
