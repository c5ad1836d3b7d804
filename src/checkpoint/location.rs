//! Where a tensor's values lie in a file, and how to read them.

use std::path::Path;
use std::sync::Arc;

use super::dtype::Dtype;
use super::source::{self, Source};
use crate::error::Result;

/// Read this much at a time.
const CHUNK: usize = 1 << 20;
/// More axes than any framework has.
pub(super) const MAX_AXES: usize = 32;
/// A tensor may have more values than its file stores (an axis of stride 0), but no more than this.
const MAX_REPEATED: u64 = 1 << 24;

/// Where in a file values lie: all values of one storage, of which a tensor takes some.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    /// Byte of the file at which it starts.
    pub(super) start: u64,
    /// Its length in bytes.
    pub(super) len: u64,
    pub(super) big_endian: bool,
}

/// The place of one tensor, checked against the file.
#[derive(Debug)]
pub(super) struct Location {
    file: Arc<Path>,
    /// Byte of the first value.
    start: u64,
    /// Values from the first to the last, with those between that are not the tensor's.
    span: u64,
    values: u64,
    size: u64,
    /// In values; none if the tensor lies as it should.
    strides: Option<Vec<u64>>,
    big_endian: bool,
}

/// The row-major strides of a shape, and its number of values.
fn row_major(shape: &[usize]) -> Option<(Vec<u64>, u64)> {
    let mut strides = vec![0; shape.len()];
    let mut values = 1u64;
    for (stride, &side) in strides.iter_mut().zip(shape).rev() {
        *stride = values;
        // A later side of 0 must not hide an overflow of the others.
        values = values.checked_mul(u64::try_from(side).ok()?)?;
    }
    Some((strides, values))
}

impl Location {
    /// The place of a tensor in a storage, `offset` values after its start.
    ///
    /// # Errors
    ///
    /// The cause, if the tensor is not within the storage or the storage not within the file.
    pub(super) fn new(
        source: &Source,
        storage: Storage,
        dtype: &Dtype,
        shape: &[usize],
        strides: Option<Vec<u64>>,
        offset: u64,
    ) -> Result<Self, String> {
        let size = dtype.size().ok_or("its type is not read")?;
        if shape.len() > MAX_AXES {
            return Err(format!("{} axes", shape.len()));
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
                // The stride of an axis of one value is never used.
                let pairs = strides.iter().zip(&plain).zip(shape);
                let as_it_should =
                    values == 0 || pairs.clone().all(|((a, b), &n)| n == 1 || a == b);
                (!as_it_should).then_some(strides)
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

    /// The bytes from the first to the last value; none for a tensor without values.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        (self.span > 0).then(|| (self.start, self.start + self.span * self.size))
    }

    pub(super) fn read(&self, name: &str, shape: &[usize], dtype: &Dtype) -> Result<Vec<f64>> {
        let bad = |cause: String| source::bad(&self.file, &format!("tensor `{name}`: {cause}"));
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
            // Within the span, which was read whole.
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

struct Decode<'a> {
    dtype: &'a Dtype,
    big_endian: bool,
}

impl Decode<'_> {
    fn append(&self, bytes: &[u8], out: &mut Vec<f64>) {
        match self.dtype {
            Dtype::F64 => self.each(bytes, out, |b| f64::from_bits(u64::from_le_bytes(b))),
            Dtype::F32 => self.each(bytes, out, |b| {
                f64::from(f32::from_bits(u32::from_le_bytes(b)))
            }),
            Dtype::F16 => self.each(bytes, out, |b| half(u16::from_le_bytes(b))),
            Dtype::BF16 => self.each(bytes, out, |b| {
                f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
            }),
            // `Location::new` refuses it.
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

/// An IEEE 754 binary16 number.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    match i32::from(bits >> 10 & 0x1f) {
        0 => sign * fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        exponent => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_numbers_are_exact() {
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
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
