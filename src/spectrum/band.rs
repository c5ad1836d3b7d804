//! The reduction of a dense matrix to a band, the first of the two stages (Bischof, Lang and Sun,
//! *A framework for symmetric band reduction*, 2000; Haidar, Ltaief and Dongarra 2011; LAPACK's
//! `dsytrd_sy2sb`).
//!
//! A panel has b columns. b reflections Q = I − V·T·Vᵀ make it triangular below the band, and the
//! rest of the matrix becomes QᵀAQ = A − V·Wᵀ − W·Vᵀ with X = A·V·T and W = X − ½·V·Tᵀ·(Vᵀ·X). Both
//! A·V and the update are matrix products, with 4/3·n³ flops together.
//!
//! Products with V need only the panel. So for each tile the update by one panel is followed at
//! once by the product with V of the next panel, and each tile is fetched once.

use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{MatMut, MatRef};
use pulp::Arch;

use super::chase::Band;
use super::reflect::{Real, add, factor, reflect, set};
use crate::scratch::{Buffer, Scratch};

/// Sizes of the blocks of the reduction.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    /// Number of subdiagonals of the band.
    pub(super) width: usize,
    /// Number of columns of a tile, in panels.
    pub(super) panels: usize,
    /// Number of rows of a tile.
    pub(super) rows: usize,
}

/// Number of columns of a panel that are reflected one by one.
const SUBPANEL: usize = 8;

/// The band matrix that is similar to the matrix with the lower half `a`. `a` is overwritten.
pub(super) fn band<T: Real>(mut a: MatMut<'_, T>, blocks: Blocks, scratch: &Scratch) -> Band {
    let n = a.nrows();
    let width = blocks.width;
    let tile = width * blocks.panels;
    // Tiles on the diagonal are stored in full, because rectangular products are faster than
    // triangular ones.
    for start in (0..n).step_by(tile) {
        let size = tile.min(n - start);
        let mut tile = a.rb_mut().submatrix_mut(start, start, size, size);
        for j in 0..size {
            for i in 0..j {
                tile[(i, j)] = tile[(j, i)];
            }
        }
    }
    let mut now = Update::new(n, width, scratch);
    let mut before = Update::new(n, width, scratch);
    let mut start = 0;
    while n > start + width + 1 {
        let top = start + width;
        before.apply(a.rb_mut(), (start, n), (start, top));
        now.panel(a.rb_mut().submatrix_mut(top, start, n - top, width), top);
        now.trailing(a.rb_mut(), &before, blocks);
        std::mem::swap(&mut now, &mut before);
        start = top;
    }
    before.apply(a.rb_mut(), (start, n), (start, n));
    Band::new(n, width.min(n.max(2) - 1), |i, j| a[(i, j)].into(), scratch)
}

/// The update A −= V·Wᵀ + W·Vᵀ on the rows and columns from `top`.
struct Update<T: Real> {
    /// [V | W | V], so that both factors are 2b adjacent columns. V is 1 on its diagonal and 0
    /// above.
    columns: Buffer<T>,
    width: usize,
    /// First row of the update, and its number of rows, which is 0 before the first panel.
    top: usize,
    rows: usize,
    t: Vec<T>,
}

impl<T: Real> Update<T> {
    fn new(n: usize, width: usize, scratch: &Scratch) -> Self {
        Self {
            columns: Buffer::filled(3 * width * n, T::ZERO, scratch),
            width,
            top: 0,
            rows: 0,
            t: vec![T::ZERO; 3 * width * width],
        }
    }

    fn factors(&self) -> (MatRef<'_, T>, MatRef<'_, T>) {
        let (n, b) = (self.rows, self.width);
        (
            MatRef::from_column_major_slice(&self.columns[..2 * b * n], n, 2 * b),
            MatRef::from_column_major_slice(&self.columns[b * n..3 * b * n], n, 2 * b),
        )
    }

    /// Apply the update to the block with these rows and columns.
    fn apply(&self, a: MatMut<'_, T>, rows: (usize, usize), columns: (usize, usize)) {
        if self.rows == 0 {
            return;
        }
        let (left, right) = self.factors();
        let (r, c) = (rows.1 - rows.0, columns.1 - columns.0);
        add(
            a.submatrix_mut(rows.0, columns.0, r, c),
            -T::ONE,
            left.subrows(rows.0 - self.top, r),
            right.subrows(columns.0 - self.top, c).transpose(),
        );
    }

