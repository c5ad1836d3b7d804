//! Readers for PyTorch's two containers: the zip that `torch.save` writes since version 1.6, and
//! the stream of pickles that it wrote before.
//!
//! Layouts: `torch/serialization.py` of PyTorch, `_save` and `_legacy_save`.

mod pickle;
mod state_dict;
mod zip;

use std::collections::HashMap;

use self::pickle::{Id, NONE, Value, Values};
use self::state_dict::StateDict;
use self::zip::Zip;
use crate::checkpoint::contents::{Contents, Entry};
use crate::checkpoint::dtype::Dtype;
use crate::checkpoint::location::{Location, MAX_AXES, Storage};
use crate::checkpoint::source::{Source, Stream};
use crate::error::Result;

/// The bytes of the integer at the start of the stream, 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: &[u8] = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// The longest name in bytes of the zip's folder. The name is copied for each tensor.
const MAX_FOLDER_LENGTH: usize = 1 << 10;

/// The type of a storage's values and the size of one value in bytes. The size is `None` for an
/// unknown type.
fn kind(name: &str) -> (Dtype, Option<u64>) {
    let name = name.rsplit('.').next().unwrap_or(name);
    // A pickle may give any text here, of any length.
    let other = |size| (Dtype::Other(format!("{name:.64}")), size);
    match name {
        "DoubleStorage" | "float64" => (Dtype::F64, Some(8)),
        "FloatStorage" | "float32" => (Dtype::F32, Some(4)),
        "HalfStorage" | "float16" => (Dtype::F16, Some(2)),
        "BFloat16Storage" | "bfloat16" => (Dtype::BF16, Some(2)),
        "ComplexDoubleStorage" => other(Some(16)),
        "LongStorage" | "ComplexFloatStorage" => other(Some(8)),
        "IntStorage" | "QInt32Storage" => other(Some(4)),
        "ShortStorage" => other(Some(2)),
        "CharStorage" | "ByteStorage" | "BoolStorage" | "QInt8Storage" | "QUInt8Storage"
        | "QUInt4x2Storage" | "QUInt2x4Storage" | "UntypedStorage" => other(Some(1)),
        _ => other(None),
    }
}

/// Whether a file with these first bytes is a zip.
pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(zip::MAGIC)
}

/// Whether a file with these first bytes is a stream of pickles from before PyTorch 1.6.
pub(super) fn is_legacy(head: &[u8]) -> bool {
    head.first() == Some(&pickle::PROTO) && head.windows(10).any(|w| w == LEGACY_MAGIC)
}

/// Lists the tensors of a zip that `torch.save` wrote.
pub(super) fn list_zip(source: &Source, is_shard: bool) -> Result<Contents> {
    let zip = Zip::open(source)?;
    let Some(folder) = zip.folder().filter(|f| f.len() <= MAX_FOLDER_LENGTH) else {
        return Err(source.format_error("a zip without `data.pkl`: not made by torch.save"));
    };
    let entry = |name: &str| zip.locate(source, &format!("{folder}{name}"));
    let Some((start, len)) = entry("data.pkl")? else {
        return Err(source.format_error("the zip has no `data.pkl`"));
    };
    let values = pickle::parse(&mut source.stream(start, len)?)?;
    let big_endian = match entry("byteorder")? {
        Some((start, len)) => source.bytes(start, len.min(3))? == b"big",
        None => false,
    };
    list(source, &values, is_shard, |key| {
        let location = entry(&format!("data/{key}"))?;
        Ok(location.map(|(start, len)| Storage {
            start,
            len,
            big_endian,
        }))
    })
}

/// Lists the tensors of a stream of pickles from before PyTorch 1.6.
pub(super) fn list_legacy(source: &Source, is_shard: bool) -> Result<Contents> {
    let mut stream = source.stream(0, source.len())?;
    // The magic number. The protocol and the description of the machine follow.
    pickle::parse(&mut stream)?;
    let protocol = pickle::parse(&mut stream)?;
    if protocol.int(protocol.root) != Some(1001) {
        return Err(stream.format_error("a stream of pickles of unknown protocol"));
    }
    pickle::parse(&mut stream)?;
    let values = pickle::parse(&mut stream)?;
    let storages = legacy_storages(&mut stream, &values)?;
    list(source, &values, is_shard, |key| {
        Ok(storages.get(key).copied())
    })
}

