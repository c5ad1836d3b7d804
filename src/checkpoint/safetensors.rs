//! A reader for safetensors. A file holds a length, a JSON object of names, types, shapes and
//! ranges, and the values.
//!
//! Layout and the cases that a reader must refuse:
//! <https://github.com/huggingface/safetensors#format>.
//!
//! The crate `safetensors` has `read_metadata`. It needs the whole file in one buffer, and it
//! refuses a whole file for one tensor of an unknown type, without the tensor's name.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::contents::{Contents, Entry};
use super::dtype::Dtype;
use super::location::{Location, MAX_AXES, Storage};
use super::source::Source;
use crate::error::Result;

/// The longest header in bytes that the format allows.
const MAX_HEADER_LENGTH: u64 = 100_000_000;

/// Lists the tensors of a safetensors file in the order of their values.
pub(super) fn list(source: &Source) -> Result<Contents> {
    let b = source.bytes(0, 8)?;
    let length = u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
    if length > MAX_HEADER_LENGTH {
        return Err(source.format_error(format!(
            "byte 0: the header has {length} bytes, at most {MAX_HEADER_LENGTH} are read"
        )));
    }
    let header = source.bytes(8, length)?;
    let header: Header =
        serde_json::from_slice(&header).map_err(|e| source.format_error(format!("header: {e}")))?;
    let data = 8 + length;
    let mut tensors = header.0;
    // The order of the values is the order in which they were written.
    tensors.sort_by_key(|(_, t)| t.data_offsets);

    let mut contents = Contents::default();
    let mut end = 0;
    for (name, tensor) in tensors {
        let bad = |cause: String| source.format_error(format!("tensor `{name}`: {cause}"));
        let (from, to) = tensor.data_offsets;
        // The format allows no gaps and no overlaps.
        if from != end || to < from {
            let cause = format!("bytes {from}..{to} do not follow byte {end}");
            return Err(bad(cause));
        }
        end = to;
        let dtype = match tensor.dtype.as_str() {
            "F64" => Dtype::F64,
            "F32" => Dtype::F32,
            "F16" => Dtype::F16,
            "BF16" => Dtype::BF16,
            other => {
                contents.skip(
                    &name,
                    format!("values of type {other}, which is not supported"),
                );
                continue;
            }
        };
        let storage = Storage {
            start: data
                .checked_add(from)
                .ok_or_else(|| bad("its data offset is too large".into()))?,
            len: to - from,
            big_endian: false,
        };
        let shape = tensor.shape.0;
        let location = Location::new(source, storage, &dtype, &shape, None, 0).map_err(&bad)?;
        let used = location.range().map_or(0, |(a, b)| b - a);
        if used != to - from {
            return Err(bad(format!(
                "{shape:?} of {dtype} needs {used} bytes, not {}",
                to - from
            )));
        }
        contents.entries.push(Entry {
            name,
            dtype,
            shape,
            location,
        });
    }
    if data.checked_add(end) != Some(source.len()) {
        return Err(source.format_error(format!(
            "the header announces {end} bytes of values, the file holds {}: cut off or damaged",
            source.len() - data
        )));
    }
    Ok(contents)
}

/// The header's description of one tensor.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Shape,
    /// The first byte and the byte after the last, counted from the end of the header.
    data_offsets: (u64, u64),
}

/// The tensors in the order of the header. Each name occurs once.
struct Header(Vec<(String, Tensor)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors: Vec<(String, Tensor)> = Vec::new();
                let mut names = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("`{name}` occurs twice")));
                    }
                    tensors.push((name, map.next_value()?));
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// A shape with at most [`MAX_AXES`] axes. The limit keeps a long list of zeros from using memory.
struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Axes;
        impl<'de> Visitor<'de> for Axes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a shape of at most {MAX_AXES} axes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(side) = seq.next_element()? {
                    if shape.len() == MAX_AXES {
                        return Err(A::Error::invalid_length(shape.len() + 1, &self));
                    }
                    shape.push(side);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Axes)
    }
}
