//! The matrix products of bulge chasing, on columns that start at `at` and are `step` entries
//! apart. Rows are processed in whole SIMD registers. Vectors are padded with zeros, so entries
//! beyond a block are read and written, but not changed.

use pulp::Simd;

/// Side of the tiles on the diagonal, a multiple of every number of f64 lanes.
pub(super) const TILE: usize = 8;
/// Number of registers that a kernel uses at once.
const UNROLL: usize = 4;

/// Mask of the diagonal and the entries below it: 1 there, 0 elsewhere.
const LOWER: [[f64; TILE]; TILE] = {
    let mut mask = [[0.0; TILE]; TILE];
    let mut k = 0;
    while k < TILE {
        let mut i = k;
        while i < TILE {
            mask[k][i] = 1.0;
            i += 1;
        }
        k += 1;
    }
    mask
};

/// Mask of the entries below the diagonal: 1 there, 0 elsewhere.
const STRICTLY_LOWER: [[f64; TILE]; TILE] = {
    let mut mask = LOWER;
    let mut k = 0;
    while k < TILE {
        mask[k][k] = 0.0;
        k += 1;
    }
    mask
};

/// y += A·x for a symmetric tile that is given by its lower half. The entries above the diagonal
/// belong to the previous columns.
#[inline(always)]
pub(super) fn tile_times<S: Simd>(
    simd: S,
    a: &[f64],
    at: usize,
    step: usize,
    x: &[f64],
    y: &mut [f64],
) {
    let xs = S::as_simd_f64s(&x[..TILE]).0;
    let ys = S::as_mut_simd_f64s(&mut y[..TILE]).0;
    let mut across = [0.0; TILE];
    for k in 0..TILE {
        let column = S::as_simd_f64s(&a[at + k * step..][..TILE]).0;
        let lower = S::as_simd_f64s(&LOWER[k]).0;
        let strictly = S::as_simd_f64s(&STRICTLY_LOWER[k]).0;
        let xk = simd.splat_f64s(x[k]);
        let mut sum = simd.splat_f64s(0.0);
        for ((((a, l), s), x), y) in column.iter().zip(lower).zip(strictly).zip(xs).zip(&mut *ys) {
            *y = simd.mul_add_e_f64s(simd.mul_f64s(*a, *l), xk, *y);
            sum = simd.mul_add_e_f64s(simd.mul_f64s(*a, *s), *x, sum);
        }
        across[k] = simd.reduce_sum_f64s(sum);
    }
    for (y, sum) in y.iter_mut().zip(across) {
        *y += sum;
    }
}

/// A −= x·yᵀ + y·xᵀ on the lower half of a tile.
#[inline(always)]
pub(super) fn tile_update<S: Simd>(
    simd: S,
    a: &mut [f64],
    at: usize,
    step: usize,
    x: &[f64],
    y: &[f64],
) {
    let xs = S::as_simd_f64s(&x[..TILE]).0;
    let ys = S::as_simd_f64s(&y[..TILE]).0;
    for k in 0..TILE {
        let column = S::as_mut_simd_f64s(&mut a[at + k * step..][..TILE]).0;
        let lower = S::as_simd_f64s(&LOWER[k]).0;
        let (xk, yk) = (simd.splat_f64s(-x[k]), simd.splat_f64s(-y[k]));
        for (((a, l), x), y) in column.iter_mut().zip(lower).zip(xs).zip(ys) {
            let change = simd.mul_add_e_f64s(*x, yk, simd.mul_f64s(*y, xk));
            *a = simd.mul_add_e_f64s(change, *l, *a);
        }
    }
}

/// x·y for vectors of whole registers.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, x: &[f64], y: &[f64]) -> f64 {
    let mut sum = simd.splat_f64s(0.0);
    for (x, y) in S::as_simd_f64s(x).0.iter().zip(S::as_simd_f64s(y).0) {
        sum = simd.mul_add_e_f64s(*x, *y, sum);
    }
    simd.reduce_sum_f64s(sum)
}

