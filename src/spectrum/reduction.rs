//! From a Gram matrix to its eigenvalues. A small matrix becomes tridiagonal in one stage, a large
//! one in two. If that does not converge, faer's own method computes the eigenvalues.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::reborrow::ReborrowMut;
use faer::{MatMut, Par, linalg::evd};

use super::band::{Blocks, band};
use super::reflect::Real;
use super::square::Square;
use super::tridiagonal;
use crate::scratch::{Buffer, Scratch};

/// Smallest M for two stages. They are as fast as one from M = 448 to 640, 1.3 times as fast at
/// 1024 and 1.7 times at 2048, in interleaved runs (AVX-512, f64, square W).
const TWO_STAGES_FROM: usize = 512;

/// A band of 32 is as fast as any from 16 to 64 for M = 384 to 4096. Tiles of half a megabyte stay
/// in the second-level cache between their update and their product.
const BLOCKS: Blocks = Blocks {
    width: 32,
    panels: 4,
    rows: 512,
};

/// The eigenvalues of a Gram matrix by `route`, or by faer's own method if `route` returns `None`.
pub(super) fn or_faer(
    route: impl FnOnce(Square<f64>) -> Option<Vec<f64>>,
    gram: impl Fn() -> Square<f64>,
) -> Result<Vec<f64>, String> {
    match route(gram()) {
        Some(values) => Ok(values),
        // `route` has overwritten its matrix, so `gram` computes it again.
        None => faer_eigenvalues(&gram()),
    }
}

/// The eigenvalues of a Gram matrix that is given by its lower half, which is overwritten. `None`
/// if an entry is not finite or the iteration does not converge.
pub(super) fn eigenvalues_by_reduction<T: Real>(gram: Square<T>) -> Option<Vec<f64>> {
    if gram.side() < TWO_STAGES_FROM {
        rescaled(gram, one_stage)
    } else {
        rescaled(gram, |gram, scratch| two_stages(gram, BLOCKS, scratch))
    }
}

/// The eigenvalues of a Gram matrix by `route`, which needs entries of moderate scale.
fn rescaled<T: Real>(
    mut gram: Square<T>,
    route: impl FnOnce(MatMut<'_, T>, &Scratch) -> Option<Vec<f64>>,
) -> Option<Vec<f64>> {
    let scratch = gram.scratch().clone();
    let mut entries = gram.view_mut();
    // No entry of a Gram matrix exceeds the largest one on the diagonal.
    let diagonal = (0..entries.nrows()).map(|i| entries[(i, i)].into());
    if !diagonal.clone().all(f64::is_finite) {
        return None;
    }
    let top = diagonal.fold(0.0, f64::max);
    if top == 0.0 {
        return Some(vec![0.0; entries.nrows()]);
    }
    if (1e-10..1e10).contains(&top) {
        return route(entries, &scratch);
    }
    let unit = (-top.log2().floor()).exp2();
    let factor = T::from_f64(unit);
    for column in entries.rb_mut().col_iter_mut() {
        column.iter_mut().for_each(|v| *v *= factor);
    }
    let values = route(entries, &scratch)?;
    let values: Vec<f64> = values.iter().map(|v| v / unit).collect();
    values.iter().all(|v| v.is_finite()).then_some(values)
}

/// Householder's reduction to a tridiagonal matrix, then its eigenvalues.
fn one_stage<T: Real>(mut gram: MatMut<'_, T>, scratch: &Scratch) -> Option<Vec<f64>> {
    let m = gram.nrows();
    let block = recommended_block_size::<T>(m, m);
    let columns = m.saturating_sub(1);
    let mut householder = Buffer::filled(block * columns, T::ZERO, scratch);
    let workspace = tridiag_in_place_scratch::<T>(m, Par::Seq, Default::default());
    tridiag_in_place(
        gram.rb_mut(),
        MatMut::from_column_major_slice_mut(&mut householder, block, columns),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(workspace)),
        Default::default(),
    );
    let diagonal = (0..m).map(|i| gram[(i, i)].into()).collect();
    let subdiagonal: Vec<f64> = (1..m).map(|i| gram[(i, i - 1)].into()).collect();
    tridiagonal::eigenvalues(diagonal, &subdiagonal)
}

