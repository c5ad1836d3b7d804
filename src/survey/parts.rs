//! Finds the matrices that a tensor holds, from its name and shape.
//!
//! A file gives names and shapes, but not the meaning of the axes. These rules apply, in this
//! order:
//!
//! 1. A tensor of rank 0 or 1 has no part.
//! 2. `weight_ih…` and `weight_hh…` with 4·H or 3·H rows have one matrix for each gate: `i f g o`
//!    for LSTM, `r z n` for GRU (PyTorch's order).
//! 3. `in_proj_weight`, `qkv`, `qkv_proj`, `Wqkv` and `c_attn` with 3·d rows or columns, or with
//!    d + 2·d' rows, have the matrices `q`, `k` and `v`.
//! 4. Any other tensor of rank 2 is one matrix.
//! 5. A tensor of rank 3 with `expert` in its name, or with both last axes of 32 and more, has one
//!    matrix for each index of the first axis.
//! 6. Any other tensor of rank 3, 4 or 5 with at most 31 positions an axis is a convolution
//!    `[C_out, C_in/groups, k…]`.
//!
//! A transposed convolution has the same shape as a plain one. Its name decides (`transpose`,
//! `deconv`, `convt`). Projections that are interleaved by heads (`query_key_value`) are not split.
//! A fused projection with fewer heads of keys and values than of queries is split only if its
//! queries are as wide as the model (the columns). Otherwise its shape does not show the parts.

use std::ops::Range;

use crate::error::{Error, LayerError, Result};
use crate::matrix::{Cuts, Layout, SkipReason, cut_layout};
use crate::scratch::Scratch;

/// One matrix, or one convolution, of a tensor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Part {
    /// The tensor's name, followed by the name of the part in brackets.
    pub name: String,
    /// The meaning of the axes.
    pub layout: Layout,
    /// The shape of the part.
    pub shape: Vec<usize>,
    select: Slice,
}

/// The values of a tensor that belong to a part.
#[derive(Debug, Clone, PartialEq)]
enum Slice {
    Whole,
    /// Rows of a matrix, or indices of the first axis of a stack.
    Rows(Range<usize>),
    Columns(Range<usize>),
}

/// The parts of the tensor `name`. `others` gives the names and shapes of all tensors of its model,
/// from which the hidden size of a recurrent layer is read.
///
/// # Errors
///
/// Returns the reason if the tensor has no part to analyse.
pub fn parts<'a>(
    name: &str,
    shape: &[usize],
    others: impl IntoIterator<Item = (&'a str, &'a [usize])>,
) -> Result<Vec<Part>, SkipReason> {
    let lower = name.to_lowercase();
    let whole = |layout| {
        cut_layout(Some(layout), shape).map(|layout| {
            vec![Part {
                name: name.to_owned(),
                layout,
                shape: shape.to_vec(),
                select: Slice::Whole,
            }]
        })
    };
    match *shape {
        [] | [_] => Err(SkipReason::Vector),
        [rows, cols] => {
            let blocks = gates(name, rows, others)
                .or_else(|| projections(&lower, rows, cols))
                .unwrap_or_default();
            if blocks.is_empty() {
                return whole(Layout::Matrix);
            }
            blocks
                .into_iter()
                .map(|(label, select)| {
                    let shape = match &select {
                        Slice::Columns(range) => vec![rows, range.len()],
                        Slice::Rows(range) => vec![range.len(), cols],
                        Slice::Whole => vec![rows, cols],
                    };
                    cut_layout(Some(Layout::Matrix), &shape)?;
                    Ok(Part {
                        name: format!("{name}[{label}]"),
                        layout: Layout::Matrix,
                        shape,
                        select,
                    })
                })
                .collect()
        }
        [count, rows, cols] if lower.contains("expert") || rows.min(cols) >= MIN_STACKED_SIDE => {
            cut_layout(Some(Layout::Matrix), &[rows, cols])?;
            let part = |i| Part {
                name: format!("{name}[{i}]"),
                layout: Layout::Matrix,
                shape: vec![rows, cols],
                select: Slice::Rows(i..i + 1),
            };
            Ok((0..count).map(part).collect())
        }
        _ if shape[2..].iter().any(|&k| k >= MIN_STACKED_SIDE) || shape.len() > 5 => {
            Err(SkipReason::UnknownLayout)
        }
        _ if ["transpose", "deconv", "convt"]
            .iter()
            .any(|w| lower.contains(w)) =>
        {
            whole(Layout::ConvTranspose)
        }
        _ => whole(Layout::Conv),
    }
}

