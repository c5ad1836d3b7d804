//! A reader for an index of shards, `*.index.json`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::contents::Contents;
use super::extensions::has_weight_extension;
use super::format;
use super::source::{Source, printable};
use crate::error::{Error, Result};

/// The largest index in bytes that is read. The largest known index has 10 MB.
const MAX_INDEX_LENGTH: u64 = 1 << 24;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
    #[serde(rename = "metadata", default)]
    _metadata: IgnoredAny,
}

/// Whether a shard's name is a plain file name. A shard must lie in the folder of its index,
/// whatever path the index gives.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let is_one = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(part)), None) if part == OsStr::new(name)
    );
    is_one && !name.contains(['/', '\\', ':', '\0'])
}

/// Lists the tensors of all shards that an index names and that exist. The tensors of the other
/// shards are missing.
pub(super) fn list(source: &Source) -> Result<Contents> {
    let path = source.path();
    if source.len() > MAX_INDEX_LENGTH {
        return Err(source.format_error(format!(
            "the index has {} bytes, at most {MAX_INDEX_LENGTH} are read",
            source.len()
        )));
    }
    let bytes = source.bytes(0, source.len())?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|e| Error::format(path, Some(e.line()), format!("not an index of shards: {e}")))?;
    // For each shard: the tensors that it should hold, and whether it holds them.
    let mut shards: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    for (tensor, shard) in &index.weight_map {
        if !is_plain_name(shard) {
            return Err(source.format_error(format!(
                "tensor `{tensor}`: shard `{shard}` is not a plain file name"
            )));
        }
        shards.entry(shard).or_default().insert(tensor, false);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let is_missing = |shard: &&&str| !folder.join(shard).exists();
    let missing = shards.keys().filter(is_missing).count();
    if let Some(first) = shards.keys().find(is_missing)
        && missing == shards.len()
    {
        return Err(source.format_error(no_shard_message(first, missing, folder)));
    }
    let mut all = Contents::default();
    for (shard, mut wanted) in shards {
        let file = folder.join(shard);
        if !file.exists() {
            for tensor in wanted.into_keys() {
                let reason = printable(&format!("its shard `{shard}` is missing"));
                all.missing.push((tensor.to_owned(), reason));
            }
            continue;
        }
        let contents = format::list(&Source::open(&file)?, true)?;
        for (name, reason) in contents.skipped {
            if let Some(seen) = wanted.get_mut(name.as_str()) {
                *seen = true;
            }
            all.skip(name, reason);
        }
        for entry in contents.entries {
            match wanted.get_mut(entry.name.as_str()) {
                Some(seen) => {
                    *seen = true;
                    all.entries.push(entry);
                }
                None => all.skip(entry.name, "not in the index"),
            }
        }
        if let Some((tensor, _)) = wanted.iter().find(|(_, seen)| !**seen) {
            return Err(
                source.format_error(format!("tensor `{tensor}` is not in its shard `{shard}`"))
            );
        }
    }
    all.strip_module();
    Ok(all)
}

/// The message for an index without any existing shard. It names the first shard and the weight
/// files that do exist.
fn no_shard_message(first: &str, count: usize, folder: &Path) -> String {
    let others = match count - 1 {
        0 => String::new(),
        1 => " (and 1 other)".to_owned(),
        others => format!(" (and {others} others)"),
    };
    let existing_weight_files = existing_weight_files(folder);
    if existing_weight_files.is_empty() {
        return format!("shard `{first}` is missing{others}");
    }
    format!(
        "shard `{first}` is missing{others}; existing weight files: {}",
        existing_weight_files.join(", ")
    )
}

/// The names of the first five weight files of a folder.
fn existing_weight_files(folder: &Path) -> Vec<String> {
    const MAX_LISTED: usize = 5;
    // `parent` returns an empty path for a bare file name.
    let folder = match folder {
        f if f == Path::new("") => Path::new("."),
        f => f,
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && has_weight_extension(path))
        .collect();
    files.sort();
    let name = |path: &PathBuf| format!("`{}`", path.file_name().unwrap_or_default().display());
    let mut names: Vec<String> = files.iter().take(MAX_LISTED).map(name).collect();
    if files.len() > MAX_LISTED {
        names.push(format!("and {} more", files.len() - MAX_LISTED));
    }
    names
}
