//! Probability laws, one file each: formula, source, tests. All of them obey [`Law`], and one
//! generic test holds every law to it.

mod exponential;
mod lognormal;
mod marchenko_pastur;
pub(crate) mod normal;
pub(crate) mod numeric;
mod power_law;
pub(crate) mod tilted;
mod tracy_widom;
mod tracy_widom_table;
mod truncated_power_law;

use rand::{Rng, RngExt};

pub use exponential::Exponential;
pub use lognormal::Lognormal;
pub use marchenko_pastur::MarchenkoPastur;
pub use power_law::PowerLaw;
pub use tracy_widom::{TracyWidom, noise_edge};
pub use truncated_power_law::TruncatedPowerLaw;

/// A continuous law on an interval.
pub trait Law {
    /// Where the density is positive.
    fn support(&self) -> (f64, f64);

    /// Density at x; 0 outside the support.
    fn pdf(&self, x: f64) -> f64;

    /// P(X ≤ x).
    fn cdf(&self, x: f64) -> f64;

    /// The x with `cdf(x) = p`, for p in [0, 1].
    fn quantile(&self, p: f64) -> f64;

    /// One value at random.
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        self.quantile(rng.random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// ∫pdf = cdf, cdf′ = pdf (by the same integral), and quantile inverts cdf.
    fn obeys(law: &dyn Law, name: &str) {
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
            obeys(&MarchenkoPastur::new(sigma2, n, m), &format!("MP {n}×{m}"));
        }
        obeys(&PowerLaw::new(2.5, 0.3), "power law");
        obeys(&Exponential::new(1.7, 0.3), "exponential");
        obeys(&TracyWidom, "Tracy–Widom");
        for (alpha, rate) in [(2.5, 0.4), (1.0, 2.0), (-0.5, 1.0), (3.0, 1e-6)] {
            obeys(
                &TruncatedPowerLaw::new(alpha, rate, 0.3),
                &format!("truncated {alpha} {rate}"),
            );
        }
        for (mu, s) in [(0.0, 1.0), (-3.0, 1.5), (2.0, 0.3), (-20.0, 4.0)] {
            obeys(&Lognormal::new(mu, s, 0.3), &format!("lognormal {mu} {s}"));
        }
    }
}
