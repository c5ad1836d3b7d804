//! The Tracy–Widom law and the edge of a noise spectrum.

use super::tracy_widom_table::{LOG_ODDS, START, STEP};
use super::{Law, require};
use crate::error::Result;

/// The Tracy–Widom law for real matrices (β = 1), which describes the largest eigenvalue of noise.
///
/// # Formula
///
/// F(s) = det(1 − B_s) on L²(0, ∞) with the kernel B_s(x, y) = Ai(x + y + s).
/// The log odds ln F/(1−F) are tabulated on [−6, 12] and interpolated by cubic Hermite polynomials.
/// Beyond the table both tails follow their asymptotic series. Inside the table both F and 1 − F
/// have a *relative* error of 1e-7, so p-values are reliable down to 2e-14. Far outside it the
/// error of p is a few per cent.
///
/// # Source
///
/// Tracy, Widom (1996). The determinant is from Ferrari, Spohn (J. Phys. A 38, 2005), its
/// evaluation by quadrature from Bornemann (Math. Comp. 79, 2010). All digits of the quantiles
/// tabulated by Bejan (2005) agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TracyWidom;

impl TracyWidom {
    /// P(X > x), without cancellation in the far tail.
    pub fn survival(&self, x: f64) -> f64 {
        let (odds, _) = log_odds(x);
        1.0 / (1.0 + odds.exp())
    }
}

/// The log odds ℓ = ln F/(1−F) and their derivative.
fn log_odds(s: f64) -> (f64, f64) {
    let last = LOG_ODDS.len() - 1;
    let at = (s - START) / STEP;
    if at <= 0.0 {
        // ln F ≈ −|s|³/24 − |s|^{3/2}/(3√2) − ln|s|/16, shifted to the table's first value.
        let tail = |a: f64| -a.powi(3) / 24.0 - a.powf(1.5) / (3.0 * 2f64.sqrt()) - a.ln() / 16.0;
        let a = -s;
        let slope = a * a / 8.0 + a.sqrt() / (2.0 * 2f64.sqrt()) + 1.0 / (16.0 * a);
        return (LOG_ODDS[0].0 + tail(a) - tail(-START), slope);
    }
    let i = at as usize;
    if i >= last {
        // 1 − F ≈ ½∫Ai ≈ exp(−⅔ s^{3/2}) / (4√π s^{3/4}), shifted to the table's last value.
        let end = START + STEP * last as f64;
        let tail = |s: f64| 2.0 / 3.0 * s.powf(1.5) + 0.75 * s.ln();
        return (LOG_ODDS[last].0 + tail(s) - tail(end), s.sqrt() + 0.75 / s);
    }
    let t = at - i as f64;
    let ((a, da), (b, db)) = (LOG_ODDS[i], LOG_ODDS[i + 1]);
    let (da, db) = (da * STEP, db * STEP);
    let (t2, t3) = (t * t, t * t * t);
    let value = (2.0 * t3 - 3.0 * t2 + 1.0) * a
        + (t3 - 2.0 * t2 + t) * da
        + (3.0 * t2 - 2.0 * t3) * b
        + (t3 - t2) * db;
    let slope = (6.0 * t2 - 6.0 * t) * (a - b)
        + (3.0 * t2 - 4.0 * t + 1.0) * da
        + (3.0 * t2 - 2.0 * t) * db;
    (value, slope / STEP)
}