/// The side that separates kernels from stacks of matrices. Kernels have smaller sides.
const MIN_STACKED_SIDE: usize = 32;

/// The label of a block and the values that belong to it.
type Block = (String, Slice);

/// Blocks of `size` rows each, one for each label.
fn blocks(labels: &[&str], size: usize) -> Vec<Block> {
    let block = |(i, label): (usize, &&str)| {
        let range = i * size..(i + 1) * size;
        ((*label).to_owned(), Slice::Rows(range))
    };
    labels.iter().enumerate().map(block).collect()
}

/// The gates of a recurrent layer (`weight_ih_l0` and `weight_hh_l0` of PyTorch). `None` for other
/// tensors.
fn gates<'a>(
    name: &str,
    rows: usize,
    others: impl IntoIterator<Item = (&'a str, &'a [usize])>,
) -> Option<Vec<Block>> {
    let (layer, parameter) = name.rsplit_once('.').unwrap_or(("", name));
    let suffix = parameter
        .strip_prefix("weight_ih")
        .or_else(|| parameter.strip_prefix("weight_hh"))?;
    let recurrent = format!("weight_hh{suffix}");
    let recurrent = if layer.is_empty() {
        recurrent
    } else {
        format!("{layer}.{recurrent}")
    };
    let (_, shape) = others.into_iter().find(|(other, _)| *other == recurrent)?;
    // The recurrent matrix has the shape gates·H × H. In an LSTM with a projection it has fewer
    // columns.
    let &[all, hidden] = shape else { return None };
    if all != rows || hidden == 0 || !rows.is_multiple_of(hidden) {
        return None;
    }
    match rows / hidden {
        4 => Some(blocks(&["i", "f", "g", "o"], hidden)),
        3 => Some(blocks(&["r", "z", "n"], hidden)),
        _ => None,
    }
}

/// The names of fused projections, in lower case.
const FUSED: [&str; 5] = ["in_proj", "qkv", "qkv_proj", "wqkv", "c_attn"];

/// Query, key and value of a fused projection. `None` for other tensors.
fn projections(lower: &str, rows: usize, cols: usize) -> Option<Vec<Block>> {
    let stem = lower
        .strip_suffix(".weight")
        .or_else(|| lower.strip_suffix("_weight"))?;
    let last = stem.rsplit('.').next().unwrap_or(stem);
    if !FUSED.contains(&last) {
        return None;
    }
    let labels = ["q", "k", "v"];
    if rows == 3 * cols {
        return Some(blocks(&labels, cols));
    }
    if cols == 3 * rows {
        let column = |(label, select): Block| match select {
            Slice::Rows(range) => (label, Slice::Columns(range)),
            other => (label, other),
        };
        return Some(blocks(&labels, rows).into_iter().map(column).collect());
    }
    // The projection may have fewer heads for keys and values than for queries.
    let rest = rows
        .checked_sub(cols)
        .filter(|r| *r > 0 && r % 2 == 0 && r / 2 < cols)?;
    let key = cols + rest / 2;
    let ends = [0..cols, cols..key, key..rows];
    let block = |(label, range): (&str, Range<usize>)| (label.to_owned(), Slice::Rows(range));
    Some(labels.into_iter().zip(ends).map(block).collect())
}

