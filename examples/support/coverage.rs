//! Measures how often the interval for α covers a known exponent, and how well the textbook's σ of
//! α agrees with the actual spread.

use heavytail::fit::{NoFit, alpha_interval, fit_tail};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::Serialize;

/// The distribution of the values below the power law, which begins at 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "body")]
pub enum Body {
    /// No such values: the whole sample is a power law.
    None,
    /// Values uniform on [0.01, 1].
    Uniform { share: f64 },
    /// Values whose logarithm is normal with mean −s and standard deviation s, cut off at 1.
    Lognormal { share: f64, s: f64 },
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Coverage {
    #[serde(flatten)]
    pub body: Body,
    /// The number of values in a data set, the body included.
    pub n: usize,
    /// The range from which the exponents are drawn.
    pub alpha: (f64, f64),
    pub data_sets: usize,
    pub replicates: usize,
    /// The nominal coverage of the interval.
    pub level: f64,
    /// The share of data sets in which the interval contains the true α.
    pub covered: f64,
    /// The share of intervals that lie completely above the true α.
    pub too_high: f64,
    /// The share of intervals that lie completely below the true α.
    pub too_low: f64,
    /// The mean width of the interval divided by α − 1.
    pub mean_width: f64,
    /// The mean of (α̂ − α)/(α − 1).
    pub bias: f64,
    /// The standard deviation of (α̂ − α)/(α − 1).
    pub sd: f64,
    /// The mean of the textbook's σ divided by α − 1.
    pub textbook_sigma: f64,
}

/// A table with a line for each body and each n.
pub fn coverage(
    bodies: &[Body],
    sizes: &[usize],
    alpha: (f64, f64),
    data_sets: usize,
    replicates: usize,
    seed: u64,
) -> Result<Vec<Coverage>, NoFit> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut table = Vec::new();
    for &body in bodies {
        for &n in sizes {
            table.push(line(body, n, alpha, data_sets, replicates, &mut rng)?);
        }
    }
    Ok(table)
}

fn line(
    body: Body,
    n: usize,
    range: (f64, f64),
    data_sets: usize,
    replicates: usize,
    rng: &mut Pcg64,
) -> Result<Coverage, NoFit> {
    let (mut high, mut low, mut width, mut textbook) = (0, 0, 0.0, 0.0);
    let mut level = f64::NAN;
    let mut errors = Vec::with_capacity(data_sets);
    for _ in 0..data_sets {
        let alpha = rng.random_range(range.0..range.1);
        let x = sample(body, n, alpha, rng);
        let fit = fit_tail(&x)?;
        let interval = alpha_interval(&x, replicates, rng.random())?;
        level = interval.level;
        high += usize::from(interval.low > alpha);
        low += usize::from(interval.high < alpha);
        width += (interval.high - interval.low) / (alpha - 1.0);
        textbook += fit.sigma / (alpha - 1.0);
        errors.push((fit.alpha - alpha) / (alpha - 1.0));
    }
    let sets = data_sets as f64;
    let bias = errors.iter().sum::<f64>() / sets;
    let variance = errors.iter().map(|e| (e - bias).powi(2)).sum::<f64>() / (sets - 1.0);
    Ok(Coverage {
        body,
        n,
        alpha: range,
        data_sets,
        replicates,
        level,
        covered: (data_sets - high - low) as f64 / sets,
        too_high: high as f64 / sets,
        too_low: low as f64 / sets,
        mean_width: width / sets,
        bias,
        sd: variance.sqrt(),
        textbook_sigma: textbook / sets,
    })
}

/// Independent values in ascending order: a power law above 1 and a body below it.
pub fn sample(body: Body, n: usize, alpha: f64, rng: &mut Pcg64) -> Vec<f64> {
    let share = match body {
        Body::None => 0.0,
        Body::Uniform { share } | Body::Lognormal { share, .. } => share,
    };
    let mut x: Vec<f64> = (0..n)
        .map(|_| match body {
            _ if rng.random::<f64>() >= share => {
                (1.0 - rng.random::<f64>()).powf(1.0 / (1.0 - alpha))
            }
            Body::Lognormal { s, .. } => loop {
                // The transform of Box and Muller.
                let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
                let z = radius * (std::f64::consts::TAU * rng.random::<f64>()).cos();
                if z < 1.0 {
                    break (s * (z - 1.0)).exp();
                }
            },
            _ => rng.random_range(0.01..1.0),
        })
        .collect();
    x.sort_by(f64::total_cmp);
    x
}
