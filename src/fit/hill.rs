//! Hill's estimator of the tail exponent.

/// Hill's estimator of α over the upper half of ascending `eigenvalues`. It has no search for xmin,
/// so it changes smoothly from epoch to epoch. `None` if half of the eigenvalues are zero, if the
/// upper half are equal, or for fewer than two.
///
/// # Formula
///
/// With λ descending and k = ⌊M/2⌋: α = 1 + k/Σ_{i≤k} ln(λ_i/λ_{k+1}).
///
/// # Source
///
/// Hill (1975), with the fixed median cut of Zhou et al., *Temperature Balancing* (2023).
pub fn hill_alpha(eigenvalues: &[f64]) -> Option<f64> {
    let k = eigenvalues.len() / 2;
    let threshold = *eigenvalues.get(eigenvalues.len().checked_sub(k + 1)?)?;
    if k == 0 || threshold <= 0.0 {
        return None;
    }
    let sum: f64 = eigenvalues[eigenvalues.len() - k..]
        .iter()
        .map(|x| (x / threshold).ln())
        .sum();
    (sum > 0.0).then(|| 1.0 + k as f64 / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::{Law, PowerLaw};

    #[test]
    fn hill_needs_no_search() {
        let law = PowerLaw::new(3.0, 1.0).unwrap();
        let x: Vec<f64> = (0..2000)
            .map(|i| law.quantile((f64::from(i) + 0.5) / 2000.0))
            .collect();
        assert!((hill_alpha(&x).unwrap() - 3.0).abs() < 0.02);
        assert_eq!(hill_alpha(&[0.0; 10]), None);
        assert_eq!(hill_alpha(&[1.0]), None);
    }
}
