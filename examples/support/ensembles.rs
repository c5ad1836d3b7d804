//! Random matrices whose phase is known because it was built in: what the classifier is calibrated on
//! and judged by. Everything is seeded; the same seed gives the same matrix.
//!
//! The six families and their ranges are the project's judgement of what each phase means (r is an
//! eigenvalue in units of the noise edge λ₊):
//!
//! | phase | built as |
//! |---|---|
//! | Random-like | independent entries: normal, uniform, ±1, truncated normal, Laplace |
//! | Bleeding-out | noise and 1–5 rank-one signals between 2 Tracy–Widom scales above the edge and r ≈ 1.2 (M < 150: 1.4) |
//! | Bulk+Spikes | noise and 1–8 rank-one signals, r from 1.4 to 15, well separated |
//! | Bulk-decay | noise times a population spectrum, flat for most directions and smoothly rising above: 4–15 % of the eigenvalues beyond λ₊, r from where Bleeding-out ends up to about 6 |
//! | Heavy-tailed | population spectra with a Pareto tail (density exponent 1.7–3), or entries with tail exponent μ < 2 |
//! | Rank-collapse | low rank over a negligible floor, zeroed rows or columns, 10–95 % null directions |

use heavytail::Phase;
use heavytail::law::{Law, MarchenkoPastur, noise_edge};
use heavytail::{Config, WeightMatrix, spectrum::Spectrum};
use rand::RngExt;
use rand_distr::{Distribution, Exp1, Gamma, StandardNormal, StudentT};
use rand_pcg::Pcg64;

/// The generator of everything here.
pub type Rng = Pcg64;

/// A generator for one case of one experiment.
pub fn rng(experiment: u64, case: u64) -> Rng {
    Pcg64::new(
        (u128::from(experiment) << 64) | u128::from(case),
        0x0a02_bdbf_7bb3_c0a7_ac28_fa16_a64a_bf96,
    )
}

/// Uniform on [a, b).
pub fn uniform(rng: &mut Rng, a: f64, b: f64) -> f64 {
    a + (b - a) * rng.random::<f64>()
}

/// Uniform on [a, b) in the logarithm.
pub fn log_uniform(rng: &mut Rng, a: f64, b: f64) -> f64 {
    uniform(rng, a.ln(), b.ln()).exp()
}

/// One of 0 … `count`−1.
pub fn pick(rng: &mut Rng, count: usize) -> usize {
    rng.random_range(0..count)
}

pub fn normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Laws of independent entries, scaled to variance 1 where they have one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entries {
    Normal,
    Uniform,
    Sign,
    TruncatedNormal,
    Laplace,
    /// Student's t with ν degrees of freedom: tail exponent μ = ν.
    Student(f64),
    /// Pareto of type I with a random sign: |w| ≥ 1.
    SignedPareto(f64),
    /// Pareto of type II (Lomax) with a random sign: mass near 0.
    SignedLomax(f64),
}