impl Law for TracyWidom {
    fn support(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    fn pdf(&self, x: f64) -> f64 {
        let (odds, slope) = log_odds(x);
        slope / (1.0 + odds.exp()) / (1.0 + (-odds).exp())
    }

    fn cdf(&self, x: f64) -> f64 {
        1.0 / (1.0 + (-log_odds(x).0).exp())
    }

    fn quantile(&self, p: f64) -> f64 {
        if p <= 0.0 {
            return f64::NEG_INFINITY;
        }
        if p >= 1.0 {
            return f64::INFINITY;
        }
        // The log odds ascend, so Newton's method inside a bracket finds the quantile.
        let target = p.ln() - (-p).ln_1p();
        let (mut low, mut high) = (-50.0, 50.0);
        let mut x = -1.2;
        for _ in 0..100 {
            let (odds, slope) = log_odds(x);
            if odds < target {
                low = x;
            } else {
                high = x;
            }
            let newton = x - (odds - target) / slope;
            let next = if newton > low && newton < high {
                newton
            } else {
                0.5 * (low + high)
            };
            if (next - x).abs() < 1e-13 {
                return next;
            }
            x = next;
        }
        x
    }
}

/// Centre and scale of the largest eigenvalue of X = WᵀW/N for an n×m matrix W of pure noise with
/// variance 1. (λmax − centre)/scale follows the Tracy–Widom law.
///
/// # Formula
///
/// centre = (√(n−1) + √m)²/n, scale = (√(n−1) + √m)(1/√(n−1) + 1/√m)^⅓/n.
///
/// # Source
///
/// Johnstone, *On the distribution of the largest eigenvalue in principal components analysis*,
/// Annals of Statistics 29 (2001).
///
/// # Errors
///
/// Fails unless n ≥ m ≥ 1.
pub fn noise_edge(n: usize, m: usize) -> Result<(f64, f64)> {
    const NAME: &str = "noise edge";
    require(m > 0, NAME, "m", m as f64, "at least 1")?;
    require(n >= m, NAME, "n", n as f64, "at least m")?;
    Ok(edge(n, m))
}

/// The edge of [`noise_edge`], for sides that come from a matrix and need no check.
pub(crate) fn edge(n: usize, m: usize) -> (f64, f64) {
    let (a, b) = (((n.max(2) - 1) as f64).sqrt(), (m as f64).sqrt());
    let n = n as f64;
    (
        (a + b).powi(2) / n,
        (a + b) * (1.0 / a + 1.0 / b).cbrt() / n,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    use crate::law::numeric::GaussLegendre;

    #[test]
    fn tabulated_values() {
        // Bejan, Largest eigenvalues and sample covariance matrices (2005), table of quantiles.
        for (p, x) in [
            (0.01, -3.8954),
            (0.05, -3.1804),
            (0.10, -2.7824),
            (0.30, -1.9104),
            (0.50, -1.2686),
            (0.70, -0.5923),
            (0.90, 0.4501),
            (0.95, 0.9793),
            (0.99, 2.0234),
        ] {
            let ours = TracyWidom.quantile(p);
            assert!((ours - x).abs() < 1e-4, "{p}: {ours} against {x}");
            assert!((TracyWidom.cdf(ours) - p).abs() < 1e-12);
        }
        assert!((TracyWidom.cdf(1.0) + TracyWidom.survival(1.0) - 1.0).abs() < 1e-15);
    }

    /// Ai(x) for x > 0 by the trapezoidal rule on K_{1/3}, for x ≤ 0 by Maclaurin's series.
    fn airy(x: f64) -> f64 {
        if x > 0.0 {
            let zeta = 2.0 / 3.0 * x.powf(1.5);
            let h = 0.05;
            let sum: f64 = (1..400)
                .map(|k| {
                    let t = h * f64::from(k);
                    (-zeta * t.cosh()).exp() * (t / 3.0).cosh()
                })
                .sum();
            return (x / 3.0).sqrt() / PI * h * (sum + 0.5 * (-zeta).exp());
        }
        let (mut f, mut g) = (1.0, x);
        let (mut tf, mut tg) = (1.0, x);
        for k in 1..120 {
            let k = f64::from(3 * k);
            tf *= x.powi(3) / (k * (k - 1.0));
            tg *= x.powi(3) / (k * (k + 1.0));
            f += tf;
            g += tg;
        }
        0.355_028_053_887_817_2 * f - 0.258_819_403_792_806_8 * g
    }

    /// F and 1 − F by Bornemann's method. Where F is near 1, the traces of powers replace the
    /// determinant.
    fn determinant(s: f64) -> (f64, f64) {
        let rule = GaussLegendre::new(48);
        let nodes: Vec<(f64, f64)> = rule.on(0.0, 16.0).collect();
        let size = nodes.len();
        let mut a: Vec<f64> = Vec::with_capacity(size * size);
        for (x, w) in &nodes {
            for (y, v) in &nodes {
                a.push((w * v).sqrt() * airy(x + y + s));
            }
        }
        if s > 4.0 {
            // −ln det = Σ tr(Bᵏ)/k; the second term is below 1e-9 of the first here.
            let first: f64 = (0..size).map(|i| a[i * size + i]).sum();
            let second: f64 = a.iter().map(|v| v * v).sum::<f64>() / 2.0;
            let ln = -(first + second);
            return (ln.exp(), -ln.exp_m1());
        }
        for (i, v) in a.iter_mut().enumerate() {
            *v = f64::from(u8::from(i / size == i % size)) - *v;
        }
        // 1 − B is positive definite, so the elimination needs no pivots.
        let mut det = 1.0;
        for k in 0..size {
            det *= a[k * size + k];
            for i in k + 1..size {
                let factor = a[i * size + k] / a[k * size + k];
                for j in k..size {
                    a[i * size + j] -= factor * a[k * size + j];
                }
            }
        }
        (det, 1.0 - det)
    }

    #[test]
    fn the_table_is_the_determinant() {
        for s in [
            -5.0, -3.3, -1.2065, 0.0, 0.97, 2.02, 3.5, 4.4, 6.1, 9.97, 11.9,
        ] {
            let (below, above) = determinant(s);
            let (p, q) = (TracyWidom.cdf(s), TracyWidom.survival(s));
            // The determinant itself loses digits of F on the far left and digits of 1 − F on the
            // right.
            let (left, right): (f64, f64) = if s < -4.0 { (1e-5, 1e-7) } else { (2e-7, 2e-7) };
            assert!(
                (p / below - 1.0).abs() < left,
                "F({s}): {p} against {below}"
            );
            assert!(
                (q / above - 1.0).abs() < right.max(1e-14 / above),
                "1−F({s}): {q} against {above}"
            );
        }
    }

    #[test]
    fn the_tails_join() {
        for s in [START, START + STEP * 144.0] {
            let (a, b) = (log_odds(s - 1e-9), log_odds(s + 1e-9));
            assert!(
                (a.0 - b.0).abs() < 1e-6 && (a.1 / b.1 - 1.0).abs() < 0.005,
                "{s}: {a:?} {b:?}"
            );
        }
        let mean: f64 = (1..4000)
            .map(|i| TracyWidom.quantile((f64::from(i) - 0.5) / 3999.0))
            .sum::<f64>()
            / 3999.0;
        assert!((mean + 1.2065).abs() < 2e-3, "{mean}");
    }

    #[test]
    fn the_edge_approaches_marchenko_pastur() {
        let (centre, scale) = edge(40_000, 10_000);
        assert!((centre - 2.25).abs() < 1e-3 && scale < 0.01);
    }
}
