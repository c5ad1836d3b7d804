//! Rank correlations: whether one number increases when another does.
//!
//! Kendall's τ_b = (C − D)/√((P − T_x)(P − T_y)). Of all P = n(n−1)/2 pairs, C are concordant and D
//! discordant, T_x are tied in x and T_y in y (Kendall, *The treatment of ties in ranking
//! problems*, Biometrika 33, 1945). Spearman's ρ is the correlation of the ranks, where tied values
//! share the mean of their ranks.
//!
//! A p-value is the share of random permutations with a coefficient as far from zero, on either
//! side. Intervals are those of Fieller, Hartley and Pearson (*Tests for rank correlation
//! coefficients*, Biometrika 44, 1957): atanh of the coefficient is nearly normal, with variance
//! .437/(n − 4) for τ and 1.06/(n − 3) for ρ.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// A rank correlation with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Correlation {
    /// The coefficient, from −1 to 1.
    pub value: f64,
    /// Number of pairs.
    pub n: usize,
    /// p-value: the share of 2,000 random pairings and the given one that are as far from zero. It
    /// is never below 1/2001. It is an estimate (for few pairs, of k/n!) with a standard error of
    /// up to .011.
    pub p: f64,
    /// 95 % interval. `None` for fewer than 8 pairs, where it would be a guess, and for a perfect
    /// order.
    pub interval: Option<[f64; 2]>,
}

/// Fewest pairs for an interval.
const MIN_PAIRS: usize = 8;
/// The 97.5 % point of the normal law.
const Z: f64 = 1.959_963_984_540_054;

const PERMUTATIONS: usize = 2000;

/// Kendall's τ_b of x and y. Pairs with a value that is not finite are left out. `None` for fewer
/// than three remaining pairs, or if all x or all y are equal.
pub fn kendall(pairs: &[(f64, f64)]) -> Option<Correlation> {
    correlate(pairs, tau, |n| 0.437 / (n - 4.0))
}

/// Spearman's ρ of x and y, with the rules of [`kendall`].
pub fn spearman(pairs: &[(f64, f64)]) -> Option<Correlation> {
    let rho = |x: &[f64], y: &[f64]| pearson(&ranks(x), &ranks(y));
    correlate(pairs, rho, |n| 1.06 / (n - 3.0))
}

fn correlate(
    pairs: &[(f64, f64)],
    measure: impl Fn(&[f64], &[f64]) -> Option<f64>,
    variance: impl Fn(f64) -> f64,
) -> Option<Correlation> {
    let good = pairs.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let (x, mut y): (Vec<f64>, Vec<f64>) = good.copied().unzip();
    let n = x.len();
    if n < 3 {
        return None;
    }
    let value = measure(&x, &y)?;
    let mut rng = Pcg64::seed_from_u64(n as u64);
    let mut as_extreme = 1;
    for _ in 0..PERMUTATIONS {
        for i in (1..n).rev() {
            y.swap(i, rng.random_range(0..=i));
        }
        let random = measure(&x, &y).unwrap_or(0.0);
        as_extreme += usize::from(random.abs() >= value.abs() - 1e-12);
    }
    let p = as_extreme as f64 / (PERMUTATIONS + 1) as f64;
    let interval = (n >= MIN_PAIRS && value.abs() < 1.0 - 1e-12).then(|| {
        let half = Z * variance(n as f64).sqrt();
        [-half, half].map(|shift| (value.atanh() + shift).tanh())
    });
    Some(Correlation {
        value,
        n,
        p,
        interval,
    })
}

fn tau(x: &[f64], y: &[f64]) -> Option<f64> {
    let (mut score, mut in_x, mut in_y) = (0i64, 0i64, 0i64);
    for i in 0..x.len() {
        for j in 0..i {
            let order = |v: &[f64]| i64::from(v[i] > v[j]) - i64::from(v[i] < v[j]);
            let (a, b) = (order(x), order(y));
            score += a * b;
            in_x += a * a;
            in_y += b * b;
        }
    }
    (in_x > 0 && in_y > 0).then(|| score as f64 / ((in_x as f64) * (in_y as f64)).sqrt())
}

fn ranks(values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .map(|v| {
            let below = values.iter().filter(|w| *w < v).count();
            let same = values.iter().filter(|w| *w == v).count();
            below as f64 + (same as f64 + 1.0) / 2.0
        })
        .collect()
}

fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (a, b) = (mean(x), mean(y));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| f(x - a, y - b)).sum()
    };
    let (xx, yy) = (sum(&|u, _| u * u), sum(&|_, v| v * v));
    (xx > 0.0 && yy > 0.0).then(|| sum(&|u, v| u * v) / (xx * yy).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
        x.iter().copied().zip(y.iter().copied()).collect()
    }

    #[test]
    fn values_agree_with_a_statistics_package() {
        // scipy.stats 1.17.1: kendalltau and spearmanr of these numbers.
        let data = pairs(
            &[12.0, 2.0, 1.0, 12.0, 2.0, 7.0],
            &[1.0, 4.0, 7.0, 1.0, 0.0, 3.0],
        );
        let t = kendall(&data).unwrap();
        let s = spearman(&data).unwrap();
        assert!(
            (t.value - (-0.5188745216627709)).abs() < 1e-12,
            "{}",
            t.value
        );
        assert!(
            (s.value - (-0.5373732906238788)).abs() < 1e-12,
            "{}",
            s.value
        );
    }

    #[test]
    fn an_order_is_found_and_its_p_is_that_of_few_pairs() {
        let up: Vec<(f64, f64)> = (0..4).map(|i| (f64::from(i), f64::from(i * i))).collect();
        let t = kendall(&up).unwrap();
        assert_eq!((t.value, t.n), (1.0, 4));
        // Two of 24 orders are as far from zero.
        assert!((t.p - 2.0 / 24.0).abs() < 0.02, "{}", t.p);
        let down: Vec<(f64, f64)> = (0..12).map(|i| (f64::from(i), -f64::from(i))).collect();
        assert_eq!(spearman(&down).unwrap().value, -1.0);
        assert!(spearman(&down).unwrap().p < 0.001);
    }

    #[test]
    fn intervals_cover_the_truth() {
        // Normal pairs of correlation r have τ = 2/π·asin r.
        let mut rng = Pcg64::seed_from_u64(5);
        let mut normal = || {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let r = 0.6f64;
        let truth = 2.0 / std::f64::consts::PI * r.asin();
        let mut covered = 0;
        for _ in 0..300 {
            let pairs: Vec<(f64, f64)> = (0..20)
                .map(|_| {
                    let (a, b) = (normal(), normal());
                    (a, r * a + (1.0 - r * r).sqrt() * b)
                })
                .collect();
            let [low, high] = kendall(&pairs).unwrap().interval.unwrap();
            covered += usize::from((low..=high).contains(&truth));
        }
        assert!((270..=297).contains(&covered), "{covered} of 300");
    }

    #[test]
    fn what_cannot_be_ordered_is_none() {
        assert!(kendall(&[(1.0, 1.0), (2.0, 2.0)]).is_none());
        assert!(kendall(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]).is_none());
        assert!(spearman(&[(1.0, 1.0), (2.0, f64::NAN), (3.0, 3.0)]).is_none());
    }
}
