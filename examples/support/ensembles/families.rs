//! Generates a family of matrices for each phase.

use heavytail::Phase;
use heavytail::law::{Law, MarchenkoPastur, noise_edge};
use rand::RngExt;
use rand_distr::{Distribution, Gamma};

use super::{
    Entries, Rng, add_spikes, edge, eigenvalues, log_uniform, noise, normal, pick, scale_columns,
    scale_rows, uniform,
};

/// The range of matrices that [`random_matrix`] may generate for a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// The ranges that the documentation of the parent module lists.
    Family,
    /// These ranges and wider ones with the same meaning, used to calibrate the classifier. The
    /// wider ones add the following matrices:
    ///
    /// - Spikes that are larger or more numerous, or close to the edge as in trained layers (fewer
    ///   than 4 % of the directions).
    /// - Shoulders with spikes.
    /// - Population spectra that vary in all directions but have no tail.
    /// - Heavy tails in the rows.
    /// - Spectra that are set directly.
    Relatives,
}

/// A random matrix of a phase's family, n ≥ m, row-major.
pub fn random_matrix(
    phase: Phase,
    breadth: Breadth,
    n: usize,
    m: usize,
    rng: &mut Rng,
) -> Vec<f64> {
    let relative = breadth == Breadth::Relatives && pick(rng, 3) == 0;
    let mut w = match phase {
        Phase::RandomLike => background(n, m, relative, rng),
        Phase::BleedingOut => bleeding(n, m, relative, rng),
        Phase::BulkPlusSpikes => spiked(n, m, relative, rng),
        Phase::BulkDecay => shoulder(n, m, relative, rng),
        Phase::HeavyTailed => heavy_tailed(n, m, relative, rng),
        Phase::RankCollapse => collapsed(n, m, rng),
    };
    // Weights are stored as f32 and may have any scale.
    let scale = log_uniform(rng, 1e-3, 1e2);
    w.iter_mut()
        .for_each(|x| *x = f64::from((*x * scale) as f32));
    w
}

/// The largest eigenvalue of Bleeding-out in units of the edge. In small matrices sampling noise
/// moves it further out.
fn bleeding_top(m: usize) -> f64 {
    if m < 150 { 1.4 } else { 1.2 }
}

fn bleeding(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    let mut w = background(n, m, relative, rng);
    let (_, scale) = noise_edge(n, m).expect("n ≥ m ≥ 1");
    let low = edge(n, m) + 2.0 * scale;
    let mut top = bleeding_top(m);
    if relative {
        top = uniform(rng, 1.2, top.max(1.201));
    }
    let high = edge(n, m) * top;
    let most = if relative { (m / 40).max(5) } else { 5 };
    let count = (1 + pick(rng, most)).min(m / 5).max(1);
    let lambdas: Vec<f64> = (0..count)
        .map(|_| uniform(rng, low, high.max(1.02 * low)))
        .collect();
    add_spikes(&mut w, n, m, &lambdas, rng);
    w
}

fn spiked(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    let mut w = background(n, m, relative, rng);
    if relative && rng.random::<bool>() {
        // Such a matrix is like a trained layer. It has a random bulk, and fewer than 4 % of the
        // directions lie beyond it. The largest eigenvalue is well above the edge, and the others
        // lie between.
        let least = bleeding_top(m) * (1.0 + (2.0 / n as f64).sqrt());
        let top = log_uniform(rng, least, 8.0);
        let count = 1 + pick(rng, (m / 26).max(1));
        let power = log_uniform(rng, 0.6, 3.0);
        let mut lambdas = vec![top * edge(n, m)];
        for _ in 1..count {
            let u = rng.random::<f64>().powf(power);
            lambdas.push((1.02 + (top - 1.02) * u) * edge(n, m));
        }
        add_spikes(&mut w, n, m, &lambdas, rng);
        return w;
    }
    let (most, top, apart) = if relative {
        (m / 25, log_uniform(rng, 15.0, 1500.0), 0.02)
    } else {
        (8.min(m / 5), 15.0, 0.08)
    };
    let count = 1 + pick(rng, most.max(1));
    let log = rng.random::<bool>();
    let mut ratios: Vec<f64> = Vec::new();
    while ratios.len() < count {
        let r = if log || relative {
            log_uniform(rng, 1.4, top)
        } else {
            uniform(rng, 1.4, top)
        };
        if ratios.iter().all(|s| (r / s).ln().abs() > apart) {
            ratios.push(r);
        }
    }
    let lambdas: Vec<f64> = ratios.iter().map(|r| r * edge(n, m)).collect();
    add_spikes(&mut w, n, m, &lambdas, rng);
    w
}

/// The share of the eigenvalues beyond the noise edge, and the largest eigenvalue in units of the
/// edge. `variance` is the variance of the bulk.
fn beyond(n: usize, m: usize, w: &[f64], variance: f64) -> (f64, f64) {
    let x = eigenvalues(n, m, w);
    let plus = edge(n, m) * variance;
    let count = x.len() - x.partition_point(|&v| v <= plus);
    (count as f64 / m as f64, x[m - 1] / plus)
}