impl Entries {
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
                            // The variance of a normal that is cut at ±2.
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

/// Unit-variance noise of one of the five laws.
pub fn noise(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    Entries::NOISE[pick(rng, 5)].fill(n * m, rng)
}

/// Noise as above, or of a relative: a lighter Student's t, or entries of which a part is pruned.
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

/// The strength t = θ²/σ² of a rank-one signal whose eigenvalue lies at `lambda`, for unit noise:
/// λ = (1 + t)(c + t)/t (Benaych-Georges and Nadakuditi 2012).
fn strength(lambda: f64, c: f64) -> f64 {
    let b = lambda - 1.0 - c;
    (b + (b * b - 4.0 * c).max(0.0).sqrt()) / 2.0
}

fn unit(len: usize, rng: &mut Rng) -> Vec<f64> {
    let v: Vec<f64> = (0..len).map(|_| normal(rng)).collect();
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.into_iter().map(|x| x / norm).collect()
}

/// Add rank-one signals whose eigenvalues of X = WᵀW/N will lie near `lambdas`.
pub fn plant(w: &mut [f64], n: usize, m: usize, lambdas: &[f64], rng: &mut Rng) {
    for &lambda in lambdas {
        let theta = (strength(lambda, m as f64 / n as f64) * n as f64).sqrt();
        let (u, v) = (unit(n, rng), unit(m, rng));
        for (row, u) in w.chunks_exact_mut(m).zip(u) {
            for (x, v) in row.iter_mut().zip(&v) {
                *x += theta * u * v;
            }
        }
    }
}

/// Multiply column j by `factors[j]`.
pub fn scale_columns(w: &mut [f64], factors: &[f64]) {
    for row in w.chunks_exact_mut(factors.len()) {
        for (x, f) in row.iter_mut().zip(factors) {
            *x *= f;
        }
    }
}

/// Multiply row i by `factors[i]`.
pub fn scale_rows(w: &mut [f64], factors: &[f64]) {
    let m = w.len() / factors.len();
    for (row, f) in w.chunks_exact_mut(m).zip(factors) {
        row.iter_mut().for_each(|x| *x *= f);
    }
}

/// Rotate the columns' space by a product of `m` random reflections' worth of mixing: a random
/// orthogonal matrix, from the QR decomposition of a Gaussian one by Householder reflections.
pub fn rotate_columns(w: &mut [f64], m: usize, rng: &mut Rng) {
    // A product of reflections in independent Gaussian directions of falling dimension is Haar.
    for k in 0..m - 1 {
        let v = unit(m - k, rng);
        for row in w.chunks_exact_mut(m) {
            let tail = &mut row[k..];
            let dot: f64 = tail.iter().zip(&v).map(|(x, v)| x * v).sum();
            for (x, v) in tail.iter_mut().zip(&v) {
                *x -= 2.0 * dot * v;
            }
        }
    }
}

/// Upper edge of unit noise.
pub fn edge(n: usize, m: usize) -> f64 {
    (1.0 + (m as f64 / n as f64).sqrt()).powi(2)
}

/// How far a specimen may stray from the families' definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// The ranges of the table above.
    Family,
    /// Those, and wider relatives of the same meaning: more and larger spikes, also close to the edge as
    /// trained layers have them (fewer than 4 % of the directions), shoulders with spikes,
    /// populations that vary everywhere but have no tail, tails in the rows, spectra written down
    /// directly. What the classifier is calibrated on.
    Relatives,
}

/// A matrix of a phase's family, n ≥ m, row-major.
pub fn specimen(phase: Phase, breadth: Breadth, n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let relative = breadth == Breadth::Relatives && pick(rng, 3) == 0;
    let mut w = match phase {
        Phase::RandomLike => background(n, m, relative, rng),
        Phase::BleedingOut => bleeding(n, m, relative, rng),
        Phase::BulkPlusSpikes => spiked(n, m, relative, rng),
        Phase::BulkDecay => shoulder(n, m, relative, rng),
        Phase::HeavyTailed => heavy_tailed(n, m, relative, rng),
        Phase::RankCollapse => collapsed(n, m, rng),
    };
    // Weights are f32, of any scale.
    let scale = log_uniform(rng, 1e-3, 1e2);
    w.iter_mut()
        .for_each(|x| *x = f64::from((*x * scale) as f32));
    w
}

/// Where Bleeding-out ends, in units of the edge: in small matrices sampling noise carries it further.
fn bleeding_top(m: usize) -> f64 {
    if m < 150 { 1.4 } else { 1.2 }
}

fn bleeding(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    let mut w = background(n, m, relative, rng);
    let (_, scale) = noise_edge(n, m);
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
    plant(&mut w, n, m, &lambdas, rng);
    w
}