/// Reduction to a band by matrix products, then to a tridiagonal matrix, then its eigenvalues.
fn two_stages<T: Real>(gram: MatMut<'_, T>, blocks: Blocks, scratch: &Scratch) -> Option<Vec<f64>> {
    let (diagonal, subdiagonal) = band(gram, blocks, scratch).tridiagonal();
    tridiagonal::eigenvalues(diagonal, &subdiagonal)
}

/// The eigenvalues by faer's own method.
fn faer_eigenvalues(gram: &Square<f64>) -> Result<Vec<f64>, String> {
    let m = gram.side();
    let mut values = Diag::<f64>::zeros(m);
    let mut buffer = MemBuffer::new(evd::self_adjoint_evd_scratch::<f64>(
        m,
        evd::ComputeEigenvectors::No,
        Par::Seq,
        Default::default(),
    ));
    evd::self_adjoint_evd(
        gram.view(),
        values.as_mut(),
        None,
        Par::Seq,
        MemStack::new(&mut buffer),
        Default::default(),
    )
    .map_err(|e| format!("{e:?}"))?;
    Ok(values.column_vector().iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::spectrum::solvers::gram_matrix;
    use crate::spectrum::{Eigensolver, Gram, GramF32, Svd};

    type Random = rand_pcg::Pcg64;

    fn noise(rng: &mut Random, count: usize) -> Vec<f64> {
        (0..count).map(|_| rng.random::<f64>() - 0.5).collect()
    }

    /// Structured matrices, n×m row-major.
    fn matrix(kind: usize, n: usize, m: usize, rng: &mut Random) -> Vec<f64> {
        let mut w = noise(rng, n * m);
        let mut each = |f: &mut dyn FnMut(usize, usize, f64) -> f64| {
            for i in 0..n {
                for j in 0..m {
                    w[i * m + j] = f(i, j, w[i * m + j]);
                }
            }
        };
        let share = |j: usize| j as f64 / m as f64;
        match kind {
            0 => each(&mut |_, _, _| 0.0),
            // Columns with condition 1e12, then rows.
            1 => each(&mut |_, j, v| v * 1e-12f64.powf(share(j))),
            2 => each(&mut |i, _, v| v * 1e-12f64.powf(i as f64 / n as f64)),
            3 => each(&mut |_, _, v| v * 1e140),
            4 => each(&mut |_, _, v| v * 1e-140),
            5 => each(&mut |i, j, _| f64::from(u8::from(i == j))),
            6 => each(&mut |i, j, v| if i == j { v } else { 0.0 }),
            7 => each(&mut |i, j, v| if i / 5 == j / 5 { v } else { 0.0 }),
            8 => each(&mut |i, j, _| f64::from(u8::from(i * 7 % m == j))),
            // The singular values follow a power law.
            9 => each(&mut |_, j, v| v * (1.0 - share(j)).powf(-1.5)),
            10 => {
                let (left, right) = (noise(rng, n * 2), noise(rng, 2 * m));
                for (i, row) in w.chunks_exact_mut(m).enumerate() {
                    for (j, v) in row.iter_mut().enumerate() {
                        *v = left[2 * i] * right[j] + left[2 * i + 1] * right[m + j];
                    }
                }
            }
            // Equal rows, then equal columns.
            11 => (n / 2 * m..n * m).for_each(|at| w[at] = w[at - n / 2 * m]),
            12 => (0..n * m).for_each(|at| w[at] = w[at - at % m % 3.min(m)]),
            _ => {}
        }
        w
    }

    fn agree(found: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
        let sorted = |v: &[f64]| {
            let mut v = v.to_vec();
            v.sort_by(f64::total_cmp);
            v
        };
        let (found, wanted) = (sorted(found), sorted(wanted));
        assert_eq!(found.len(), wanted.len(), "{what}");
        let top = wanted[wanted.len() - 1];
        for (x, y) in found.iter().zip(&wanted) {
            assert!((x - y).abs() <= tolerance * top, "{what}: {x} {y} of {top}");
        }
    }

    #[test]
    fn every_route_agrees_with_the_singular_values() {
        let mut rng = Random::seed_from_u64(11);
        for case in 0..3150usize {
            let width = [1, 2, 3, 4, 8, 9][case % 6];
            let m = match case / 6 % 6 {
                0 => 1,
                1 => 2,
                2 => width,
                3 => width + 1,
                4 => 2 * width + 3,
                _ => 1 + (case * 13) % 37,
            };
            let n = m + case % 3 * (case % 17);
            let blocks = Blocks {
                width,
                panels: 1 + case % 3,
                rows: 1 + case % 11,
            };
            let kind = case % 14;
            let w = matrix(kind, n, m, &mut rng);
            let wanted = Svd.eigenvalues(n, m, &w, &Scratch::default()).unwrap();
            let what = |route| format!("case {case}, kind {kind}, {n}×{m}, {route}");
            let gram = || gram_matrix::<f64>(n, m, &w, 1.0, &Scratch::default());
            let tolerance = 4.0 * (n + 4) as f64 * f64::EPSILON;
            let one = rescaled(gram(), one_stage).unwrap();
            agree(&one, &wanted, tolerance, &what("one stage"));
            let two = rescaled(gram(), |g, scratch| two_stages(g, blocks, scratch)).unwrap();
            agree(&two, &wanted, tolerance, &what("two stages"));
            agree(
                &faer_eigenvalues(&gram()).unwrap(),
                &wanted,
                tolerance,
                &what("stock"),
            );
            let fast = GramF32.eigenvalues(n, m, &w, &Scratch::default()).unwrap();
            let single = 4.0 * (n + 4) as f64 * f64::from(f32::EPSILON);
            agree(&fast, &wanted, single, &what("f32"));
            let unit = if kind == 3 { 1e-140 } else { 1.0 } * if kind == 4 { 1e140 } else { 1.0 };
            let gram = gram_matrix::<f32>(n, m, &w, unit, &Scratch::default());
            let fast = rescaled(gram, |g, scratch| two_stages(g, blocks, scratch)).unwrap();
            let fast: Vec<f64> = fast.iter().map(|v| v / unit / unit).collect();
            agree(&fast, &wanted, single, &what("f32, two stages"));
        }
    }

    #[test]
    fn faer_takes_over_from_a_route_that_refuses() {
        let w = noise(&mut Random::seed_from_u64(2), 30 * 20);
        let gram = || gram_matrix::<f64>(30, 20, &w, 1.0, &Scratch::default());
        let wanted = Svd.eigenvalues(30, 20, &w, &Scratch::default()).unwrap();
        let found = or_faer(|_| None, gram).unwrap();
        agree(&found, &wanted, 1e-14, "refused");
        for spoilt in [f64::NAN, f64::INFINITY] {
            let spoil = |mut g: Square<f64>| {
                g.view_mut()[(7, 3)] = spoilt;
                g
            };
            let mut gone = gram();
            gone.view_mut().fill(spoilt);
            assert!(rescaled(gone, one_stage).is_none());
            assert!(rescaled(spoil(gram()), one_stage).is_none());
            assert!(rescaled(spoil(gram()), |g, scratch| two_stages(g, BLOCKS, scratch)).is_none());
            let found = or_faer(|g| eigenvalues_by_reduction(spoil(g)), gram).unwrap();
            agree(&found, &wanted, 1e-14, "not finite");
        }
    }

    #[test]
    fn bits_depend_on_nothing_but_the_matrix() {
        let m = TWO_STAGES_FROM + 5;
        let w = noise(&mut Random::seed_from_u64(3), m * (m + 60));
        let bits = |solver: &dyn Eigensolver| -> Vec<u64> {
            let values = solver
                .eigenvalues(m + 60, m, &w, &Scratch::default())
                .unwrap();
            values.iter().map(|v| v.to_bits()).collect()
        };
        for solver in [&Gram as &(dyn Eigensolver + Sync), &GramF32] {
            let wanted = bits(solver);
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| bits(solver))).collect();
                for thread in threads {
                    assert_eq!(thread.join().unwrap(), wanted);
                }
            });
        }
        // This size uses the two stages with the blocks of production.
        let wanted = Svd.eigenvalues(m + 60, m, &w, &Scratch::default()).unwrap();
        let found = Gram
            .eigenvalues(m + 60, m, &w, &Scratch::default())
            .unwrap();
        agree(&found, &wanted, 1e-13, "large");
        let one = rescaled(
            gram_matrix::<f64>(m + 60, m, &w, 1.0, &Scratch::default()),
            one_stage,
        )
        .unwrap();
        agree(&found, &one, 2e-14, "one stage");
        let fast = GramF32
            .eigenvalues(m + 60, m, &w, &Scratch::default())
            .unwrap();
        agree(&fast, &found, 1e-6, "f32");
    }
}