fn shoulder(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    // The smallest allowed λmax lies above the limit of Bleeding-out by the sampling deviation of a
    // large eigenvalue. Below it, a short shoulder and Bleeding-out are the same.
    let mut least = bleeding_top(m) * (1.0 + (2.0 / n as f64).sqrt());
    if relative {
        least = uniform(rng, 1.25, least);
    }
    let broad = relative && pick(rng, 2) == 0;
    loop {
        if broad {
            // No part of the population spectrum is flat, so the bulk's variance is estimated from
            // the median eigenvalue.
            let w = broad_decay(n, m, rng);
            let x = eigenvalues(n, m, &w);
            let (share, r) = beyond(n, m, &w, x[m / 2] / typical(n, m));
            if share >= 0.04 && (least..=6.5).contains(&r) {
                return w;
            }
            continue;
        }
        let mut w = decay(n, m, rng);
        if relative && pick(rng, 2) == 0 {
            let lambdas: Vec<f64> = (0..1 + pick(rng, 3))
                .map(|_| uniform(rng, 2.0, 6.0) * edge(n, m))
                .collect();
            add_spikes(&mut w, n, m, &lambdas, rng);
        }
        let (share, r) = beyond(n, m, &w, 1.0);
        if (0.04..=0.15).contains(&share) && (least..=6.5).contains(&r) {
            return w;
        }
    }
}

fn heavy_tailed(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    loop {
        let w = if relative {
            heavy_relative(n, m, rng)
        } else {
            heavy(n, m, rng)
        };
        // The variance of such a bulk is not well defined, so the median eigenvalue replaces it.
        let x = eigenvalues(n, m, &w);
        let (share, r) = beyond(n, m, &w, x[m / 2]);
        if share >= 0.1 && r > 2.5 {
            return w;
        }
    }
}

/// Noise of the family Random-like. With `relative` it may also have entries of a Student's t with
/// 7 to 20 degrees of freedom, or entries of which a part is zero.
fn background(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    if !relative || pick(rng, 2) == 0 {
        return noise(n, m, rng);
    }
    if pick(rng, 2) == 0 {
        return Entries::Student(log_uniform(rng, 7.0, 20.0)).fill(n * m, rng);
    }
    let density = uniform(rng, 0.4, 1.0);
    let mut w = Entries::Normal.fill(n * m, rng);
    let scale = 1.0 / density.sqrt();
    w.iter_mut().for_each(|x| {
        *x *= if rng.random::<f64>() < density {
            scale
        } else {
            0.0
        };
    });
    w
}

/// Noise times a population spectrum. The spectrum is 1 for most directions and rises smoothly to a
/// finite maximum.
fn decay(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let share = uniform(rng, 0.04, 0.4);
    let top = log_uniform(rng, 1.3, 7.0);
    let shape = pick(rng, 4);
    let power = log_uniform(rng, 0.6, 4.0);
    // u runs from 0, where the shoulder meets the flat part, to 1 at the maximum.
    let rise = |u: f64| match shape {
        0 => u.powf(power),
        1 => ((2.0 * power * u).exp() - 1.0) / ((2.0 * power).exp() - 1.0),
        2 => (1.0 - (1.0 - u).powf(0.5)).powf(power.min(1.5)),
        // The quantile function of an exponential distribution, cut off at the last direction.
        _ => {
            let last = -(0.5 / (share * m as f64)).min(0.5).ln();
            (-(1.0 - u * (1.0 - (-last).exp())).ln()) / last
        }
    };
    let spread = pick(rng, 2) == 0;
    let population = |count: usize, rng: &mut Rng| -> Vec<f64> {
        let raised = (share * count as f64).max(2.0);
        (0..count)
            .map(|i| {
                let at = i as f64 + if spread { rng.random::<f64>() } else { 0.5 };
                let u = (at / raised).min(1.0);
                if at < raised {
                    1.0 + (top - 1.0) * rise(1.0 - u)
                } else {
                    1.0
                }
            })
            .map(f64::sqrt)
            .collect()
    };
    let mut w = noise(n, m, rng);
    if pick(rng, 5) == 0 && n < 3 * m {
        let factors = population(n, rng);
        scale_rows(&mut w, &factors);
    } else {
        let factors = population(m, rng);
        scale_columns(&mut w, &factors);
    }
    w
}

/// The median eigenvalue of noise with variance 1.
fn typical(n: usize, m: usize) -> f64 {
    MarchenkoPastur::new(1.0, n, m)
        .expect("n ≥ m ≥ 1")
        .quantile(0.5)
}

