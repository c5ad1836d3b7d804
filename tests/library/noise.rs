//! Layers of noise, the same for the same seed.

use heavytail::matrix::{LayerTensor, Layout};
use rand::{RngExt, SeedableRng};

/// A dense layer.
pub fn matrix(name: &str, rows: usize, cols: usize, seed: u64) -> LayerTensor {
    tensor(name, Layout::Matrix, &[rows, cols], seed)
}

/// A layer of any shape; entries uniform on ±½.
pub fn tensor(name: &str, layout: Layout, shape: &[usize], seed: u64) -> LayerTensor {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
    LayerTensor {
        name: name.into(),
        layout,
        shape: shape.to_vec(),
        values: (0..shape.iter().product())
            .map(|_| rng.random::<f32>() - 0.5)
            .collect(),
    }
}
