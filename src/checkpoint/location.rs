//! The location of a tensor's values in a file, and the reader for these values.

use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};

use super::dtype::Dtype;
use super::source::{self, Source};
use crate::error::Result;

/// The number of bytes that are read at a time.
const CHUNK: usize = 1 << 20;
/// The largest number of axes of a tensor. No framework has more.
pub(super) const MAX_AXES: usize = 32;
/// A tensor may have more values than its file stores (an axis of stride 0). This is the largest
/// number of values of such a tensor.
const MAX_REPEATED: u64 = 1 << 24;

/// The bytes of one storage in a file. A tensor takes some or all of its values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    /// The first byte of the storage in the file.
    pub(super) start: u64,
    /// The length of the storage in bytes.
    pub(super) len: u64,
    pub(super) big_endian: bool,
}

/// The location of one tensor's values, checked against the length of the file.
#[derive(Debug)]
pub(super) struct Location {
    file: Arc<Path>,
    /// The byte of the first value.
    start: u64,
    /// The number of values from the tensor's first to its last. It includes the values between
    /// them that the tensor does not use.
    span: u64,
    /// The number of values of the tensor.
    values: u64,
    /// The size of one value in bytes.
    size: u64,
    /// The strides in values. `None` for a tensor whose values lie in row-major order without gaps.
    strides: Option<Vec<u64>>,
    big_endian: bool,
}

/// The row-major strides of a shape and its number of values. `None` if the number overflows.
fn row_major(shape: &[usize]) -> Option<(Vec<u64>, u64)> {
    let mut strides = vec![0; shape.len()];
    let mut values = 1u64;
    for (stride, &side) in strides.iter_mut().zip(shape).rev() {
        *stride = values;
        // A later side of 0 must not hide an overflow of the earlier sides.
        values = values.checked_mul(u64::try_from(side).ok()?)?;
    }
    Some((strides, values))
}

impl Location {
    /// The location of a tensor in a storage. `offset` is the number of values before its first
    /// value.
    ///
    /// # Errors
    ///
    /// Returns the cause if the tensor is not within the storage, or the storage not within the
    /// file.
    pub(super) fn new(
        source: &Source,
        storage: Storage,
        dtype: &Dtype,
        shape: &[usize],
        strides: Option<Vec<u64>>,
        offset: u64,
    ) -> Result<Self, String> {
        let size = dtype.size().ok_or("its type is not supported")?;
        if shape.len() > MAX_AXES {
            return Err(format!("{} axes, at most {MAX_AXES} are read", shape.len()));
        }
        let within = storage.start.checked_add(storage.len);
        if within.is_none_or(|end| end > source.len()) {
            return Err(format!(
                "its {} bytes at byte {} lie beyond the end of the file, {}: cut off or damaged",
                storage.len,
                storage.start,
                source.len()
            ));
        }
        let overflow = || format!("shape {shape:?} is too large");
        let (plain, values) = row_major(shape).ok_or_else(overflow)?;
        let strides = match strides {
            Some(strides) if strides.len() != shape.len() => {
                return Err(format!("{} strides for {shape:?}", strides.len()));
            }
            Some(strides) => {
                // The stride of an axis with one value is never used.
                let pairs = strides.iter().zip(&plain).zip(shape);
                let is_row_major =
                    values == 0 || pairs.clone().all(|((a, b), &n)| n == 1 || a == b);
                (!is_row_major).then_some(strides)
            }
            None => None,
        };
        let span = match &strides {
            _ if values == 0 => 0,
            None => values,
            Some(strides) => strides
                .iter()
                .zip(shape)
                .try_fold(1u64, |last, (&stride, &side)| {
                    last.checked_add(stride.checked_mul(side as u64 - 1)?)
                })
                .ok_or_else(overflow)?,
        };
        let stored = storage.len / size;
        let end = if values == 0 {
            Some(0)
        } else {
            offset.checked_add(span)
        };
        if end.is_none_or(|end| end > stored) {
            return Err(format!(
                "shape {shape:?} at value {offset} does not fit the {stored} values stored"
            ));
        }
        if values > stored.max(MAX_REPEATED) {
            return Err(format!("shape {shape:?} repeats {stored} values too often"));
        }
        let offset = if values == 0 { 0 } else { offset };
        Ok(Self {
            file: source.shared_path(),
            start: storage.start + offset * size,
            span,
            values,
            size,
            strides,
            big_endian: storage.big_endian,
        })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The first byte and the byte after the last value. `None` for a tensor without values.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        (self.span > 0).then(|| (self.start, self.start + self.span * self.size))
    }

