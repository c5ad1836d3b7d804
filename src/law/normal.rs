//! The normal law, as far as p-values need it.

pub(crate) use libm::erfc;

/// P(Z ≤ x) of a standard normal Z.
pub(crate) fn cdf(x: f64) -> f64 {
    let tail = 0.5 * erfc(x.abs() / std::f64::consts::SQRT_2);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// P(|Z| ≥ |z|) of a standard normal Z.
pub(crate) fn two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabulated_values() {
        for (x, value) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (1.9999, 0.004_679_802_092_970_608),
            (2.0, 0.004_677_734_981_047_266),
            (3.0, 2.209_049_699_858_544e-5),
            (6.0, 2.151_973_671_249_891e-17),
        ] {
            assert!(
                (erfc(x) - value).abs() < 1e-13 * value.max(0.01),
                "{x}: {}",
                erfc(x)
            );
        }
        assert!((two_sided(-1.959_963_984_540_054) - 0.05).abs() < 1e-14);
        assert_eq!(two_sided(f64::INFINITY), 0.0);
        assert!((cdf(-1.644_853_626_951_472_2) - 0.05).abs() < 1e-14);
        assert!((cdf(1.281_551_565_544_600_4) - 0.9).abs() < 1e-14);
    }
}