/// Splits query, key and value projections into the matrices of their heads.
///
/// Two kinds of projections are split: the parts that [`parts`] made of a fused projection, and
/// matrices whose names end in `query`, `key`, `value`, `q_proj`, `k_proj` or `v_proj`. A head has
/// as many rows as the model's width (the columns) divided by `count`. A projection with fewer
/// heads of keys and values therefore yields fewer matrices. A projection that does not divide
/// evenly stays whole.
pub fn heads(parts: Vec<Part>, count: usize) -> Vec<Part> {
    const ENDS: [&str; 6] = ["query", "key", "value", "q_proj", "k_proj", "v_proj"];
    let projects = |part: &Part| {
        let name = part.name.strip_suffix(".weight").unwrap_or(&part.name);
        let last = name.rsplit('.').next().unwrap_or(name);
        let fused = ["[q]", "[k]", "[v]"]
            .iter()
            .any(|label| name.ends_with(label));
        fused || ENDS.contains(&last)
    };
    let split = |part: Part| {
        let &[rows, cols] = part.shape.as_slice() else {
            return vec![part];
        };
        let size = cols.checked_div(count).unwrap_or(0);
        let first = match &part.select {
            Slice::Whole => 0,
            Slice::Rows(range) => range.start,
            Slice::Columns(_) => return vec![part],
        };
        let divides = size > 1 && rows > size && cols % count == 0 && rows.is_multiple_of(size);
        if !divides || !projects(&part) {
            return vec![part];
        }
        let head = |i| {
            let start = first + i * size;
            Part {
                name: format!("{}[head {i}]", part.name),
                layout: Layout::Matrix,
                shape: vec![size, cols],
                select: Slice::Rows(start..start + size),
            }
        };
        (0..rows / size).map(head).collect()
    };
    parts.into_iter().flat_map(split).collect()
}

impl Part {
    /// Rows and columns of the matrix that is analysed for this part. A convolution is analysed as
    /// its unfolding.
    pub fn sides(&self) -> (usize, usize) {
        let count: usize = self.shape.iter().product();
        let out = self.shape[usize::from(self.layout == Layout::ConvTranspose)];
        (out, count / out.max(1))
    }

    /// Like [`cut`](Self::cut), but takes the values over, which avoids a copy of a whole matrix.
    pub(super) fn cut_owned(
        &self,
        shape: &[usize],
        values: Vec<f64>,
        scratch: &Scratch,
    ) -> Result<Cuts> {
        match (&self.select, shape) {
            (Slice::Whole, &[rows, cols]) => Cuts::whole(&self.name, [rows, cols], values, scratch),
            _ => self.cut_in(shape, &values, scratch),
        }
    }

    /// Cuts this part out of the values of its tensor, whose shape is `shape`.
    ///
    /// # Errors
    ///
    /// Returns an error if the number of values does not match the shape.
    pub fn cut(&self, shape: &[usize], values: &[f64]) -> Result<Cuts> {
        self.cut_in(shape, values, &Scratch::default())
    }

