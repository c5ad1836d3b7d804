//! A sampled spectrum for the HTML report.

use serde::Serialize;

use crate::spectrum::Spectrum;

/// Number of largest eigenvalues that a sample keeps exactly.
pub const TOP: usize = 64;
/// Number of quantiles that stand for the other eigenvalues.
pub const BODY: usize = 200;

/// An empirical spectral density of X = WᵀW/N. It holds all eigenvalues if there are at most
/// [`TOP`] + [`BODY`]. Otherwise it holds the largest ones, and quantiles of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Esd {
    /// Number of eigenvalues of the spectrum.
    len: usize,
    /// Quantiles in ascending order. Each represents (len − top)/body.len() eigenvalues.
    body: Vec<f32>,
    /// The largest eigenvalues in ascending order. Each represents itself.
    top: Vec<f32>,
}

impl Esd {
    /// Samples a spectrum.
    pub fn new(spectrum: &Spectrum) -> Self {
        let all: Vec<f32> = spectrum.eigenvalues().iter().map(|&v| v as f32).collect();
        let whole = Self {
            len: all.len(),
            body: Vec::new(),
            top: all,
        };
        whole.thin(TOP + BODY)
    }

    /// A sample with at most `points` points. About a quarter of them are the largest eigenvalues.
    pub(super) fn thin(&self, points: usize) -> Self {
        if self.points() <= points {
            return self.clone();
        }
        let top = (points * TOP / (TOP + BODY)).min(self.top.len());
        let (rest, top) = self.top.split_at(self.top.len() - top);
        let body_weight = (self.len - self.top.len()) as f64 / self.body.len().max(1) as f64;
        let lower = self.body.iter().map(|&v| (v, body_weight));
        let lower: Vec<(f32, f64)> = lower.chain(rest.iter().map(|&v| (v, 1.0))).collect();
        let total = (self.len - top.len()) as f64;
        let count = points - top.len();
        let mut body = Vec::with_capacity(count);
        let mut below = 0.0;
        for (value, weight) in lower {
            below += weight;
            while body.len() < count
                && (body.len() as f64 + 0.5) / count as f64 * total <= below + 1e-9 * total
            {
                body.push(value);
            }
        }
        Self {
            len: self.len,
            body,
            top: top.to_vec(),
        }
    }

    /// Number of points.
    pub(super) fn points(&self) -> usize {
        self.body.len() + self.top.len()
    }

    /// Whether the sample holds fewer values than the spectrum.
    pub(super) fn is_sampled(&self) -> bool {
        !self.body.is_empty()
    }

    /// The sample as text, with two characters for each point.
    pub(super) fn packed(&self) -> Packed {
        let highest = self.top.last().or(self.body.last()).copied().unwrap_or(0.0);
        let highest = f64::from(highest.max(f32::MIN_POSITIVE));
        let points = || self.body.iter().chain(&self.top).map(|&v| f64::from(v));
        // Smaller values are indistinguishable from zero in a picture.
        let floor = 1e-8 * highest;
        let lowest = points().fold(highest, f64::min).max(floor);
        let (low, span) = (lowest.ln(), (highest / lowest).ln());
        let steps = f64::from(LEVELS - 1);
        let text = points()
            .flat_map(|v| {
                let place = if span > 0.0 {
                    (v.max(lowest).ln() - low) / span
                } else {
                    0.0
                };
                let code = (place * steps).round() as u16;
                [code >> 6, code & 63].map(|digit| char::from(DIGITS[usize::from(digit)]))
            })
            .collect();
        Packed(
            self.len,
            self.top.len(),
            rounded(lowest, 6),
            rounded(highest, 6),
            text,
        )
    }
}

/// Number of levels of ln λ between the smallest and the largest value: 12 bits. The error is at
/// most 0.5 % of λ, less than a pixel.
const LEVELS: u16 = 4096;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Number of eigenvalues, number of exact points, smallest value, largest value, and the points.
#[derive(Debug, Serialize)]
pub(super) struct Packed(usize, usize, f64, f64, String);

/// The number rounded to `digits` significant digits.
pub(super) fn rounded(value: f64, digits: usize) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let exponent = value.abs().log10().floor() as i32;
    let shift = digits as i32 - 1 - exponent;
    // Powers of ten up to 10²² are exact, and the quotient is then the number nearest to the
    // decimal.
    if shift.abs() > 22 {
        return format!("{value:.*e}", digits - 1).parse().unwrap_or(value);
    }
    let power = 10f64.powi(shift.abs());
    if shift >= 0 {
        (value * power).round() / power
    } else {
        (value / power).round() * power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectrum(m: usize) -> Spectrum {
        let values = (1..=m).map(|i| i as f64 / m as f64).collect();
        Spectrum::from_eigenvalues(values, 2 * m, m).unwrap()
    }

    fn unpack(Packed(_, _, low, high, text): &Packed) -> Vec<f64> {
        let digit = |b: u8| DIGITS.iter().position(|&d| d == b).unwrap() as f64;
        text.as_bytes()
            .chunks(2)
            .map(|c| low * (high / low).powf((64.0 * digit(c[0]) + digit(c[1])) / 4095.0))
            .collect()
    }

    #[test]
    fn a_small_spectrum_is_kept_whole() {
        let esd = Esd::new(&spectrum(100));
        assert!(!esd.is_sampled());
        let packed = esd.packed();
        for (i, v) in unpack(&packed).into_iter().enumerate() {
            assert!(
                (v / ((i + 1) as f64 / 100.0) - 1.0).abs() < 0.005,
                "{i}: {v}"
            );
        }
    }

    #[test]
    fn quantiles_and_the_largest_stand_for_a_large_one() {
        let esd = Esd::new(&spectrum(5000));
        assert_eq!((esd.len, esd.body.len(), esd.top.len()), (5000, BODY, TOP));
        assert_eq!(esd.top[TOP - 1], 1.0);
        // The middle point of the body is the median.
        let middle = f64::from(esd.body[BODY / 2]) / (4936.0 / 5000.0 / 2.0);
        assert!((middle - 1.0).abs() < 0.01, "{middle}");
        // A second thinning still represents the same eigenvalues.
        let less = esd.thin(30);
        assert_eq!((less.len, less.points()), (5000, 30));
        assert_eq!(less.top.last(), Some(&1.0));
        let middle = f64::from(less.body[less.body.len() / 2]);
        assert!((middle - 0.5).abs() < 0.05, "{middle}");
    }

    #[test]
    fn zero_and_equal_eigenvalues_pack() {
        let zero = Spectrum::from_eigenvalues(vec![0.0; 12], 20, 12).unwrap();
        assert!(unpack(&Esd::new(&zero).packed()).iter().all(|v| *v < 1e-30));
        let equal = Spectrum::from_eigenvalues(vec![2.0; 12], 20, 12).unwrap();
        assert!(unpack(&Esd::new(&equal).packed()).iter().all(|v| *v == 2.0));
    }
}