/// y += A·x for the columns of A that start at `at`, `step` apart.
#[inline(always)]
pub(super) fn gemv<S: Simd>(simd: S, a: &[f64], at: usize, step: usize, x: &[f64], y: &mut [f64]) {
    let wide = UNROLL * S::F64_LANES;
    let mut row = 0;
    let mut chunks = y.chunks_exact_mut(wide);
    for y in &mut chunks {
        let y = S::as_mut_simd_f64s(y).0;
        let mut sums = [y[0], y[1], y[2], y[3]];
        for (k, x) in x.iter().enumerate() {
            let x = simd.splat_f64s(*x);
            let column = S::as_simd_f64s(&a[at + k * step + row..][..wide]).0;
            for (sum, a) in sums.iter_mut().zip(column) {
                *sum = simd.mul_add_e_f64s(*a, x, *sum);
            }
        }
        y.copy_from_slice(&sums);
        row += wide;
    }
    for y in S::as_mut_simd_f64s(chunks.into_remainder()).0 {
        let mut sum = *y;
        for (k, x) in x.iter().enumerate() {
            let column = S::as_simd_f64s(&a[at + k * step + row..][..S::F64_LANES]).0;
            sum = simd.mul_add_e_f64s(column[0], simd.splat_f64s(*x), sum);
        }
        *y = sum;
        row += S::F64_LANES;
    }
}

/// y += Aᵀ·x.
#[inline(always)]
pub(super) fn dots<S: Simd>(simd: S, a: &[f64], at: usize, step: usize, x: &[f64], y: &mut [f64]) {
    let x_simd = S::as_simd_f64s(x).0;
    let column = |k: usize| S::as_simd_f64s(&a[at + k * step..][..x.len()]).0;
    let mut groups = y.chunks_exact_mut(UNROLL);
    let mut k = 0;
    for y in &mut groups {
        let mut sums = [simd.splat_f64s(0.0); UNROLL];
        let (left, right) = (
            column(k).iter().zip(column(k + 1)),
            column(k + 2).iter().zip(column(k + 3)),
        );
        for ((x, (a, b)), (c, d)) in x_simd.iter().zip(left).zip(right) {
            for (sum, entry) in sums.iter_mut().zip([a, b, c, d]) {
                *sum = simd.mul_add_e_f64s(*entry, *x, *sum);
            }
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y += simd.reduce_sum_f64s(sum);
        }
        k += UNROLL;
    }
    for y in groups.into_remainder() {
        let mut sum = simd.splat_f64s(0.0);
        for (a, x) in column(k).iter().zip(x_simd) {
            sum = simd.mul_add_e_f64s(*a, *x, sum);
        }
        *y += simd.reduce_sum_f64s(sum);
        k += 1;
    }
}

/// A −= x·yᵀ + u·zᵀ.
#[inline(always)]
pub(super) fn rank2<S: Simd>(
    simd: S,
    a: &mut [f64],
    at: usize,
    step: usize,
    (x, y): (&[f64], &[f64]),
    (u, z): (&[f64], &[f64]),
) {
    let wide = UNROLL * S::F64_LANES;
    let mut row = 0;
    let (xs, us) = (x.chunks_exact(wide), u.chunks_exact(wide));
    let (x_rest, u_rest) = (xs.remainder(), us.remainder());
    for (x, u) in xs.zip(us) {
        let (x, u) = (S::as_simd_f64s(x).0, S::as_simd_f64s(u).0);
        let x = [x[0], x[1], x[2], x[3]];
        let u = [u[0], u[1], u[2], u[3]];
        for (k, (y, z)) in y.iter().zip(z).enumerate() {
            let (y, z) = (simd.splat_f64s(-y), simd.splat_f64s(-z));
            let column = S::as_mut_simd_f64s(&mut a[at + k * step + row..][..wide]).0;
            for ((a, x), u) in column.iter_mut().zip(x).zip(u) {
                *a = simd.mul_add_e_f64s(x, y, simd.mul_add_e_f64s(u, z, *a));
            }
        }
        row += wide;
    }
    for (x, u) in S::as_simd_f64s(x_rest)
        .0
        .iter()
        .zip(S::as_simd_f64s(u_rest).0)
    {
        for (k, (y, z)) in y.iter().zip(z).enumerate() {
            let (y, z) = (simd.splat_f64s(-y), simd.splat_f64s(-z));
            let column = S::as_mut_simd_f64s(&mut a[at + k * step + row..][..S::F64_LANES]).0;
            column[0] = simd.mul_add_e_f64s(*x, y, simd.mul_add_e_f64s(*u, z, column[0]));
        }
        row += S::F64_LANES;
    }
}