    /// Like [`cut`](Self::cut), but uses the buffers of `scratch`.
    pub(super) fn cut_in(
        &self,
        shape: &[usize],
        values: &[f64],
        scratch: &Scratch,
    ) -> Result<Cuts> {
        let count: usize = shape.iter().product();
        if count != values.len() {
            let cause = LayerError::WrongLength {
                expected: shape.to_vec(),
                found: values.len(),
            };
            return Err(Error::layer(&self.name, cause));
        }
        let row = shape[1..].iter().product::<usize>();
        match &self.select {
            Slice::Whole => Cuts::in_scratch(&self.name, self.layout, &self.shape, values, scratch),
            Slice::Rows(range) => {
                let values = &values[range.start * row..range.end * row];
                Cuts::in_scratch(&self.name, self.layout, &self.shape, values, scratch)
            }
            Slice::Columns(range) => {
                let rows = values.chunks_exact(row.max(1));
                let values: Vec<f64> = rows.flat_map(|r| &r[range.clone()]).copied().collect();
                Cuts::in_scratch(&self.name, self.layout, &self.shape, &values, scratch)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, shape: &[usize], others: &[(&str, &[usize])]) -> Vec<String> {
        let found = parts(name, shape, others.iter().copied());
        found.unwrap().into_iter().map(|p| p.name).collect()
    }

    #[test]
    fn gates_are_matrices_of_their_own() {
        let others: [(&str, &[usize]); 2] = [
            ("rnn.weight_hh_l0", &[32, 8]),
            ("gru.weight_hh_l1", &[24, 8]),
        ];
        assert_eq!(
            names("rnn.weight_ih_l0", &[32, 5], &others),
            ["i", "f", "g", "o"].map(|g| format!("rnn.weight_ih_l0[{g}]"))
        );
        assert_eq!(
            names("gru.weight_hh_l1", &[24, 8], &others)[2],
            "gru.weight_hh_l1[n]"
        );
        assert_eq!(
            names("rnn.weight_ih_l7", &[32, 5], &others),
            ["rnn.weight_ih_l7"]
        );
        let parts = parts("rnn.weight_ih_l0", &[32, 5], others).unwrap();
        let values: Vec<f64> = (0..160).map(f64::from).collect();
        let cuts = parts[1].cut(&[32, 5], &values).unwrap();
        assert_eq!((cuts.primary.rows(), cuts.primary.values()[0]), (8, 40.0));
    }

    #[test]
    fn fused_projections_are_split() {
        assert_eq!(
            names("a.in_proj_weight", &[12, 4], &[])[1],
            "a.in_proj_weight[k]"
        );
        let parts = parts("h.c_attn.weight", &[2, 6], []).unwrap();
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        let value = parts[2].cut(&[2, 6], &values).unwrap();
        assert_eq!(value.primary.values(), [4.0, 5.0, 10.0, 11.0]);
        // Grouped queries: 8 rows of queries, 2 rows of keys and 2 rows of values.
        let shapes: Vec<_> = super::parts("x.qkv_proj.weight", &[12, 8], [])
            .unwrap()
            .into_iter()
            .map(|p| p.shape[0])
            .collect();
        assert_eq!(shapes, [8, 2, 2]);
        assert_eq!(names("x.qkv_proj.weight", &[8, 8], &[]).len(), 1);
        // This matrix has more than three times as many rows as columns, so it is no fused
        // projection.
        assert_eq!(names("attn.qkv.weight", &[192, 32], &[]).len(), 1);
        assert_eq!(names("x.out_proj.weight", &[12, 4], &[]).len(), 1);
    }

    #[test]
    fn heads_are_rows_of_projections() {
        let of = |name: &str, shape: &[usize], count| heads(parts(name, shape, []).unwrap(), count);
        let fused = of("x.qkv_proj.weight", &[12, 8], 4);
        // Four heads of queries, one head of keys and one head of values.
        assert_eq!(fused.len(), 4 + 2);
        assert_eq!(fused[3].name, "x.qkv_proj.weight[q][head 3]");
        let values: Vec<f64> = (0..96).map(f64::from).collect();
        assert_eq!(
            fused[3].cut(&[12, 8], &values).unwrap().primary.values()[0],
            48.0
        );
        assert_eq!(of("a.query.weight", &[8, 8], 2).len(), 2);
        assert_eq!(of("a.dense.weight", &[8, 8], 2).len(), 1);
        assert_eq!(of("a.query.weight", &[8, 8], 3).len(), 1);
    }

    #[test]
    fn stacks_and_kernels_are_told_apart() {
        assert_eq!(names("moe.w1", &[3, 64, 40], &[])[2], "moe.w1[2]");
        assert_eq!(names("experts.up", &[2, 64, 8], &[]).len(), 2);
        let one = |name: &str, shape: &[usize]| parts(name, shape, []).unwrap()[0].layout;
        assert_eq!(one("conv.weight", &[64, 40, 3]), Layout::Conv);
        assert_eq!(
            one("up.deconv.weight", &[64, 40, 3, 3]),
            Layout::ConvTranspose
        );
        let none = |shape: &[usize]| parts("x", shape, []).unwrap_err();
        assert_eq!(none(&[5]), SkipReason::Vector);
        assert_eq!(none(&[1, 5]), SkipReason::TooSmall);
        assert_eq!(none(&[2, 3, 64, 64]), SkipReason::UnknownLayout);
    }
}