    /// Reads the values in row-major order.
    pub(super) fn read(&self, name: &str, shape: &[usize], dtype: &Dtype) -> Result<Vec<f64>> {
        let bad =
            |cause: String| source::format_error(&self.file, &format!("tensor `{name}`: {cause}"));
        let source = Source::open(&self.file)?;
        let length = self.span * self.size;
        if self.start + length > source.len() {
            return Err(bad("the file has become shorter".to_owned()));
        }
        let wanted = usize::try_from(self.values).map_err(|e| bad(e.to_string()))?;
        let mut out = Vec::new();
        out.try_reserve_exact(wanted)
            .map_err(|e| bad(e.to_string()))?;
        let decode = Decode {
            dtype,
            big_endian: self.big_endian,
        };
        let Some(strides) = &self.strides else {
            let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK))];
            let mut at = self.start;
            let end = self.start + length;
            while at < end {
                let left = usize::try_from(end - at).unwrap_or(CHUNK);
                let buffer = &mut buffer[..CHUNK.min(left)];
                source.read_into(at, buffer)?;
                decode.append(buffer, &mut out);
                at += buffer.len() as u64;
            }
            return Ok(out);
        };
        if self.values == 0 {
            return Ok(out);
        }
        let bytes = source.bytes(self.start, length)?;
        let mut index = vec![0usize; shape.len()];
        let mut at = 0u64;
        for _ in 0..wanted {
            // `first` lies within `bytes`, because `bytes` holds the whole span.
            let first = (at * self.size) as usize;
            decode.append(&bytes[first..first + self.size as usize], &mut out);
            for ((i, &side), &stride) in index.iter_mut().zip(shape).zip(strides).rev() {
                *i += 1;
                if *i < side {
                    at += stride;
                    break;
                }
                *i = 0;
                at -= stride * (side as u64 - 1);
            }
        }
        Ok(out)
    }
}

/// Converts stored values to `f64`.
struct Decode<'a> {
    dtype: &'a Dtype,
    big_endian: bool,
}

impl Decode<'_> {
    /// Appends the values of `bytes`, which holds a whole number of values.
    fn append(&self, bytes: &[u8], out: &mut Vec<f64>) {
        match self.dtype {
            Dtype::F64 => self.each(bytes, out, f64::from_le_bytes),
            Dtype::F32 => self.each(bytes, out, |b| f64::from(f32::from_le_bytes(b))),
            Dtype::F16 => self.each(bytes, out, |b| f16::from_le_bytes(b).to_f64()),
            Dtype::BF16 => self.each(bytes, out, |b| bf16::from_le_bytes(b).to_f64()),
            // `Location::new` refuses such a type.
            Dtype::Other(_) => {}
        }
    }

    fn each<const N: usize>(
        &self,
        bytes: &[u8],
        out: &mut Vec<f64>,
        value: impl Fn([u8; N]) -> f64,
    ) {
        let chunks = bytes.as_chunks::<N>().0.iter();
        if self.big_endian {
            out.extend(chunks.map(|&chunk| {
                let mut chunk = chunk;
                chunk.reverse();
                value(chunk)
            }));
        } else {
            out.extend(chunks.map(|&chunk| value(chunk)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_floats_are_exact_in_both_byte_orders() {
        let decode = |dtype: &Dtype, bits: u16| {
            let mut out = Vec::new();
            for (big_endian, bytes) in [(false, bits.to_le_bytes()), (true, bits.to_be_bytes())] {
                Decode { dtype, big_endian }.append(&bytes, &mut out);
            }
            assert_eq!(out[0].to_bits(), out[1].to_bits());
            out[0]
        };
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960464477539063e-8),
            (0x03ff, 6.097555160522461e-5),
            (0x0400, 6.103515625e-5),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(decode(&Dtype::F16, bits), value, "{bits:#x}");
        }
        assert!(decode(&Dtype::F16, 0x7e00).is_nan());
        assert_eq!(decode(&Dtype::BF16, 0x3f80), 1.0);
        assert_eq!(decode(&Dtype::BF16, 0xc040), -3.0);
    }
}
