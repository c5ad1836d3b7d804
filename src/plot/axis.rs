//! Axes whose ranges are valid for any data. An empty, constant or infinite range is corrected
//! here, so a figure never has one.

use super::style;

/// The range of an axis and its kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    lo: f64,
    hi: f64,
    log: bool,
    whole: bool,
}

impl Axis {
    pub(super) fn linear(lo: f64, hi: f64) -> Self {
        let (lo, hi) = if lo.is_finite() && hi.is_finite() {
            (
                lo.min(hi).clamp(-1e300, 1e300),
                lo.max(hi).clamp(-1e300, 1e300),
            )
        } else {
            (0.0, 1.0)
        };
        let scale = lo.abs().max(hi.abs());
        let (lo, hi) = if hi - lo > 1e-9 * scale {
            (lo, hi)
        } else {
            let pad = if scale > 0.0 { 0.1 * scale } else { 0.5 };
            (lo - pad, hi + pad)
        };
        Self {
            lo,
            hi,
            log: false,
            whole: false,
        }
    }

    /// A logarithmic axis of at least half a decade.
    pub(super) fn log(lo: f64, hi: f64) -> Self {
        let good = |v: f64| v > 0.0 && v.is_finite();
        let (lo, hi) = if good(lo) && good(hi) {
            (
                lo.min(hi).clamp(1e-290, 1e290),
                lo.max(hi).clamp(1e-290, 1e290),
            )
        } else {
            (0.1, 1.0)
        };
        let widen = (3.2 / (hi / lo)).max(1.0).sqrt();
        Self {
            lo: lo / widen,
            hi: hi * widen,
            log: true,
            whole: false,
        }
    }

    /// An axis of epochs. It is at least one wide and has ticks at integers only.
    pub(super) fn whole(lo: f64, hi: f64) -> Self {
        let axis = if hi - lo >= 1.0 {
            let pad = 0.015 * (hi - lo);
            Self::linear(lo - pad, hi + pad)
        } else {
            Self::linear(lo - 0.5, lo.max(hi) + 0.5)
        };
        Self {
            whole: true,
            ..axis
        }
    }

