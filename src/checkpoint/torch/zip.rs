//! A reader for the part of the zip format that `torch.save` uses: the central directory and
//! uncompressed entries.
//!
//! Layout: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3.

use std::collections::HashMap;

use crate::checkpoint::source::Source;
use crate::error::Result;

/// The signature of a local header.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
/// The length in bytes of the end record without its comment.
const END_LEN: usize = 22;
/// The length in bytes of the end record with the longest comment.
const MAX_END_LEN: u64 = 22 + 0xffff;
const LOCATOR_LEN: usize = 20;

/// The entries of an archive by name.
#[derive(Debug)]
pub(super) struct Zip {
    entries: HashMap<String, Entry>,
    /// The name of the `data.pkl` with the fewest folders above it.
    pickle: Option<String>,
}

/// What the central directory states about an entry.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The compression method. 0 means uncompressed.
    method: u16,
    /// The byte of the local header.
    header: u64,
    /// The length of the content in bytes.
    len: u64,
}

/// The little-endian number at `at`, or 0 beyond the end of the slice.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// The first byte of the central directory and its length.
fn directory(source: &Source) -> Result<(u64, u64)> {
    let tail_len = source.len().min(MAX_END_LEN);
    let tail = source.bytes(source.len() - tail_len, tail_len)?;
    let end = (0..=tail.len().saturating_sub(END_LEN))
        .rev()
        .find(|&at| tail[at..].starts_with(END))
        .ok_or_else(|| source.format_error("a zip without its end record: cut off or damaged"))?;
    let record = &tail[end..];
    let (len, start) = (u32_at(record, 12), u32_at(record, 16));
    let locator = end.checked_sub(LOCATOR_LEN).map(|at| &tail[at..end]);
    let Some(locator) = locator.filter(|l| l.starts_with(LOCATOR_64)) else {
        return Ok((u64::from(start), u64::from(len)));
    };
    let at = u64_at(locator, 8);
    let record = source.bytes(at, 56)?;
    if !record.starts_with(END_64) {
        return Err(source.format_error(format!("byte {at}: no end record of a 64-bit zip")));
    }
    Ok((u64_at(&record, 48), u64_at(&record, 40)))
}

impl Zip {
    pub(super) fn open(source: &Source) -> Result<Self> {
        let (start, len) = directory(source)?;
        let bytes = source.bytes(start, len)?;
        let mut rest = bytes.as_slice();
        let mut zip = Self {
            entries: HashMap::new(),
            pickle: None,
        };
        while rest.starts_with(CENTRAL) {
            let sizes = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
            let [name_len, extra_len, comment_len] = sizes;
            let end = 46 + name_len + extra_len + comment_len;
            if end > rest.len() {
                return Err(source.format_error("an entry of the zip's directory is cut off"));
            }
            let name = String::from_utf8_lossy(&rest[46..46 + name_len]).into_owned();
            let extra = &rest[46 + name_len..46 + name_len + extra_len];
            let mut entry = Entry {
                method: u16_at(rest, 10),
                header: u64::from(u32_at(rest, 42)),
                len: u64::from(u32_at(rest, 24)),
            };
            read_zip64_fields(&mut entry, u32_at(rest, 20), extra);
            let is_pickle = name == "data.pkl" || name.ends_with("/data.pkl");
            if is_pickle && is_closer_to_root(&zip.pickle, &name) {
                zip.pickle = Some(name.clone());
            }
            zip.entries.insert(name, entry);
            rest = &rest[end..];
        }
        Ok(zip)
    }

    /// The folder in the archive that holds `data.pkl`, with its final slash.
    pub(super) fn folder(&self) -> Option<&str> {
        self.pickle.as_deref()?.strip_suffix("data.pkl")
    }

    /// The first byte of an entry's content and its length. `None` if there is no such entry.
    pub(super) fn locate(&self, source: &Source, name: &str) -> Result<Option<(u64, u64)>> {
        let Some(&entry) = self.entries.get(name) else {
            return Ok(None);
        };
        if entry.method != 0 {
            let cause = "is compressed, which is not supported";
            return Err(source.format_error(format!("entry `{name}` {cause}")));
        }
        let header = source.bytes(entry.header, 30)?;
        if !header.starts_with(MAGIC) {
            return Err(source.format_error(format!("byte {}: no entry of a zip", entry.header)));
        }
        let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let start = entry.header + 30 + names;
        if start
            .checked_add(entry.len)
            .is_none_or(|end| end > source.len())
        {
            let cause = "lies beyond the end of the file: cut off or damaged";
            return Err(source.format_error(format!("entry `{name}` {cause}")));
        }
        Ok(Some((start, entry.len)))
    }
}

/// Whether a `data.pkl` has fewer folders above it than the one found before. A model may contain
/// another `data.pkl`.
fn is_closer_to_root(known: &Option<String>, name: &str) -> bool {
    let depth = |name: &str| name.matches('/').count();
    known
        .as_deref()
        .is_none_or(|known| depth(name) < depth(known))
}

/// Reads the 64-bit values of an entry. A field of 32 bits with all bits set has its value in an
/// extra field. The extra field holds the values in this order: length, packed length, header.
fn read_zip64_fields(entry: &mut Entry, packed_len: u32, mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (id, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(mut field) = extra.get(4..4 + len) else {
            return;
        };
        extra = &extra[4 + len..];
        if id != 1 {
            continue;
        }
        let mut next = |is_full: bool| {
            let value = (is_full && field.len() >= 8).then(|| u64_at(field, 0))?;
            field = &field[8..];
            Some(value)
        };
        let full = u64::from(u32::MAX);
        if let Some(len) = next(entry.len == full) {
            entry.len = len;
        }
        next(packed_len == u32::MAX);
        if let Some(header) = next(entry.header == full) {
            entry.header = header;
        }
        return;
    }
}