/// Reads the storages after the pickles: the list of their keys, then each storage with its number
/// of values.
fn legacy_storages(stream: &mut Stream<'_>, values: &Values) -> Result<HashMap<String, Storage>> {
    // The size of a storage depends on its type, and only the pickle states the type.
    let mut sizes = HashMap::new();
    for value in values.iter() {
        if let &Value::Storage {
            kind: name, key, ..
        } = value
            && let (Some(name), Some(key)) = (values.text(name), values.text(key))
            && let (_, Some(size)) = kind(name)
        {
            sizes.insert(key, size);
        }
    }
    let keys = pickle::parse(stream)?;
    let mut storages = HashMap::new();
    for &key in keys.items(keys.root).unwrap_or_default() {
        let key = keys.text(key).unwrap_or_default();
        let count = u64::from_le_bytes(stream.array()?);
        let Some(len) = sizes.get(key).and_then(|size| count.checked_mul(*size)) else {
            return Err(stream.format_error(format!("storage `{key}` has no known size")));
        };
        let start = stream.at();
        stream.skip(len)?;
        let storage = Storage {
            start,
            len,
            // The writer swaps the bytes on big-endian machines.
            big_endian: false,
        };
        storages.insert(key.to_owned(), storage);
    }
    Ok(storages)
}

/// Lists the tensors of a pickle, each with its location.
fn list(
    source: &Source,
    values: &Values,
    is_shard: bool,
    storage_of: impl Fn(&str) -> Result<Option<Storage>>,
) -> Result<Contents> {
    let state = StateDict::find(values).map_err(|cause| source.format_error(cause))?;
    let mut contents = Contents {
        entries: Vec::new(),
        skipped: state.skipped,
        missing: Vec::new(),
    };
    for (name, id) in state.tensors {
        let bad = |cause: String| source.format_error(format!("tensor `{name}`: {cause}"));
        let Tensor {
            dtype,
            key,
            offset,
            shape,
            strides,
        } = describe(values, id).map_err(&bad)?;
        if let Dtype::Other(dtype) = dtype {
            contents.skip(
                name,
                format!("values of type {dtype}, which is not supported"),
            );
            continue;
        }
        let storage = storage_of(key)?;
        let storage = storage.ok_or_else(|| bad(format!("its storage `{key}` is missing")))?;
        let location = Location::new(source, storage, &dtype, &shape, Some(strides), offset);
        let location = location.map_err(&bad)?;
        contents.entries.push(Entry {
            name,
            dtype,
            shape,
            location,
        });
    }
    if !is_shard {
        contents.strip_module();
    }
    Ok(contents)
}

/// The description of a tensor in a pickle.
struct Tensor<'a> {
    dtype: Dtype,
    /// The name of the storage.
    key: &'a str,
    /// The position of the first value in the storage, in values.
    offset: u64,
    shape: Vec<usize>,
    /// The strides in values.
    strides: Vec<u64>,
}

fn describe(values: &Values, id: Id) -> Result<Tensor<'_>, String> {
    let &Value::Tensor {
        storage,
        offset,
        size,
        stride,
        dtype,
    } = values.get(id)
    else {
        return Err("not a tensor".to_owned());
    };
    let &Value::Storage {
        kind: name,
        key,
        view,
    } = values.get(storage)
    else {
        return Err("it has no storage".to_owned());
    };
    let name = if dtype == NONE { name } else { dtype };
    let (dtype, _) = kind(values.text(name).unwrap_or("unknown"));
    let non_negative = |id: Id, what: &str| {
        let int = values.int(id).and_then(|int| u64::try_from(int).ok());
        int.ok_or_else(|| format!("its {what} is not a non-negative integer"))
    };
    let all = |id: Id, what: &str| {
        let items = values.items(id).unwrap_or_default();
        if items.len() > MAX_AXES {
            return Err(format!("{} axes, at most {MAX_AXES} are read", items.len()));
        }
        items
            .iter()
            .map(|&item| non_negative(item, what))
            .collect::<Result<Vec<_>, _>>()
    };
    let mut offset = non_negative(offset, "offset")?;
    // An old file may describe a storage as a part of another one.
    if let Some(&[_, first, _]) = values.items(view) {
        let first = non_negative(first, "view")?;
        offset = offset.checked_add(first).ok_or("its offset is too large")?;
    }
    let shape = all(size, "size")?;
    let sides = shape.into_iter().map(usize::try_from);
    Ok(Tensor {
        dtype,
        key: values.text(key).ok_or("its storage has no name")?,
        offset,
        shape: sides.collect::<Result<_, _>>().map_err(|e| e.to_string())?,
        strides: all(stride, "stride")?,
    })
}