    /// A linear axis around the finite values, with a margin of `spare` times their range on both
    /// sides.
    pub(super) fn around(values: impl Iterator<Item = f64>, spare: f64) -> Self {
        let (lo, hi) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| {
                (lo.min(v), hi.max(v))
            });
        let pad = spare * (hi - lo);
        Self::linear(lo - pad, hi + pad)
    }

    pub(super) fn lo(&self) -> f64 {
        self.lo
    }

    pub(super) fn hi(&self) -> f64 {
        self.hi
    }

    /// Whether the axis has a position for a value: a finite one, above 0 if it is logarithmic.
    pub(super) fn has(&self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }

    /// Position of a value on the axis: 0 at the low end, 1 at the high end. A logarithmic axis
    /// treats values ≤ 0 and NaN as 1e-300.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        if self.log {
            (value.max(1e-300).ln() - self.lo.ln()) / (self.hi.ln() - self.lo.ln())
        } else {
            (value - self.lo) / (self.hi - self.lo)
        }
    }

    /// Exponent of the power of ten that is written once at the axis instead of at every tick.
    pub(super) fn exponent(&self) -> i32 {
        let scale = self.lo.abs().max(self.hi.abs());
        let exponent = scale.log10().floor();
        if self.log || (-2.0..4.0).contains(&exponent) {
            0
        } else {
            exponent as i32
        }
    }

    /// Labelled ticks: about `most` of them or fewer.
    pub(super) fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        if self.log {
            return self.log_ticks(most);
        }
        let raw = (self.hi - self.lo) / most.max(1) as f64;
        let magnitude = 10f64.powf(raw.log10().floor());
        let mut step = [1.0, 2.0, 5.0]
            .into_iter()
            .map(|f| f * magnitude)
            .find(|&s| s >= raw * 0.999)
            .unwrap_or(10.0 * magnitude);
        if self.whole {
            step = step.max(1.0);
        }
        let unit = 10f64.powi(self.exponent());
        let decimals = (-(step / unit * 1.001).log10().floor()).clamp(0.0, 8.0) as usize;
        let first = (self.lo / step).ceil();
        (0..=2 * most)
            .map(|i| (first + i as f64) * step)
            .take_while(|&v| v <= self.hi + 1e-9 * step)
            .map(|v| {
                // Adding 0 turns −0 into 0, so that no sign is printed.
                let shown = v / unit + 0.0;
                (v, format!("{shown:.decimals$}").replace('-', "−"))
            })
            .collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<(f64, String)> {
        let (first, last) = (
            self.lo.log10().ceil() as i32,
            self.hi.log10().floor() as i32,
        );
        let decades = (last - first + 1).max(0) as usize;
        if decades >= 2 {
            let every = decades.div_ceil(most.max(1)).max(1) as i32;
            return (first..=last)
                .filter(|e| e.rem_euclid(every) == 0)
                .map(|e| (10f64.powi(e), format!("10{}", style::superscript(e))))
                .collect();
        }
        (first - 1..=last + 1)
            .flat_map(|e| [1.0, 2.0, 5.0].map(|f| (f, e)))
            .map(|(f, e)| (f * 10f64.powi(e), f, e))
            .filter(|&(v, ..)| v >= self.lo && v <= self.hi)
            .map(|(v, f, e)| {
                let label = match e {
                    -3..=3 => format!("{v:.*}", (-e).max(0) as usize),
                    _ => format!("{f}·10{}", style::superscript(e)),
                };
                (v, label)
            })
            .collect()
    }

    /// Ticks without labels, between the powers of ten.
    pub(super) fn minor(&self) -> Vec<f64> {
        if !self.log || self.hi / self.lo > 1e7 {
            return Vec::new();
        }
        let (first, last) = (
            self.lo.log10().floor() as i32,
            self.hi.log10().ceil() as i32,
        );
        (first..=last)
            .flat_map(|e| (2..10).map(move |f| f64::from(f) * 10f64.powi(e)))
            .filter(|&v| v >= self.lo && v <= self.hi)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_range_is_empty_or_infinite() {
        let bad = [
            0.0,
            1.0,
            -1.0,
            1e-320,
            1e308,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        for a in bad {
            for b in bad {
                for axis in [Axis::linear(a, b), Axis::log(a, b), Axis::whole(a, b)] {
                    assert!(axis.lo < axis.hi, "{a} {b} {axis:?}");
                    assert!((axis.hi - axis.lo).is_finite(), "{a} {b} {axis:?}");
                    assert!(axis.ticks(6).len() <= 14, "{a} {b} {axis:?}");
                    assert!(axis.fraction(axis.lo).abs() < 1e-9);
                    assert!((axis.fraction(axis.hi) - 1.0).abs() < 1e-9);
                }
            }
        }
        assert!(Axis::around(std::iter::empty(), 0.1).hi.is_finite());
    }

    #[test]
    fn ticks_are_round_and_few() {
        let labels = |axis: Axis, most| -> Vec<String> {
            axis.ticks(most)
                .into_iter()
                .map(|(_, label)| label)
                .collect()
        };
        assert_eq!(labels(Axis::linear(-0.1, 1.0), 5), ["0.0", "0.5", "1.0"]);
        assert_eq!(
            labels(Axis::linear(0.0, 0.004), 4),
            ["0", "1", "2", "3", "4"]
        );
        assert_eq!(labels(Axis::whole(0.0, 1.0), 8), ["0", "1"]);
        assert_eq!(
            labels(Axis::log(0.01, 12.0), 5),
            ["10⁻²", "10⁻¹", "10⁰", "10¹"]
        );
        assert_eq!(labels(Axis::log(0.1, 0.6), 5), ["0.1", "0.2", "0.5"]);
        assert_eq!(labels(Axis::whole(0.0, 200.0), 8).len(), 5);
    }
}
