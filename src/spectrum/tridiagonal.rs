//! Eigenvalues of a symmetric tridiagonal matrix by the square-root-free QL iteration of Pal,
//! Walker and Kahan (Parlett, *The Symmetric Eigenvalue Problem*, §8.15; LAPACK's `dsterf` is the
//! same method).
//!
//! Without eigenvectors the method needs c² and s² but no rotations. A step costs three divisions
//! an entry and no root. Each step waits for the one before, so the length of this chain decides
//! the time. The three divisions are independent of each other.

/// Most iterations per eigenvalue. Two are usual.
const MAX_ITERATIONS: usize = 40;

/// The eigenvalues of the matrix with diagonal `d` and subdiagonal `off`, which has one entry
/// fewer, in no order. `None` if the iteration does not converge or an entry is not finite.
pub(super) fn eigenvalues(mut d: Vec<f64>, off: &[f64]) -> Option<Vec<f64>> {
    let n = d.len();
    // The iteration works on squares, so the entries are scaled to leave room for them.
    let largest = d.iter().chain(off).fold(0f64, |a, v| a.max(v.abs()));
    if largest == 0.0 {
        return Some(d);
    }
    if !largest.is_finite() {
        return None;
    }
    let scale = (-largest.log2().floor()).exp2();
    for v in &mut d {
        *v *= scale;
    }
    let mut e: Vec<f64> = off.iter().map(|v| (v * scale).powi(2)).collect();
    let mut start = 0;
    while start < n {
        let mut end = start;
        while end + 1 < n && !negligible(e[end], d[end], d[end + 1]) {
            end += 1;
        }
        block(&mut d[start..=end], &mut e[start..end])?;
        start = end + 1;
    }
    for v in &mut d {
        *v /= scale;
    }
    d.iter().all(|v| v.is_finite()).then_some(d)
}

/// Whether the squared subdiagonal entry e between the diagonal entries a and b is negligible.
fn negligible(e: f64, a: f64, b: f64) -> bool {
    const UNIT: f64 = f64::EPSILON / 2.0;
    // The second condition is for neighbours that are zero.
    e <= UNIT * UNIT * (a * b).abs() || e <= f64::MIN_POSITIVE
}

/// The eigenvalues of one block that does not decouple, in place.
fn block(d: &mut [f64], e: &mut [f64]) -> Option<()> {
    let n = d.len();
    // The iteration finds the eigenvalues from the front. It is fastest if the small ones are
    // there.
    if n > 1 && d[n - 1].abs() < d[0].abs() {
        d.reverse();
        e.reverse();
    }
    let mut first = 0;
    let mut left = MAX_ITERATIONS * n;
    while first < n {
        let mut last = first;
        while last + 1 < n && !negligible(e[last], d[last], d[last + 1]) {
            last += 1;
        }
        if last + 1 < n {
            e[last] = 0.0;
        }
        if last == first {
            first += 1;
            continue;
        }
        if last == first + 1 {
            let (a, b) = pair(d[first], e[first].sqrt(), d[last]);
            (d[first], d[last]) = (a, b);
            e[first] = 0.0;
            first += 2;
            continue;
        }
        left = left.checked_sub(1)?;
        sweeps(&mut d[first..=last], &mut e[first..last])?;
    }
    Some(())
}

/// With fewer rows two simultaneous sweeps do not save time.
const MIN_TWO_SWEEPS: usize = 8;

/// Two implicit QL steps, the second close behind the first. Their shifts are the eigenvalues of
/// the first two rows, and the first shift is Wilkinson's.
///
/// A sweep spends most of its time waiting for its own divisions, so the second one costs little:
/// both together take 0.65 of the time at n = 64 to 1024. `None` if an entry is no longer finite.
fn sweeps(d: &mut [f64], e: &mut [f64]) -> Option<()> {
    let last = d.len() - 1;
    let root = e[0].sqrt();
    let half = (d[1] - d[0]) / (2.0 * root);
    let shift = d[0] - root / (half + half.hypot(1.0).copysign(half));
    if !shift.is_finite() {
        return None;
    }
    let other = d[0] + d[1] - shift;
    let mut first_sweep = Sweep::new(d[last], shift);
    if d.len() < MIN_TWO_SWEEPS {
        for i in (0..last).rev() {
            first_sweep.step(d, e, i);
        }
        first_sweep.end(d, e);
        return Some(());
    }
    first_sweep.step(d, e, last - 1);
    first_sweep.step(d, e, last - 2);
    let mut second_sweep = Sweep::new(d[last], other);
    for i in (0..last - 2).rev() {
        first_sweep.step(d, e, i);
        // The second sweep reads an entry only after the first is two steps further.
        second_sweep.step(d, e, i + 2);
    }
    first_sweep.end(d, e);
    second_sweep.step(d, e, 1);
    second_sweep.step(d, e, 0);
    second_sweep.end(d, e);
    Some(())
}

