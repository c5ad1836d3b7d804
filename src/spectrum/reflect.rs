//! Householder reflections of tall, narrow blocks, in f64 or f32.

use std::ops::Div;

use faer::linalg::matmul::matmul;
use faer::reborrow::ReborrowMut;
use faer::traits::RealField;
use faer::{Accum, MatMut, MatRef, Par};

use crate::scratch::Reusable;

/// The numbers of the reductions: f64 or f32.
pub(super) trait Real: RealField + Reusable + Into<f64> + Div<Output = Self> {
    const ZERO: Self;
    const ONE: Self;
    const HALF: Self;
    /// Squares below this have lost digits. Their roots are negligible beside entries of moderate
    /// scale.
    const NEGLIGIBLE_SQUARE: Self;
    fn root(self) -> Self;
    fn from_f64(value: f64) -> Self;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const HALF: Self = 0.5;
            const NEGLIGIBLE_SQUARE: Self = <$t>::MIN_POSITIVE / <$t>::EPSILON;
            fn root(self) -> Self {
                self.sqrt()
            }
            fn from_f64(value: f64) -> Self {
                value as $t
            }
        }
    };
}
real!(f64);
real!(f32);

/// C = A·B.
pub(super) fn set<T: Real>(c: MatMut<'_, T>, a: MatRef<'_, T>, b: MatRef<'_, T>) {
    matmul(c, Accum::Replace, a, b, T::ONE, Par::Seq);
}

/// C += α·A·B.
pub(super) fn add<T: Real>(c: MatMut<'_, T>, alpha: T, a: MatRef<'_, T>, b: MatRef<'_, T>) {
    matmul(c, Accum::Add, a, b, alpha, Par::Seq);
}

/// The upper triangular matrix T of I − V·T·Vᵀ, the product of the reflections with these `taus`.
pub(super) fn factor<T: Real>(v: MatRef<'_, T>, taus: &[T], gram: &mut [T], t: &mut [T]) {
    let b = taus.len();
    let mut product = MatMut::from_column_major_slice_mut(&mut *gram, b, b);
    set(product.rb_mut(), v.transpose(), v);
    t.fill(T::ZERO);
    for (k, tau) in taus.iter().enumerate() {
        let (done, column) = t.split_at_mut(k * b);
        let column = &mut column[..b];
        for (j, earlier) in done.chunks_exact(b).enumerate() {
            let weight = -*tau * gram[k * b + j];
            for (x, t) in column[..=j].iter_mut().zip(earlier) {
                *x += weight * *t;
            }
        }
        column[k] = *tau;
    }
}

/// Reflect columns of length n one by one. The first pivot is at row `first`. The result is R above
/// the pivots and v below them.
#[inline(always)]
pub(super) fn reflect<T: Real>(block: &mut [T], n: usize, first: usize, taus: &mut [T]) {
    for (k, tau) in taus.iter_mut().enumerate() {
        let pivot = first + k;
        if pivot >= n {
            return;
        }
        let (done, right) = block.split_at_mut((k + 1) * n);
        let column = &mut done[k * n + pivot..];
        let (head, tail) = column.split_at_mut(1);
        let square = dot(tail, tail);
        if square <= T::NEGLIGIBLE_SQUARE {
            tail.fill(T::ZERO);
            continue;
        }
        let norm = (head[0] * head[0] + square).root();
        let image = if head[0] > T::ZERO { -norm } else { norm };
        *tau = (image - head[0]) / image;
        let inverse = T::ONE / (head[0] - image);
        for x in tail.iter_mut() {
            *x *= inverse;
        }
        head[0] = image;
        for other in right.chunks_exact_mut(n) {
            let (top, rest) = other[pivot..].split_at_mut(1);
            let weight = *tau * (top[0] + dot(tail, rest));
            top[0] -= weight;
            for (x, v) in rest.iter_mut().zip(&*tail) {
                *x -= weight * *v;
            }
        }
    }
}

#[inline(always)]
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    const SUMS: usize = 32;
    let mut sums = [T::ZERO; SUMS];
    let (a, b) = (a.chunks_exact(SUMS), b.chunks_exact(SUMS));
    let mut rest = T::ZERO;
    for (x, y) in a.remainder().iter().zip(b.remainder()) {
        rest += *x * *y;
    }
    for (a, b) in a.zip(b) {
        for i in 0..SUMS {
            sums[i] += a[i] * b[i];
        }
    }
    let mut width = SUMS / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0] + rest
}