    /// Compute the reflections that make a panel triangular. `top` is the first row of the panel.
    fn panel(&mut self, mut panel: MatMut<'_, T>, top: usize) {
        let (n, b) = (panel.nrows(), self.width);
        (self.top, self.rows) = (top, n);
        let v = &mut self.columns[..b * n];
        for (j, column) in v.chunks_exact_mut(n).enumerate() {
            for (i, x) in column.iter_mut().enumerate() {
                *x = panel[(i, j)];
            }
        }
        let (t, rest) = self.t.split_at_mut(b * b);
        let (gram, product) = rest.split_at_mut(b * b);
        let mut taus = vec![T::ZERO; b];
        for first in (0..b).step_by(SUBPANEL) {
            let count = SUBPANEL.min(b - first);
            let (done, right) = v.split_at_mut((first + count) * n);
            let block = &mut done[first * n..];
            if first < n {
                let taus = &mut taus[first..first + count];
                Arch::new().dispatch(|| reflect(block, n, first, taus));
            }
            for (k, column) in block.chunks_exact_mut(n).enumerate() {
                let k = first + k;
                for i in 0..n.min(k + 1) {
                    panel[(i, k)] = column[i];
                    column[i] = T::ZERO;
                }
                if k < n {
                    column[k] = T::ONE;
                }
            }
            let others = b - first - count;
            if others == 0 || first >= n {
                continue;
            }
            let v = MatRef::from_column_major_slice(&*block, n, count).subrows(first, n - first);
            factor(
                v,
                &taus[first..first + count],
                &mut gram[..count * count],
                &mut t[..count * count],
            );
            let t = MatRef::from_column_major_slice(&t[..count * count], count, count);
            let x = &mut product[..count * others];
            let mut x = MatMut::from_column_major_slice_mut(x, count, others);
            let mut y =
                MatMut::from_column_major_slice_mut(&mut gram[..count * others], count, others);
            let mut c =
                MatMut::from_column_major_slice_mut(right, n, others).subrows_mut(first, n - first);
            set(x.rb_mut(), v.transpose(), c.rb());
            set(y.rb_mut(), t.transpose(), x.rb());
            add(c.rb_mut(), -T::ONE, v, y.rb());
        }
        let v = MatRef::from_column_major_slice(&*v, n, b);
        factor(v, &taus, gram, t);
    }

    /// Apply the previous update to the rest of the matrix, and complete this update with W.
    fn trailing(&mut self, mut a: MatMut<'_, T>, before: &Self, blocks: Blocks) {
        let (n, b, top) = (self.rows, self.width, self.top);
        let end = top + n;
        let tile = b * blocks.panels;
        let (v, rest) = self.columns.split_at_mut(b * n);
        let (w, again) = rest.split_at_mut(b * n);
        // A·V occupies the place of the second V, which is filled at the end.
        let again = &mut again[..b * n];
        let v_mat = MatRef::from_column_major_slice(&*v, n, b);
        let mut x = MatMut::from_column_major_slice_mut(&mut *again, n, b);
        x.fill(T::ZERO);
        let mut left = top;
        while left < end {
            let right = (left / tile + 1) * tile;
            let right = right.min(end);
            let columns = (left - top, right - left);
            let mut low = left;
            while low < end {
                let high = if low == left {
                    right
                } else {
                    (low + blocks.rows).min(end)
                };
                before.apply(a.rb_mut(), (low, high), (left, right));
                let here = a.rb().submatrix(low, left, high - low, right - left);
                let rows = (low - top, high - low);
                add(
                    x.rb_mut().subrows_mut(rows.0, rows.1),
                    T::ONE,
                    here,
                    v_mat.subrows(columns.0, columns.1),
                );
                if low > left {
                    add(
                        x.rb_mut().subrows_mut(columns.0, columns.1),
                        T::ONE,
                        here.transpose(),
                        v_mat.subrows(rows.0, rows.1),
                    );
                }
                low = high;
            }
            left = right;
        }
        let (t, rest) = self.t.split_at_mut(b * b);
        let (gram, product) = rest.split_at_mut(b * b);
        let t = MatRef::from_column_major_slice(t, b, b);
        let mut gram = MatMut::from_column_major_slice_mut(gram, b, b);
        let mut product = MatMut::from_column_major_slice_mut(&mut product[..b * b], b, b);
        let mut w = MatMut::from_column_major_slice_mut(&mut w[..b * n], n, b);
        set(w.rb_mut(), x.rb(), t);
        set(gram.rb_mut(), v_mat.transpose(), w.rb());
        set(product.rb_mut(), t.transpose(), gram.rb());
        add(w.rb_mut(), -T::HALF, v_mat, product.rb());
        again.copy_from_slice(v);
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn symmetric(n: usize, seed: u64) -> Mat<f64> {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
        let a = Mat::from_fn(n, n, |_, _| rng.random::<f64>() - 0.5);
        Mat::from_fn(n, n, |i, j| a[(i.max(j), i.min(j))])
    }

    fn dense(band: &Band, n: usize) -> Mat<f64> {
        Mat::from_fn(n, n, |i, j| band.entry(i.max(j), i.min(j)))
    }

    #[test]
    fn the_band_has_the_same_eigenvalues() {
        let mut seed = 0;
        for width in [1, 2, 3, 8, 11] {
            for n in [1, 2, 3, width, width + 1, width + 2, 2 * width + 3, 40, 57] {
                for (panels, rows) in [(1, 1), (1, 5), (2, 16), (9, 100)] {
                    seed += 1;
                    let a = symmetric(n, seed);
                    let blocks = Blocks {
                        width,
                        panels,
                        rows,
                    };
                    let band = dense(&band(a.clone().as_mut(), blocks, &Scratch::default()), n);
                    let ours = band.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
                    let theirs = a.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
                    for (x, y) in ours.iter().zip(&theirs) {
                        assert!((x - y).abs() < 1e-14 * n as f64, "{width} {n}: {x} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_matrix_that_is_banded_stays_so() {
        let a = Mat::from_fn(30, 30, |i: usize, j: usize| {
            let apart = i.abs_diff(j);
            if apart < 3 { 1.0 + apart as f64 } else { 0.0 }
        });
        let blocks = Blocks {
            width: 2,
            panels: 3,
            rows: 7,
        };
        let band = dense(&band(a.clone().as_mut(), blocks, &Scratch::default()), 30);
        for i in 0..30usize {
            for j in 0..30 {
                assert!((band[(i, j)].abs() - a[(i, j)]).abs() < 1e-13, "{i} {j}");
            }
        }
    }
}
