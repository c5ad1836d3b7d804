//! As much of zip as `torch.save` writes: the central directory and entries that are stored as
//! they are.
//!
//! Layout: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3.

use std::collections::HashMap;

use crate::checkpoint::source::Source;
use crate::error::Result;

/// A local header.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
/// The end record without its comment, and with the longest comment.
const END_LEN: usize = 22;
const END_LONGEST: u64 = 22 + 0xffff;
const LOCATOR_LEN: usize = 20;

/// The entries of an archive by name.
#[derive(Debug)]
pub(super) struct Zip {
    entries: HashMap<String, Entry>,
    /// The name of the first entry that ends in `data.pkl`.
    pickle: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    method: u16,
    header: u64,
    len: u64,
}

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

/// Where the central directory lies, and its length.
fn directory(source: &Source) -> Result<(u64, u64)> {
    let tail_len = source.len().min(END_LONGEST);
    let tail = source.bytes(source.len() - tail_len, tail_len)?;
    let end = (0..=tail.len().saturating_sub(END_LEN))
        .rev()
        .find(|&at| tail[at..].starts_with(END))
        .ok_or_else(|| source.bad("a zip without its end record: cut off or damaged"))?;
    let record = &tail[end..];
    let (len, start) = (u32_at(record, 12), u32_at(record, 16));
    let locator = end.checked_sub(LOCATOR_LEN).map(|at| &tail[at..end]);
    let Some(locator) = locator.filter(|l| l.starts_with(LOCATOR_64)) else {
        return Ok((u64::from(start), u64::from(len)));
    };
    let at = u64_at(locator, 8);
    let record = source.bytes(at, 56)?;
    if !record.starts_with(END_64) {
        return Err(source.bad(format!("byte {at}: no end record of a 64-bit zip")));
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
                return Err(source.bad("an entry of the zip's directory is cut off"));
            }
            let name = String::from_utf8_lossy(&rest[46..46 + name_len]).into_owned();
            let extra = &rest[46 + name_len..46 + name_len + extra_len];
            let mut entry = Entry {
                method: u16_at(rest, 10),
                header: u64::from(u32_at(rest, 42)),
                len: u64::from(u32_at(rest, 24)),
            };
            widen(&mut entry, u32_at(rest, 20), extra);
            let is_pickle = name == "data.pkl" || name.ends_with("/data.pkl");
            if is_pickle && is_nearer(&zip.pickle, &name) {
                zip.pickle = Some(name.clone());
            }
            zip.entries.insert(name, entry);
            rest = &rest[end..];
        }
        Ok(zip)
    }

    /// The archive's folder, with its slash, that holds `data.pkl`.
    pub(super) fn folder(&self) -> Option<&str> {
        self.pickle.as_deref()?.strip_suffix("data.pkl")
    }

    /// Where an entry's bytes lie, and their length; none if there is no such entry.
    pub(super) fn locate(&self, source: &Source, name: &str) -> Result<Option<(u64, u64)>> {
        let Some(&entry) = self.entries.get(name) else {
            return Ok(None);
        };
        if entry.method != 0 {
            let cause = "is compressed; torch.save stores entries as they are";
            return Err(source.bad(format!("entry `{name}` {cause}")));
        }
        let header = source.bytes(entry.header, 30)?;
        if !header.starts_with(MAGIC) {
            return Err(source.bad(format!("byte {}: no entry of a zip", entry.header)));
        }
        let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let start = entry.header + 30 + names;
        if start
            .checked_add(entry.len)
            .is_none_or(|end| end > source.len())
        {
            let cause = "lies beyond the end of the file: cut off or damaged";
            return Err(source.bad(format!("entry `{name}` {cause}")));
        }
        Ok(Some((start, entry.len)))
    }
}

/// Whether a `data.pkl` is nearer to the root than the one known: a model may carry another.
fn is_nearer(known: &Option<String>, name: &str) -> bool {
    let depth = |name: &str| name.matches('/').count();
    known
        .as_deref()
        .is_none_or(|known| depth(name) < depth(known))
}

/// Numbers of 32 bits that are full have their values in an extra field, in this order.
fn widen(entry: &mut Entry, packed_len: u32, mut extra: &[u8]) {
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
