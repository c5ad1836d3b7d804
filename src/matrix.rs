//! Weights as matrices, the first step of an analysis.
//!
//! A [`LayerTensor`] is a weight tensor of any rank, as a framework stores it. [`LayerTensor::cut`]
//! makes [`WeightMatrix`]es of it. A rank-2 tensor is one matrix. A convolution becomes its
//! unfolding (C_in·k)×C_out and one C_in×C_out slice for each of the k positions of the kernel.
//!
//! Transposition does not change singular values. So a matrix keeps its stored orientation, and its
//! methods tell which side is N (the longer) and which is M.

use serde::{Deserialize, Serialize};

use crate::error::{Error, LayerError, Result};
use crate::scratch::{Buffer, Scratch};
pub use crate::skip_reason::SkipReason;

/// How a matrix was cut out of its tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cut {
    /// A rank-2 tensor as it is.
    Whole,
    /// A convolution kernel as a (C_in·k)×C_out matrix.
    Unfolding,
    /// One kernel position of a convolution, as a C_in×C_out matrix.
    Slice {
        /// The position, counted in row-major order from 0.
        index: usize,
        /// Number of positions of the kernel.
        of: usize,
    },
    /// The eigenvalues of all slices together. This is a spectrum, not a matrix.
    Pooled,
}

/// An N×M weight matrix with N ≥ M ≥ 1.
///
/// ```
/// use heavytail::WeightMatrix;
///
/// let w = WeightMatrix::new("fc1", 2, 3, [1f32, 2., 3., 4., 5., 6.])?;
/// assert_eq!((w.n(), w.m(), w.q()), (3, 2, 1.5));
/// # Ok::<(), heavytail::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WeightMatrix {
    name: String,
    rows: usize,
    cols: usize,
    values: Buffer,
    tensor_shape: Vec<usize>,
    cut: Cut,
}

impl WeightMatrix {
    /// A matrix from row-major values. Either side may be the longer one.
    ///
    /// # Errors
    ///
    /// Fails if a side is zero or `rows * cols` is not the number of values. Non-finite values are
    /// accepted here: the analysis reports them, so one bad layer does not affect the others.
    pub fn new<T: Copy + Into<f64>>(
        name: impl Into<String>,
        rows: usize,
        cols: usize,
        weights: impl AsRef<[T]>,
    ) -> Result<Self> {
        let weights = weights.as_ref();
        let entries = weights.iter().map(|&w| w.into());
        let values = Buffer::collect(weights.len(), entries, &Scratch::default());
        Self::from_parts(
            name.into(),
            rows,
            cols,
            values,
            vec![rows, cols],
            Cut::Whole,
        )
    }

    fn from_parts(
        name: String,
        rows: usize,
        cols: usize,
        values: Buffer,
        tensor_shape: Vec<usize>,
        cut: Cut,
    ) -> Result<Self> {
        if rows == 0 || cols == 0 {
            return Err(Error::layer(name, LayerError::Empty { rows, cols }));
        }
        if rows.checked_mul(cols) != Some(values.len()) {
            let cause = LayerError::WrongLength {
                expected: vec![rows, cols],
                found: values.len(),
            };
            return Err(Error::layer(name, cause));
        }
        Ok(Self {
            name,
            rows,
            cols,
            values,
            tensor_shape,
            cut,
        })
    }

    /// The same matrix in a buffer of `scratch`. The analysis of the copy takes its buffers from
    /// there too.
    pub(crate) fn clone_in(&self, scratch: &Scratch) -> Self {
        Self {
            name: self.name.clone(),
            values: Buffer::collect(self.values.len(), self.values.iter().copied(), scratch),
            tensor_shape: self.tensor_shape.clone(),
            ..*self
        }
    }

    /// A matrix made from this one, with the same name and the same scratch.
    pub(crate) fn with_values(&self, rows: usize, cols: usize, values: Vec<f64>) -> Result<Self> {
        let values = Buffer::from_vec(values, self.scratch());
        let (name, shape) = (self.name.clone(), vec![rows, cols]);
        Self::from_parts(name, rows, cols, values, shape, Cut::Whole)
    }

    /// The pool from which the buffers of its analysis come.
    pub(crate) fn scratch(&self) -> &Scratch {
        self.values.scratch()
    }

    /// Name of the layer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The longer side N.
    pub fn n(&self) -> usize {
        self.rows.max(self.cols)
    }

    /// The shorter side M, which is the number of eigenvalues.
    pub fn m(&self) -> usize {
        self.rows.min(self.cols)
    }

