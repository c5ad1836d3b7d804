//! A reader for burnpack, the container of burn's records. A file holds a header of ten bytes, then
//! metadata in CBOR. The values begin at the next multiple of 256 bytes.
//!
//! Layout: <https://docs.rs/burn-pack/0.22.1/burn_pack/#file-format>.

mod cbor;

use self::cbor::Cbor;
use crate::checkpoint::contents::{Contents, Entry};
use crate::checkpoint::dtype::Dtype;
use crate::checkpoint::location::{Location, MAX_AXES, Storage};
use crate::checkpoint::source::Source;
use crate::error::Result;

/// `BURN` as a little-endian number.
pub(super) const MAGIC: &[u8] = b"NRUB";
const VERSION: u16 = 1;
const HEADER: u64 = 10;
const ALIGNMENT: u64 = 256;

/// What the metadata state about one tensor.
struct Descriptor<'a> {
    name: &'a str,
    dtype: Dtype,
    shape: Vec<usize>,
    /// The first byte of the values and the byte after the last, counted from the first value.
    range: (u64, u64),
    /// burn's number of the parameter. `None` if the file gives none.
    param_id: Option<u64>,
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
    let mut tensors = parse(&metadata).map_err(|cause| source.format_error(cause))?;
    tensors.sort_by_key(|t| t.range);
    let data = (HEADER + length).next_multiple_of(ALIGNMENT);

    let mut contents = Contents::default();
    for tensor in tensors {
        let bad = |cause: String| source.format_error(format!("tensor `{}`: {cause}", tensor.name));
        if is_optimizer_state(&tensor) {
            contents.skip(tensor.name, "state of an optimizer");
            continue;
        }
        if let Dtype::Other(dtype) = &tensor.dtype {
            contents.skip(
                tensor.name,
                format!("values of type {dtype}, which is not supported"),
            );
            continue;
        }
        let (from, to) = tensor.range;
        let storage = from
            .checked_add(data)
            .zip(to.checked_sub(from))
            .map(|(start, len)| Storage {
                start,
                len,
                big_endian: false,
            })
            .ok_or_else(|| bad(format!("bytes {from}..{to} end before they begin")))?;
        let location = Location::new(source, storage, &tensor.dtype, &tensor.shape, None, 0);
        let location = location.map_err(&bad)?;
        let used = location.range().map_or(0, |(a, b)| b - a);
        if used != storage.len {
            let (shape, dtype) = (&tensor.shape, &tensor.dtype);
            let cause = format!(
                "{shape:?} of {dtype} needs {used} bytes, not {}",
                storage.len
            );
            return Err(bad(cause));
        }
        contents.entries.push(Entry {
            name: tensor.name.to_owned(),
            dtype: tensor.dtype,
            shape: tensor.shape,
            location,
        });
    }
    Ok(contents)
}

/// Whether a tensor is the state of an optimizer. burn names such a tensor by the number of its
/// parameter (`<number>.momentum.velocity`). A module names its parameters by path.
fn is_optimizer_state(tensor: &Descriptor) -> bool {
    let owner = tensor.name.split_once('.').map(|(owner, _)| owner);
    let owner = owner.and_then(|owner| owner.parse::<u64>().ok());
    owner.is_some() && owner == tensor.param_id
}

/// Reads the descriptors of all tensors from the metadata.
fn parse(metadata: &[u8]) -> Result<Vec<Descriptor<'_>>, String> {
    let mut cbor = Cbor::new(metadata);
    let mut tensors = Vec::new();
    for _ in 0..cbor.map()? {
        if cbor.text()? != "tensors" {
            cbor.skip()?;
            continue;
        }
        for _ in 0..cbor.map()? {
            let name = cbor.text()?;
            let tensor = descriptor(&mut cbor, name);
            tensors.push(tensor.map_err(|cause| format!("tensor `{name}`: {cause}"))?);
        }
    }
    Ok(tensors)
}

/// Reads the descriptor of the tensor `name`.
fn descriptor<'a>(cbor: &mut Cbor<'a>, name: &'a str) -> Result<Descriptor<'a>, String> {
    let (mut dtype, mut shape, mut range, mut param_id) = (None, None, None, None);
    for _ in 0..cbor.map()? {
        match cbor.text()? {
            "dtype" if cbor.is_text() => {
                dtype = Some(match cbor.text()? {
                    "F64" => Dtype::F64,
                    // `Flex32` is stored as f32. Only its arithmetic may be less precise.
                    "F32" | "Flex32" => Dtype::F32,
                    "F16" => Dtype::F16,
                    "BF16" => Dtype::BF16,
                    other => Dtype::Other(other.to_owned()),
                });
            }
            // A type with parameters is a map: booleans and quantised floats.
            "dtype" => {
                cbor.map()?;
                dtype = Some(Dtype::Other(cbor.text()?.to_owned()));
                cbor.skip()?;
            }
            "shape" => {
                let axes = cbor.array()?;
                if axes > MAX_AXES as u64 {
                    return Err(format!("{axes} axes"));
                }
                let sides = (0..axes).map(|_| {
                    let side = cbor.unsigned()?;
                    usize::try_from(side).map_err(|e| e.to_string())
                });
                shape = Some(sides.collect::<Result<_, _>>()?);
            }
            "data_offsets" => {
                if cbor.array()? != 2 {
                    return Err("`data_offsets` must hold two numbers".to_owned());
                }
                range = Some((cbor.unsigned()?, cbor.unsigned()?));
            }
            "param_id" if !cbor.is_null() => param_id = Some(cbor.unsigned()?),
            _ => cbor.skip()?,
        }
    }
    Ok(Descriptor {
        name,
        dtype: dtype.ok_or("no `dtype`")?,
        shape: shape.ok_or("no `shape`")?,
        range: range.ok_or("no `data_offsets`")?,
        param_id,
    })
}