/// Noise with a population spectrum that varies in every direction but has a light tail. The
/// spectrum is a ramp, a narrow lognormal or a gamma distribution, or neighbouring columns are
/// correlated.
fn broad_decay(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let mut w = noise(n, m, rng);
    let kind = pick(rng, 4);
    if kind == 0 {
        let rho = uniform(rng, 0.1, 0.5);
        let fresh = (1.0 - rho * rho).sqrt();
        for row in w.chunks_exact_mut(m) {
            for j in 1..m {
                row[j] = rho * row[j - 1] + fresh * row[j];
            }
        }
        return w;
    }
    let strength = uniform(rng, 0.1, 0.5);
    let top = uniform(rng, 1.5, 5.0);
    let power = log_uniform(rng, 0.5, 3.0);
    let gamma = Gamma::new(1.0 / strength.powi(2), 1.0).ok();
    let factors: Vec<f64> = (0..m)
        .map(|_| match (kind, &gamma) {
            (1, _) => (strength * normal(rng)).exp(),
            (2, Some(law)) => law.sample(rng),
            _ => 1.0 + (top - 1.0) * rng.random::<f64>().powf(power),
        })
        .map(f64::sqrt)
        .collect();
    scale_columns(&mut w, &factors);
    w
}

fn heavy(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    match pick(rng, 8) {
        0 => {
            let mu = uniform(rng, 0.6, 2.0);
            match pick(rng, 3) {
                0 => Entries::Student(mu),
                1 => Entries::SignedPareto(mu),
                _ => Entries::SignedLomax(mu),
            }
            .fill(n * m, rng)
        }
        kind => {
            let exponent = uniform(rng, 1.7, 3.0);
            let mut w = noise(n, m, rng);
            // The tail covers all directions, or a part of them above a flat floor.
            let part = if kind < 5 {
                1.0
            } else {
                uniform(rng, 0.25, 1.0)
            };
            let evenly = rng.random::<bool>();
            let factors: Vec<f64> = (0..m)
                .map(|i| {
                    let at = if evenly { 0.5 } else { rng.random::<f64>() };
                    let p = (i as f64 + at) / m as f64;
                    if p > part {
                        1.0
                    } else {
                        (p / part).max(1e-9).powf(0.5 / (1.0 - exponent))
                    }
                })
                .collect();
            scale_columns(&mut w, &factors);
            w
        }
    }
}

fn heavy_relative(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let exponent = uniform(rng, 1.7, 3.0);
    let pareto = |count: usize, rng: &mut Rng| -> Vec<f64> {
        (0..count)
            .map(|_| (1.0 - rng.random::<f64>()).powf(0.5 / (1.0 - exponent)))
            .collect()
    };
    match pick(rng, 3) {
        // Rows of random length form an elliptical distribution.
        0 if n < 4 * m => {
            let mut w = noise(n, m, rng);
            let factors = pareto(n, rng);
            scale_rows(&mut w, &factors);
            w
        }
        // The singular values are set directly, with a little noise added.
        1 => {
            let mut w: Vec<f64> = (0..n * m).map(|_| 0.05 * normal(rng)).collect();
            for (i, s) in pareto(m, rng).into_iter().enumerate() {
                w[i * m + i] += s * (n as f64).sqrt();
            }
            w
        }
        // A heavy-tailed population spectrum for a part of the directions, and a flat one for the
        // rest.
        _ => {
            let part = uniform(rng, 0.12, 0.6);
            let mut w = noise(n, m, rng);
            let mut factors = pareto(m, rng);
            factors.iter_mut().for_each(|f| {
                if rng.random::<f64>() > part {
                    *f = 1.0;
                }
            });
            scale_columns(&mut w, &factors);
            w
        }
    }
}

/// A matrix with 10–95 % null directions. They are exact, or have a floor of at most 1e-4 in
/// singular values.
fn collapsed(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let null = uniform(rng, 0.1, 0.95);
    let rank = (((1.0 - null) * m as f64).round() as usize).clamp(1, m - 1);
    let floor = match pick(rng, 3) {
        0 => 0.0,
        _ => log_uniform(rng, 1e-7, 1e-4),
    };
    match pick(rng, 3) {
        0 => {
            let a = Entries::Normal.fill(n * rank, rng);
            let b = Entries::Normal.fill(rank * m, rng);
            let mut w: Vec<f64> = (0..n * m).map(|_| floor * normal(rng)).collect();
            let scale = 1.0 / (rank as f64).sqrt();
            for (row, a) in w.chunks_exact_mut(m).zip(a.chunks_exact(rank)) {
                for (a, b) in a.iter().zip(b.chunks_exact(m)) {
                    for (x, b) in row.iter_mut().zip(b) {
                        *x += scale * a * b;
                    }
                }
            }
            w
        }
        kind => {
            let mut w = match pick(rng, 3) {
                0 => noise(n, m, rng),
                1 => spiked(n, m, false, rng),
                _ => decay(n, m, rng),
            };
            let count = if kind == 1 { m } else { n };
            let mut dead: Vec<f64> = (0..count)
                .map(|i| if i < rank { 1.0 } else { floor })
                .collect();
            for i in (1..count).rev() {
                let j = pick(rng, i + 1);
                dead.swap(i, j);
            }
            if kind == 1 {
                scale_columns(&mut w, &dead);
            } else {
                scale_rows(&mut w, &dead);
            }
            w
        }
    }
}