    /// Aspect ratio Q = N/M ≥ 1.
    pub fn q(&self) -> f64 {
        self.n() as f64 / self.m() as f64
    }

    /// Number of rows as stored.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns as stored.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The entries as stored, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Shape of the tensor that the matrix was cut from.
    pub fn tensor_shape(&self) -> &[usize] {
        &self.tensor_shape
    }

    /// How the matrix was cut from its tensor.
    pub fn cut(&self) -> Cut {
        self.cut
    }
}

/// The meaning of the axes of a weight tensor. burn's layouts and PyTorch's convolutions agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layout {
    /// Rank 2 as stored: linear layers, embeddings, recurrent gates, attention projections.
    Matrix,
    /// Convolution: `[C_out, C_in/groups, k…]`.
    Conv,
    /// Transposed convolution: `[C_in, C_out/groups, k…]`.
    ConvTranspose,
}

/// A weight tensor of any rank, row-major, in the usual precision of networks.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTensor {
    /// Dotted path of the parameter, for example `conv1.weight`.
    pub name: String,
    /// The meaning of its axes.
    pub layout: Layout,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: Vec<f32>,
}

/// The matrices of one layer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cuts {
    /// The matrix that represents the layer: the whole tensor or the unfolding.
    pub primary: WeightMatrix,
    /// One C_in×C_out matrix for each kernel position of a convolution. Empty for other layers.
    pub slices: Vec<WeightMatrix>,
}

/// The layout by which a tensor of this shape is cut into matrices, decided without its values. The
/// error is the reason why it cannot be cut.
pub(crate) fn cut_layout(layout: Option<Layout>, shape: &[usize]) -> Result<Layout, SkipReason> {
    let layout = match (shape.len(), layout) {
        (0 | 1, _) => return Err(SkipReason::Vector),
        (2, _) => Layout::Matrix,
        (_, Some(layout @ (Layout::Conv | Layout::ConvTranspose))) => layout,
        _ => return Err(SkipReason::UnknownLayout),
    };
    let elements: usize = shape.iter().product();
    // The channel axis that becomes C_out of the unfolding.
    let out = shape[usize::from(layout == Layout::ConvTranspose)];
    if elements == 0 || out < 2 || elements / out < 2 {
        return Err(SkipReason::TooSmall);
    }
    Ok(layout)
}

impl LayerTensor {
    /// Cut the tensor into matrices.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Cuts::new`].
    pub fn cut(&self) -> Result<Cuts> {
        self.cut_in(&Scratch::default())
    }

    /// [`cut`](Self::cut) with buffers of `scratch`.
    pub(crate) fn cut_in(&self, scratch: &Scratch) -> Result<Cuts> {
        Cuts::in_scratch(&self.name, self.layout, &self.shape, &self.values, scratch)
    }
}

impl Cuts {
    /// The cuts of a rank-2 tensor, without a copy of its values.
    #[cfg(feature = "checkpoint")]
    pub(crate) fn whole(
        name: &str,
        shape: [usize; 2],
        values: Vec<f64>,
        scratch: &Scratch,
    ) -> Result<Self> {
        let [rows, cols] = shape;
        let primary = WeightMatrix::from_parts(
            name.to_owned(),
            rows,
            cols,
            Buffer::from_vec(values, scratch),
            shape.to_vec(),
            Cut::Whole,
        )?;
        Ok(Self {
            primary,
            slices: Vec::new(),
        })
    }

    /// Cut the row-major values of a tensor of this shape into matrices.
    ///
    /// # Errors
    ///
    /// Fails if the shape cannot be cut (see [`SkipReason`]) or does not match the number of
    /// values.
    pub fn new<T: Copy + Into<f64>>(
        name: &str,
        layout: Layout,
        shape: &[usize],
        values: &[T],
    ) -> Result<Self> {
        Self::in_scratch(name, layout, shape, values, &Scratch::default())
    }

