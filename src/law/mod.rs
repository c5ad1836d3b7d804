//! Probability laws, one file each, with formula, source and tests. Each implements [`Law`], and
//! one generic test checks every law against that trait.

mod exponential;
pub(crate) mod exponential_family;
mod lognormal;
mod marchenko_pastur;
pub(crate) mod normal;
pub(crate) mod numeric;
mod power_law;
mod tracy_widom;
mod tracy_widom_table;
mod truncated_power_law;

use rand::{Rng, RngExt};

pub use exponential::Exponential;
pub use lognormal::Lognormal;
pub use marchenko_pastur::MarchenkoPastur;
pub use power_law::PowerLaw;
pub(crate) use tracy_widom::edge;
pub use tracy_widom::{TracyWidom, noise_edge};
pub use truncated_power_law::TruncatedPowerLaw;

use crate::error::{Error, Result};

/// An error unless the parameter is finite and `holds`, the condition of its domain, is true.
fn require(
    holds: bool,
    law: &'static str,
    parameter: &'static str,
    value: f64,
    domain: &'static str,
) -> Result<()> {
    // Infinite parameters pass many conditions and make densities NaN.
    if holds && value.is_finite() {
        return Ok(());
    }
    Err(Error::Domain {
        law,
        parameter,
        value,
        domain,
    })
}

/// A continuous probability law on an interval. Constructors refuse parameters outside their
/// domain.
pub trait Law {
    /// The interval on which the density is positive. Its ends may be infinite.
    fn support(&self) -> (f64, f64);

    /// Density at x, per unit of x. It is 0 outside the support.
    fn pdf(&self, x: f64) -> f64;

    /// P(X ≤ x).
    fn cdf(&self, x: f64) -> f64;

    /// The x with `cdf(x) = p`, for p in [0, 1].
    fn quantile(&self, p: f64) -> f64;

    /// A random value of the law.
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        self.quantile(rng.random())
    }
}

/// A law on [xmin, ∞), as the tail of a spectrum needs it. It is a [`Law`].
trait AboveXmin {
    fn xmin(&self) -> f64;

    /// ln of the density at x ≥ xmin.
    fn ln_density(&self, x: f64) -> f64;

    /// P(X > x) for x > xmin.
    fn survival(&self, x: f64) -> f64;

    /// As [`Law::quantile`].
    fn quantile(&self, p: f64) -> f64;
}

impl<T: AboveXmin> Law for T {
    fn support(&self) -> (f64, f64) {
        (self.xmin(), f64::INFINITY)
    }

    fn pdf(&self, x: f64) -> f64 {
        if x < self.xmin() {
            0.0
        } else {
            self.ln_density(x).exp()
        }
    }

    fn cdf(&self, x: f64) -> f64 {
        if x <= self.xmin() {
            0.0
        } else {
            1.0 - self.survival(x)
        }
    }

