//! Exponential families that contain the power law. The truncated power law and the truncated
//! lognormal both belong to one.
//!
//! With y = ln(x/xmin) ≥ 0 both have the density p(y) = exp(−a·y − b·t(y))/Z(a, b), b ≥ 0. The
//! power law is the case b = 0, a = α − 1. The log-likelihood is concave in (a, b), so its maximum
//! is unique and Newton's method finds it.

use super::numeric::GaussLegendre;

/// The statistic t(y), which bends the power law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bend {
    /// t(y) = eʸ − 1: an exponential cut-off in x.
    Exponential,
    /// t(y) = y²: a lognormal.
    Quadratic,
}

impl Bend {
    pub(crate) fn at(self, y: f64) -> f64 {
        match self {
            Bend::Exponential => y.exp_m1(),
            Bend::Quadratic => y * y,
        }
    }
}

/// ln Z, and the mean and covariance of (y, t).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    pub(crate) ln_z: f64,
    mean: [f64; 2],
    /// Var y, Cov(y, t), Var t.
    cov: [f64; 3],
}

/// The exponent −a·y − b·t(y).
fn exponent(bend: Bend, a: f64, b: f64, y: f64) -> f64 {
    -a * y - if b > 0.0 { b * bend.at(y) } else { 0.0 }
}

/// The mode, and the point where the density has fallen to 1e-20 of its value at the mode. Both are
/// for y ≥ `from`.
fn mode_and_end(bend: Bend, a: f64, b: f64, from: f64) -> (f64, f64) {
    let mode = match bend {
        _ if a >= 0.0 || b <= 0.0 => 0.0,
        Bend::Exponential => (-a / b).max(1.0).ln(),
        Bend::Quadratic => -a / (2.0 * b),
    }
    .max(from);
    let top = exponent(bend, a, b, mode);
    let fallen = |y: f64| exponent(bend, a, b, y) < top - 46.0;
    let mut step = 1e-3;
    while !fallen(mode + step) && step < 1e6 {
        step *= 2.0;
    }
    let (mut low, mut high) = (step / 2.0, step);
    for _ in 0..6 {
        let middle = 0.5 * (low + high);
        if fallen(mode + middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    (mode, mode + high)
}

thread_local! {
    static RULE: GaussLegendre = GaussLegendre::new(12);
}

/// Number of panels of the quadrature beyond the mode.
const PANELS: usize = 24;

/// ∫ exp(−a·y − b·t(y)) over y ≥ `from`, and its moments. They are finite if b > 0 or a > 0.
pub(crate) fn moments(bend: Bend, a: f64, b: f64, from: f64) -> Moments {
    let (mode, end) = mode_and_end(bend, a, b, from);
    let top = exponent(bend, a, b, mode);
    let mut sums = [0.0; 6];
    let mut add = |low: f64, high: f64| {
        if high <= low {
            return;
        }
        RULE.with(|rule| {
            for (y, w) in rule.on(low, high) {
                let p = w * (exponent(bend, a, b, y) - top).exp();
                let t = bend.at(y);
                for (sum, v) in sums.iter_mut().zip([1.0, y, t, y * y, y * t, t * t]) {
                    *sum += p * v;
                }
            }
        });
    };
    let below = PANELS / 3;
    for i in 0..below {
        let at = |i: usize| from + (mode - from) * i as f64 / below as f64;
        add(at(i), at(i + 1));
    }
    // The panels are denser towards the mode, where a steep density has its mass.
    for i in 0..PANELS {
        let at = |i: usize| mode + (end - mode) * (i as f64 / PANELS as f64).powi(2);
        add(at(i), at(i + 1));
    }
    let z = sums[0];
    let [_, y, t, yy, yt, tt] = sums.map(|s| s / z);
    Moments {
        ln_z: top + z.ln(),
        mean: [y, t],
        cov: [yy - y * y, yt - y * t, tt - t * t],
    }
}

/// The maximum-likelihood (a, b) for values with these means of y and t, and the log-likelihood per
/// value, Σ ln p(y)/n. `None` if a mean is not finite or that of y is not positive.
pub(crate) fn fit(bend: Bend, mean_y: f64, mean_t: f64) -> Option<(f64, f64, f64)> {
    let pareto = 1.0 / mean_y;
    if !(pareto.is_finite() && mean_t.is_finite() && pareto > 0.0) {
        return None;
    }
    let value = |a: f64, b: f64, m: &Moments| -a * mean_y - b * mean_t - m.ln_z;
    // At b = 0 the moments of t may not exist, so the search starts inside.
    let (mut a, mut b) = (pareto, 0.01 / mean_t.max(1e-12));
    let mut at = moments(bend, a, b, 0.0);
    let mut best = value(a, b, &at);
    for _ in 0..100 {
        // The gradient of the log-likelihood and the Newton step.
        let g = [at.mean[0] - mean_y, at.mean[1] - mean_t];
        let [yy, yt, tt] = at.cov;
        let det = yy * tt - yt * yt;
        if det.is_nan() || det <= 0.0 {
            break;
        }
        let step = [(tt * g[0] - yt * g[1]) / det, (yy * g[1] - yt * g[0]) / det];
        let mut factor = 1.0;
        let mut moved = false;
        for _ in 0..40 {
            let (na, mut nb) = (a + factor * step[0], b + factor * step[1]);
            if nb <= 0.0 {
                nb = 0.2 * b;
            }
            let next = moments(bend, na, nb, 0.0);
            let v = value(na, nb, &next);
            if v.is_finite() && v > best {
                moved = v > best + 1e-13 * best.abs().max(1.0);
                (a, b, at, best) = (na, nb, next, v);
                break;
            }
            factor *= 0.5;
        }
        if !moved {
            break;
        }
    }
    // The boundary b = 0 is the power law itself.
    let power = pareto.ln() - 1.0;
    Some(if power >= best {
        (pareto, 0.0, power)
    } else {
        (a, b, best)
    })
}

/// A member of the family with its normalisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ExponentialFamily {
    pub(crate) bend: Bend,
    pub(crate) a: f64,
    pub(crate) b: f64,
    ln_z: f64,
}

impl ExponentialFamily {
    pub(crate) fn new(bend: Bend, a: f64, b: f64) -> Self {
        Self {
            bend,
            a,
            b,
            ln_z: moments(bend, a, b, 0.0).ln_z,
        }
    }

    pub(crate) fn ln_pdf(&self, y: f64) -> f64 {
        exponent(self.bend, self.a, self.b, y) - self.ln_z
    }

    pub(crate) fn survival(&self, y: f64) -> f64 {
        if y <= 0.0 {
            return 1.0;
        }
        (moments(self.bend, self.a, self.b, y).ln_z - self.ln_z).exp()
    }

    pub(crate) fn quantile(&self, p: f64) -> f64 {
        super::numeric::invert_survival(1.0 - p, |y| self.survival(y))
    }
}