    /// [`new`](Self::new) with buffers of `scratch`.
    pub(crate) fn in_scratch<T: Copy + Into<f64>>(
        name: &str,
        layout: Layout,
        shape: &[usize],
        values: &[T],
        scratch: &Scratch,
    ) -> Result<Self> {
        let layout =
            cut_layout(Some(layout), shape).map_err(|reason| Error::layer(name, reason))?;
        if shape.iter().product::<usize>() != values.len() {
            let cause = LayerError::WrongLength {
                expected: shape.to_vec(),
                found: values.len(),
            };
            return Err(Error::layer(name, cause));
        }
        let matrix = |rows, cols, cut, values| {
            WeightMatrix::from_parts(name.to_owned(), rows, cols, values, shape.to_vec(), cut)
        };
        let count = values.len();
        let all = || Buffer::collect(count, values.iter().map(|&v| v.into()), scratch);
        let (a, b) = (shape[0], shape[1]);
        if layout == Layout::Matrix {
            return Ok(Self {
                primary: matrix(a, b, Cut::Whole, all())?,
                slices: Vec::new(),
            });
        }
        let k: usize = shape[2..].iter().product();
        let at = |i: usize, j: usize, p: usize| values[(i * b + j) * k + p].into();
        let primary = match layout {
            // The memory of [C_out, C_in, k] is that of a C_out×(C_in·k) matrix.
            Layout::Conv => matrix(a, b * k, Cut::Unfolding, all())?,
            // [C_in, C_out, k] becomes C_out rows, each with all values of (C_in, k).
            _ => {
                let places = (0..b)
                    .flat_map(|j| (0..a).flat_map(move |i| (0..k).map(move |p| (i, j, p))))
                    .map(|(i, j, p)| at(i, j, p));
                let values = Buffer::collect(count, places, scratch);
                matrix(b, a * k, Cut::Unfolding, values)?
            }
        };
        let slices = (0..k)
            .map(|p| {
                let places = (0..a)
                    .flat_map(|i| (0..b).map(move |j| (i, j)))
                    .map(|(i, j)| at(i, j, p));
                let cut = Cut::Slice { index: p, of: k };
                matrix(a, b, cut, Buffer::collect(a * b, places, scratch))
            })
            .collect::<Result<_>>()?;
        Ok(Self { primary, slices })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(layout: Layout, shape: &[usize]) -> LayerTensor {
        LayerTensor {
            name: "w".into(),
            layout,
            shape: shape.to_vec(),
            values: (0..shape.iter().product())
                .map(|v: usize| v as f32)
                .collect(),
        }
    }

    #[test]
    fn a_matrix_knows_its_longer_side() {
        let w = WeightMatrix::new("w", 3, 5, vec![0f64; 15]).unwrap();
        assert_eq!((w.n(), w.m(), w.q()), (5, 3, 5.0 / 3.0));
        assert!(WeightMatrix::new("w", 3, 5, vec![0f64; 14]).is_err());
        assert!(WeightMatrix::new("w", 0, 5, Vec::<f64>::new()).is_err());
        assert!(WeightMatrix::new("w", usize::MAX, 2, vec![0f64; 2]).is_err());
    }

    #[test]
    fn a_convolution_unfolds_to_its_outputs() {
        let cuts = tensor(Layout::Conv, &[4, 3, 2, 2]).cut().unwrap();
        assert_eq!((cuts.primary.rows(), cuts.primary.cols()), (4, 12));
        assert_eq!(cuts.slices.len(), 4);
        // Slice 1 holds w[o][i][0][1].
        assert_eq!(cuts.slices[1].values()[..3], [1.0, 5.0, 9.0]);
        assert_eq!(cuts.slices[1].cut().to_string(), "slice 1/4");
    }

    #[test]
    fn a_transposed_convolution_unfolds_to_its_outputs_too() {
        let cuts = tensor(Layout::ConvTranspose, &[2, 3, 5]).cut().unwrap();
        assert_eq!((cuts.primary.rows(), cuts.primary.cols()), (3, 10));
        // Output 1 consists of w[0][1][..] and w[1][1][..].
        assert_eq!(
            cuts.primary.values()[10..20],
            [5., 6., 7., 8., 9., 20., 21., 22., 23., 24.]
        );
    }

    #[test]
    fn every_tensor_without_a_matrix_has_a_reason() {
        use SkipReason::*;
        assert_eq!(cut_layout(None, &[7]), Err(Vector));
        assert_eq!(cut_layout(None, &[7, 1]), Err(TooSmall));
        assert_eq!(cut_layout(None, &[2, 3, 4]), Err(UnknownLayout));
        assert_eq!(cut_layout(Some(Layout::Conv), &[0, 3, 4]), Err(TooSmall));
        assert_eq!(
            cut_layout(Some(Layout::Conv), &[8, 1, 3, 3]),
            Ok(Layout::Conv)
        );
        assert_eq!(cut_layout(Some(Layout::Conv), &[8, 4]), Ok(Layout::Matrix));
    }
}
