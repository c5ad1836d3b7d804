//! Recognises the format of one file and lists the tensors in it.

use super::contents::Contents;
use super::source::Source;
use super::{burnpack, npy, safetensors, torch};
use crate::error::Result;

/// The format of a file, recognised by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    /// The zip that `torch.save` writes since PyTorch 1.6.
    Zip,
    /// The stream of pickles that `torch.save` wrote before PyTorch 1.6.
    Legacy,
    Burnpack,
    Npy,
    /// A JSON object: an index of shards, or settings.
    Json,
}

/// Recognises a file by its first 32 bytes. `None` if it has none of the known formats.
pub(super) fn recognise(source: &Source) -> Result<Option<Format>> {
    let head = source.bytes(0, source.len().min(32))?;
    Ok(if head.starts_with(burnpack::MAGIC) {
        Some(Format::Burnpack)
    } else if head.starts_with(npy::MAGIC) {
        Some(Format::Npy)
    } else if torch::is_zip(&head) {
        Some(Format::Zip)
    } else if torch::is_legacy(&head) {
        Some(Format::Legacy)
    } else if head.get(8) == Some(&b'{') && head.get(6..8) == Some(&[0, 0]) {
        // The first eight bytes are the header's length, below 2⁴⁸. Text has no zero bytes in their
        // place.
        Some(Format::Safetensors)
    } else if head.trim_ascii_start().first() == Some(&b'{') {
        Some(Format::Json)
    } else {
        None
    })
}

/// Lists the tensors of one file that is not an index. A shard keeps the prefix `module.` of its
/// names, because its index lists the full names.
pub(super) fn list(source: &Source, is_shard: bool) -> Result<Contents> {
    match recognise(source)? {
        Some(Format::Safetensors) => safetensors::list(source),
        Some(Format::Zip) => torch::list_zip(source, is_shard),
        Some(Format::Legacy) => torch::list_legacy(source, is_shard),
        Some(Format::Burnpack) => burnpack::list(source),
        Some(Format::Npy) => npy::list(source),
        Some(Format::Json) => {
            Err(source.format_error("expected a shard, found an index of shards"))
        }
        None => Err(source.format_error(
            "not a weight file of a supported format (safetensors, PyTorch, burnpack, NumPy)",
        )),
    }
}