fn spiked(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    let mut w = background(n, m, relative, rng);
    if relative && rng.random::<bool>() {
        // As trained layers have them: a random bulk, fewer than 4 % of the directions beyond it, the
        // largest well above, the others anywhere between.
        let least = bleeding_top(m) * (1.0 + (2.0 / n as f64).sqrt());
        let top = log_uniform(rng, least, 8.0);
        let count = 1 + pick(rng, (m / 26).max(1));
        let power = log_uniform(rng, 0.6, 3.0);
        let mut lambdas = vec![top * edge(n, m)];
        for _ in 1..count {
            let u = rng.random::<f64>().powf(power);
            lambdas.push((1.02 + (top - 1.02) * u) * edge(n, m));
        }
        plant(&mut w, n, m, &lambdas, rng);
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
    plant(&mut w, n, m, &lambdas, rng);
    w
}

/// Share of the eigenvalues beyond the noise edge, and the largest in its units; `variance` is the
/// bulk's.
fn beyond(n: usize, m: usize, w: &[f64], variance: f64) -> (f64, f64) {
    let x = eigenvalues(n, m, w);
    let plus = edge(n, m) * variance;
    let count = x.len() - x.partition_point(|&v| v <= plus);
    (count as f64 / m as f64, x[m - 1] / plus)
}

fn shoulder(n: usize, m: usize, relative: bool, rng: &mut Rng) -> Vec<f64> {
    // One sampling deviation of a large eigenvalue above where Bleeding-out ends: below, a short
    // shoulder and eigenvalues that bleed out are the same thing.
    let mut least = bleeding_top(m) * (1.0 + (2.0 / n as f64).sqrt());
    if relative {
        least = uniform(rng, 1.25, least);
    }
    let broad = relative && pick(rng, 2) == 0;
    loop {
        if broad {
            // No part is flat, so that the median has to do for the bulk.
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
            plant(&mut w, n, m, &lambdas, rng);
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
        // Such a bulk has no variance to speak of; the median eigenvalue has to do.
        let x = eigenvalues(n, m, &w);
        let (share, r) = beyond(n, m, &w, x[m / 2]);
        if share >= 0.1 && r > 2.5 {
            return w;
        }
    }
}

pub fn eigenvalues(n: usize, m: usize, w: &[f64]) -> Vec<f64> {
    let matrix = WeightMatrix::new("w", n, m, w).expect("the shape fits");
    let solver = Config::default().solver;
    let spectrum = Spectrum::of(&matrix, solver).expect("finite weights");
    spectrum.eigenvalues().to_vec()
}

/// Noise times a population spectrum: 1 for most directions, rising smoothly to a finite top.
fn decay(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let share = uniform(rng, 0.04, 0.4);
    let top = log_uniform(rng, 1.3, 7.0);
    let shape = pick(rng, 4);
    let power = log_uniform(rng, 0.6, 4.0);
    // u runs from 0 (where the shoulder joins the flat part) to 1 (the top).
    let rise = |u: f64| match shape {
        0 => u.powf(power),
        1 => ((2.0 * power * u).exp() - 1.0) / ((2.0 * power).exp() - 1.0),
        2 => (1.0 - (1.0 - u).powf(0.5)).powf(power.min(1.5)),
        // The quantile of an exponential law, cut where the last direction lies.
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

/// The median eigenvalue of unit noise.
fn typical(n: usize, m: usize) -> f64 {
    MarchenkoPastur::new(1.0, n, m).quantile(0.5)
}

/// Noise times a population spectrum that varies in every direction but has a light tail: a ramp, a
/// narrow lognormal, a gamma law, or neighbouring columns that are correlated.
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
            // Every direction, or a part of them over a flat floor.
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
        // Rows of random length: an elliptical law.
        0 if n < 4 * m => {
            let mut w = noise(n, m, rng);
            let factors = pareto(n, rng);
            scale_rows(&mut w, &factors);
            w
        }
        // The spectrum itself, over a little noise.
        1 => {
            let mut w: Vec<f64> = (0..n * m).map(|_| 0.05 * normal(rng)).collect();
            for (i, s) in pareto(m, rng).into_iter().enumerate() {
                w[i * m + i] += s * (n as f64).sqrt();
            }
            w
        }
        // A heavy population above a Marchenko–Pastur floor.
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

/// Null directions: 10–95 % of them, exact or over a floor of at most 1e-4 in singular values.
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

/// Eigenvalues of X = WᵀW/N for unit Gaussian noise, without making W: the singular values of a
/// bidiagonal m×m matrix of χ variables (Silverstein 1985; Dumitriu and Edelman 2002).
pub fn laguerre(n: usize, m: usize, rng: &mut Rng) -> Vec<f64> {
    let mut b = vec![0.0; m * m];
    for i in 0..m {
        b[i * m + i] = chi((n - i) as f64, rng);
        if i + 1 < m {
            b[(i + 1) * m + i] = chi((m - 1 - i) as f64, rng);
        }
    }
    // The spectrum divides by m, the larger side of this matrix.
    eigenvalues(m, m, &b)
        .into_iter()
        .map(|x| x * m as f64 / n as f64)
        .collect()
}

fn chi(freedom: f64, rng: &mut Rng) -> f64 {
    rand_distr::ChiSquared::new(freedom).map_or(0.0, |law| law.sample(rng).sqrt())
}
