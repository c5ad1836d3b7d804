//! A reader for burnpack, the container of burn's records. A file holds a header of ten bytes, then
//! metadata in CBOR. The values begin at the next multiple of 256 bytes.
//!
//! Layout: <https://docs.rs/burn-pack/0.22.1/burn_pack/#file-format>.

use std::collections::BTreeMap;

use ciborium::Value;
use ciborium::de::Error as CborError;
use serde::Deserialize;

use super::contents::{Contents, Entry};
use super::dtype::Dtype;
use super::location::{Location, Storage};
use super::source::Source;
use crate::error::Result;

/// `BURN` as a little-endian number.
pub(super) const MAGIC: &[u8] = b"NRUB";
const VERSION: u16 = 1;
const HEADER: u64 = 10;
const ALIGNMENT: u64 = 256;

/// The metadata of a file. Fields that are not needed are ignored.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    tensors: BTreeMap<String, Descriptor>,
}

/// What the metadata state about one tensor. A field is `None` if it is missing, so that the error
/// can name the tensor.
#[derive(Deserialize)]
struct Descriptor {
    /// The name of a type, or a map from the name to its parameters.
    dtype: Option<Value>,
    shape: Option<Vec<usize>>,
    /// The first byte of the values and the byte after the last, counted from the first value.
    data_offsets: Option<(u64, u64)>,
    /// burn's number of the parameter.
    param_id: Option<u64>,
}

impl Descriptor {
    fn dtype(&self) -> Result<Dtype, String> {
        let name = match self.dtype.as_ref().ok_or("no `dtype`")? {
            Value::Text(name) => name,
            // Booleans and quantised floats have parameters.
            Value::Map(variant) => match variant.first() {
                Some((Value::Text(name), _)) => name,
                _ => return Err("`dtype` names no type".to_owned()),
            },
            _ => return Err("`dtype` names no type".to_owned()),
        };
        Ok(match (name.as_str(), &self.dtype) {
            ("F64", Some(Value::Text(_))) => Dtype::F64,
            // `Flex32` is stored as f32. Only its arithmetic may be less precise.
            ("F32" | "Flex32", Some(Value::Text(_))) => Dtype::F32,
            ("F16", Some(Value::Text(_))) => Dtype::F16,
            ("BF16", Some(Value::Text(_))) => Dtype::BF16,
            _ => Dtype::Other(name.clone()),
        })
    }
}

/// Lists the tensors of a burnpack file in the order of their values.
pub(super) fn list(source: &Source) -> Result<Contents> {
    let head = source.bytes(0, HEADER)?;
    let version = u16::from_le_bytes([head[4], head[5]]);
    if version != VERSION {
        return Err(source.format_error(format!("byte 4: version {version} of burnpack")));
    }
    let length = u64::from(u32::from_le_bytes([head[6], head[7], head[8], head[9]]));
    let metadata = source.bytes(HEADER, length)?;
    let metadata: Metadata = ciborium::from_reader(&metadata[..])
        .map_err(|error| source.format_error(format!("metadata: {}", cause(error))))?;
    let mut tensors: Vec<(String, Descriptor)> = metadata.tensors.into_iter().collect();
    tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let data = (HEADER + length).next_multiple_of(ALIGNMENT);

    let mut contents = Contents::default();
    for (name, tensor) in tensors {
        let bad = |cause: String| source.format_error(format!("tensor `{name}`: {cause}"));
        let dtype = tensor.dtype().map_err(&bad)?;
        if is_optimizer_state(&name, tensor.param_id) {
            contents.skip(name, "state of an optimizer");
            continue;
        }
        if let Dtype::Other(dtype) = &dtype {
            let reason = format!("values of type {dtype}, which is not supported");
            contents.skip(name, reason);
            continue;
        }
        let shape = tensor.shape.ok_or_else(|| bad("no `shape`".to_owned()))?;
        let range = tensor.data_offsets;
        let (from, to) = range.ok_or_else(|| bad("no `data_offsets`".to_owned()))?;
        let storage = from
            .checked_add(data)
            .zip(to.checked_sub(from))
            .map(|(start, len)| Storage {
                start,
                len,
                big_endian: false,
            })
            .ok_or_else(|| bad(format!("bytes {from}..{to} end before they begin")))?;
        let location = Location::new(source, storage, &dtype, &shape, None, 0).map_err(&bad)?;
        let used = location.range().map_or(0, |(a, b)| b - a);
        if used != storage.len {
            let length = storage.len;
            let cause = format!("{shape:?} of {dtype} needs {used} bytes, not {length}");
            return Err(bad(cause));
        }
        contents.entries.push(Entry {
            name,
            dtype,
            shape,
            location,
        });
    }
    Ok(contents)
}

/// Why the metadata cannot be read.
fn cause(error: CborError<std::io::Error>) -> String {
    match error {
        CborError::Io(_) => "they end too early".to_owned(),
        CborError::Syntax(at) => format!("no CBOR at byte {at}"),
        CborError::Semantic(Some(at), cause) => format!("{cause}, at byte {at}"),
        CborError::Semantic(None, cause) => cause,
        CborError::RecursionLimitExceeded => "they are nested too deeply".to_owned(),
    }
}

/// Whether a tensor is the state of an optimizer. burn names such a tensor by the number of its
/// parameter (`<number>.momentum.velocity`). A module names its parameters by path.
fn is_optimizer_state(name: &str, param_id: Option<u64>) -> bool {
    let owner = name.split_once('.').map(|(owner, _)| owner);
    let owner = owner.and_then(|owner| owner.parse::<u64>().ok());
    owner.is_some() && owner == param_id
}