/// A sweep from the last row to the first.
struct Sweep {
    shift: f64,
    c: f64,
    s: f64,
    gamma: f64,
    p: f64,
}

impl Sweep {
    fn new(last: f64, shift: f64) -> Self {
        let gamma = last - shift;
        Self {
            shift,
            c: 1.0,
            s: 0.0,
            gamma,
            p: gamma * gamma,
        }
    }

    #[inline(always)]
    fn step(&mut self, d: &mut [f64], e: &mut [f64], i: usize) {
        let b = e[i];
        let r = self.p + b;
        if i + 1 < e.len() {
            e[i + 1] = self.s * r;
        }
        let before = self.c;
        self.c = self.p / r;
        self.s = b / r;
        // This costs a third division, but no division waits for another.
        let inverse = r / self.p;
        let old = self.gamma;
        self.gamma = self.c * (d[i] - self.shift) - self.s * old;
        d[i + 1] = old + (d[i] - self.gamma);
        self.p = if self.c < f64::MIN_POSITIVE {
            before * b
        } else {
            self.gamma * self.gamma * inverse
        };
    }

    fn end(self, d: &mut [f64], e: &mut [f64]) {
        e[0] = self.s * self.p;
        d[0] = self.shift + self.gamma;
    }
}

/// The eigenvalues of [[a, b], [b, c]], the one of larger magnitude without cancellation.
fn pair(a: f64, b: f64, c: f64) -> (f64, f64) {
    let sum = a + c;
    let root = (a - c).hypot(2.0 * b);
    if sum == 0.0 {
        return (0.5 * root, -0.5 * root);
    }
    let large = 0.5 * (sum + root.copysign(sum));
    let (big, small) = if a.abs() > c.abs() { (a, c) } else { (c, a) };
    (large, (big / large) * small - (b / large) * b)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn sorted(mut v: Vec<f64>) -> Vec<f64> {
        v.sort_by(f64::total_cmp);
        v
    }

    /// Sturm's count of the eigenvalues below x.
    fn below(d: &[f64], off: &[f64], x: f64) -> usize {
        let mut count = 0;
        let mut q = 1.0f64;
        for (i, v) in d.iter().enumerate() {
            let e = if i == 0 { 0.0 } else { off[i - 1] };
            let divisor = if q == 0.0 { f64::MIN_POSITIVE } else { q };
            q = v - x - e * e / divisor;
            count += usize::from(q < 0.0);
        }
        count
    }

    #[test]
    fn the_discrete_laplacian_has_cosines() {
        for n in [1usize, 2, 3, 50, 400] {
            let found = sorted(eigenvalues(vec![2.0; n], &vec![-1.0; n - 1]).unwrap());
            for (k, v) in found.iter().enumerate() {
                let angle = std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64;
                assert!((v - (2.0 - 2.0 * angle.cos())).abs() < 1e-13, "{n} {k} {v}");
            }
        }
    }

    #[test]
    fn sturms_counts_agree_on_structured_matrices() {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
        for case in 0..3000usize {
            let n = 1 + case % 23;
            let scale = [1.0, 1e-150, 1e150, 1e-8][case % 4];
            let mut d: Vec<f64> = (0..n).map(|_| rng.random::<f64>() - 0.5).collect();
            let mut e: Vec<f64> = (1..n).map(|_| rng.random::<f64>() - 0.5).collect();
            match case % 7 {
                // Graded; zeros on the subdiagonal; zeros on the diagonal; equal; weakly coupled;
                // low rank.
                1 => (0..n).for_each(|i| d[i] *= 0.01f64.powi(i as i32)),
                2 => e.iter_mut().step_by(2).for_each(|v| *v = 0.0),
                3 => d.fill(0.0),
                4 => {
                    d.fill(0.25);
                    e.fill(0.0);
                }
                5 => e.iter_mut().for_each(|v| *v *= 1e-12),
                6 => {
                    d[n / 2..].fill(0.0);
                    e.iter_mut().skip(n / 2).for_each(|v| *v = 0.0);
                }
                _ => {}
            }
            d.iter_mut().chain(&mut e).for_each(|v| *v *= scale);
            let found = sorted(eigenvalues(d.clone(), &e).unwrap());
            let norm = d.iter().chain(&e).fold(0f64, |a, v| a.max(v.abs()));
            // The units keep the count from overflowing.
            let unit = |v: &[f64]| v.iter().map(|x| x / scale).collect::<Vec<_>>();
            let slack = 1e-14 * n as f64 * norm / scale + f64::MIN_POSITIVE;
            for (k, v) in unit(&found).iter().enumerate() {
                let (low, high) = (
                    below(&unit(&d), &unit(&e), v - slack),
                    below(&unit(&d), &unit(&e), v + slack),
                );
                assert!(low <= k && k < high, "case {case}: {low} {k} {high}");
            }
        }
    }
}