    fn quantile(&self, p: f64) -> f64 {
        AboveXmin::quantile(self, p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// ∫pdf = cdf, cdf′ = pdf (by the same integral), and quantile inverts cdf.
    fn check_law(law: &dyn Law, name: &str) {
        let inner: Vec<f64> = (1..40).map(|i| law.quantile(f64::from(i) / 40.0)).collect();
        for (i, pair) in inner.windows(2).enumerate() {
            let (a, b) = (pair[0], pair[1]);
            assert!(a < b, "{name}: quantiles ascend");
            let p = (i + 1) as f64 / 40.0;
            assert!(
                (law.cdf(a) - p).abs() < 1e-9,
                "{name}: cdf({a}) = {}",
                law.cdf(a)
            );
            // Simpson's rule on a short interval.
            let steps = 400;
            let h = (b - a) / f64::from(steps);
            let integral: f64 = (0..=steps)
                .map(|j| {
                    let weight = match j {
                        0 => 1.0,
                        j if j == steps => 1.0,
                        j if j % 2 == 1 => 4.0,
                        _ => 2.0,
                    };
                    weight * law.pdf(a + f64::from(j) * h)
                })
                .sum::<f64>()
                * h
                / 3.0;
            assert!(
                (integral - 1.0 / 40.0).abs() < 1e-8,
                "{name}: ∫pdf = {integral}"
            );
        }
        // cdf′ = pdf, by a central difference.
        for &x in &inner {
            let h = 1e-5 * (inner[38] - inner[0]).min(1.0) * x.abs().max(0.1);
            let slope = (law.cdf(x + h) - law.cdf(x - h)) / (2.0 * h);
            let pdf = law.pdf(x);
            assert!(
                (slope / pdf - 1.0).abs() < 1e-4,
                "{name}: cdf′({x}) = {slope}, pdf {pdf}"
            );
        }
        // 300 samples stay within the 99.9 % point of Kolmogorov's statistic.
        let mut rng = rand_pcg::Pcg64::seed_from_u64(3);
        let mut sample: Vec<f64> = (0..300).map(|_| law.sample(&mut rng)).collect();
        sample.sort_by(f64::total_cmp);
        let d = sample
            .iter()
            .enumerate()
            .map(|(i, &x)| (law.cdf(x) - (i as f64 + 0.5) / 300.0).abs())
            .fold(0.0, f64::max);
        assert!(d < 1.95 / 300f64.sqrt(), "{name}: samples are {d} away");

        let (low, high) = law.support();
        if low.is_finite() {
            assert_eq!(
                (law.pdf(low - 1.0), law.cdf(low - 1.0)),
                (0.0, 0.0),
                "{name}"
            );
        }
        if high.is_finite() {
            assert_eq!(
                (law.pdf(high + 1.0), law.cdf(high + 1.0)),
                (0.0, 1.0),
                "{name}"
            );
        }
    }

    #[test]
    fn every_law_obeys_the_trait() {
        for (n, m, sigma2) in [
            (500, 500, 2.0),
            (2450, 500, 1.0),
            (1000, 10, 0.3),
            (8, 7, 1.0),
        ] {
            let law = MarchenkoPastur::new(sigma2, n, m).unwrap();
            check_law(&law, &format!("MP {n}×{m}"));
        }
        check_law(&PowerLaw::new(2.5, 0.3).unwrap(), "power law");
        check_law(&Exponential::new(1.7, 0.3).unwrap(), "exponential");
        check_law(&TracyWidom, "Tracy–Widom");
        for (alpha, rate) in [(2.5, 0.4), (1.0, 2.0), (-0.5, 1.0), (3.0, 1e-6)] {
            check_law(
                &TruncatedPowerLaw::new(alpha, rate, 0.3).unwrap(),
                &format!("truncated {alpha} {rate}"),
            );
        }
        for (mu, s) in [(0.0, 1.0), (-3.0, 1.5), (2.0, 0.3), (-20.0, 4.0)] {
            let law = Lognormal::new(mu, s, 0.3).unwrap();
            check_law(&law, &format!("lognormal {mu} {s}"));
        }
    }

    #[test]
    fn parameters_outside_of_their_domain_are_refused() {
        let refused = |law: Result<f64>, parameter: &str| {
            let error = law.unwrap_err().to_string();
            assert!(error.contains(&format!("{parameter} = ")), "{error}");
        };
        let nan = f64::NAN;
        for (sigma2, n, m, parameter) in [
            (0.0, 10, 5, "sigma2"),
            (nan, 10, 5, "sigma2"),
            (f64::INFINITY, 10, 5, "sigma2"),
            (1.0, 5, 10, "n"),
            (1.0, 5, 0, "m"),
        ] {
            let law = MarchenkoPastur::new(sigma2, n, m);
            refused(law.map(|l| l.upper()), parameter);
        }
        for (lower, upper, parameter) in [(-1.0, 1.0, "lower"), (1.0, 1.0, "upper")] {
            let law = MarchenkoPastur::from_edges(lower, upper);
            refused(law.map(|l| l.upper()), parameter);
        }
        for (alpha, xmin, parameter) in [(1.0, 1.0, "alpha"), (2.0, 0.0, "xmin")] {
            refused(PowerLaw::new(alpha, xmin).map(|l| l.pdf(2.0)), parameter);
        }
        refused(Exponential::new(0.0, 1.0).map(|l| l.pdf(2.0)), "rate");
        refused(Exponential::new(1.0, nan).map(|l| l.pdf(2.0)), "xmin");
        refused(Lognormal::new(0.0, 0.0, 1.0).map(|l| l.mu()), "s");
        refused(Lognormal::new(nan, 1.0, 1.0).map(|l| l.mu()), "mu");
        refused(Lognormal::new(0.0, 1.0, -1.0).map(|l| l.mu()), "xmin");
        let truncated = |alpha, rate, xmin| TruncatedPowerLaw::new(alpha, rate, xmin);
        refused(truncated(1.0, 0.0, 1.0).map(|l| l.rate()), "alpha");
        refused(truncated(2.0, -1.0, 1.0).map(|l| l.rate()), "rate");
        refused(truncated(2.0, 1.0, 0.0).map(|l| l.rate()), "xmin");
        assert_eq!(truncated(2.0, 0.0, 1.0).unwrap().rate(), 0.0);
        refused(noise_edge(3, 4).map(|(centre, _)| centre), "n");
        refused(noise_edge(3, 0).map(|(centre, _)| centre), "m");
    }
}
