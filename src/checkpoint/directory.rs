//! Folders of weight files, and indices of shards.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::source::{Source, printable};
use super::{Format, Found, read_file, recognise};
use crate::error::{Error, Result, chain};

/// The largest index known has 10 MB.
const LONGEST_INDEX: u64 = 1 << 24;
/// Files with these endings are mentioned when they are not read.
const WEIGHT_ENDINGS: [&str; 12] = [
    "bin",
    "bpk",
    "ckpt",
    "gguf",
    "h5",
    "msgpack",
    "npy",
    "npz",
    "onnx",
    "pt",
    "pth",
    "safetensors",
];

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
    #[serde(rename = "metadata", default)]
    _metadata: IgnoredAny,
}

/// A shard is a file beside its index, whatever the index says.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let is_one = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(part)), None) if part == OsStr::new(name)
    );
    is_one && !name.contains(['/', '\\', ':', '\0'])
}

/// The tensors of all shards that an index names and that are there; those of the others are missing.
pub(super) fn read_index(source: &Source) -> Result<Found> {
    let path = source.path();
    if source.len() > LONGEST_INDEX {
        return Err(source.bad(format!("an index of {} bytes", source.len())));
    }
    let bytes = source.bytes(0, source.len())?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|e| Error::format(path, Some(e.line()), format!("no index of shards: {e}")))?;
    // By shard, the tensors it is to hold and whether it does.
    let mut shards: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    for (tensor, shard) in &index.weight_map {
        if !is_plain_name(shard) {
            return Err(source.bad(format!(
                "tensor `{tensor}`: shard `{shard}` is not the name of a file beside the index"
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
        return Err(source.bad(no_shard(first, missing, folder)));
    }
    let mut all = Found::default();
    for (shard, mut wanted) in shards {
        let file = folder.join(shard);
        if !file.exists() {
            for tensor in wanted.into_keys() {
                let reason = printable(&format!("its shard `{shard}` is missing"));
                all.missing.push((tensor.to_owned(), reason));
            }
            continue;
        }
        let found = read_file(&file, true)?;
        for (name, reason) in found.left_out {
            if let Some(seen) = wanted.get_mut(name.as_str()) {
                *seen = true;
            }
            all.leave_out(name, reason);
        }
        for entry in found.entries {
            match wanted.get_mut(entry.name.as_str()) {
                Some(seen) => {
                    *seen = true;
                    all.entries.push(entry);
                }
                None => all.leave_out(entry.name, "not in the index"),
            }
        }
        if let Some((tensor, _)) = wanted.iter().find(|(_, seen)| !**seen) {
            return Err(source.bad(format!("tensor `{tensor}` is not in its shard `{shard}`")));
        }
    }
    all.strip_module();
    Ok(all)
}

/// None of an index's shards is there, and what is.
fn no_shard(first: &str, count: usize, folder: &Path) -> String {
    let others = match count - 1 {
        0 => String::new(),
        1 => " (and 1 other)".to_owned(),
        others => format!(" (and {others} others)"),
    };
    let offers = offers(folder);
    if offers.is_empty() {
        return format!("shard `{first}` is missing{others}");
    }
    format!(
        "shard `{first}` is missing{others}; weight files that are there: {}",
        offers.join(", ")
    )
}

/// The first few weight files of a folder.
fn offers(folder: &Path) -> Vec<String> {
    const FEW: usize = 5;
    // The parent of a bare file name is empty.
    let folder = match folder {
        f if f == Path::new("") => Path::new("."),
        f => f,
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && is_named_as_weights(path))
        .collect();
    files.sort();
    let name = |path: &PathBuf| format!("`{}`", path.file_name().unwrap_or_default().display());
    let mut names: Vec<String> = files.iter().take(FEW).map(name).collect();
    if files.len() > FEW {
        names.push(format!("and {} more", files.len() - FEW));
    }
    names
}

fn is_named_as_pytorch(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    ["bin", "ckpt", "pt", "pth", "th"].contains(&ending.to_lowercase().as_str())
}

fn is_named_as_weights(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    WEIGHT_ENDINGS.contains(&ending.to_lowercase().as_str())
}

/// The tensors of a folder: through its index, or of all its weight files in name order.
pub(super) fn list(folder: &Path) -> Result<Found> {
    let io = |e| Error::io(folder, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let ends_in = |path: &Path, end: &str| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().ends_with(end)
    };
    // A model may come in two formats; safetensors is the one made for this.
    for end in [".safetensors.index.json", ".index.json"] {
        let indices: Vec<_> = files.iter().filter(|f| ends_in(f, end)).collect();
        match indices[..] {
            [] => {}
            [index] => return read_index(&Source::open(index)?),
            _ => {
                let cause = format!("{} files `*{end}`: open one of them", indices.len());
                return Err(Error::format(folder, None, cause));
            }
        }
    }
    let mut parts = Vec::new();
    let mut unread = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match recognise(&Source::open(&file)?)? {
            // No index is among them, so these are settings.
            None | Some(Format::Json) => {
                if is_named_as_weights(&file) {
                    unread.push((
                        name.into_owned(),
                        "a file of no format that is read".to_owned(),
                    ));
                }
            }
            Some(format) => match read_file(&file, false) {
                Ok(found) => parts.push((found, format, file.clone())),
                // A zip may be anything; only one that is named as PyTorch's must be readable.
                Err(why) if format == Format::Zip && !is_named_as_pytorch(&file) => {
                    unread.push((name.into_owned(), chain(&why)));
                }
                Err(why) => return Err(why),
            },
        }
    }
    if parts.is_empty() {
        return Err(Error::format(folder, None, "no weight file in this folder"));
    }
    let with_tensors = parts.iter().filter(|(f, ..)| !f.entries.is_empty()).count();
    let mut stems = HashMap::new();
    for (.., file) in &parts {
        *stems
            .entry(file.file_stem().map(OsStr::to_owned))
            .or_insert(0) += 1;
    }
    let mut all = Found {
        entries: Vec::new(),
        left_out: unread,
        missing: Vec::new(),
    };
    for (mut found, format, file) in parts {
        // The name of a NumPy array is the stem already.
        if with_tensors > 1 && format != Format::Npy {
            // Of one model in two formats, the stem would not say which.
            let is_unique = stems.get(&file.file_stem().map(OsStr::to_owned)) == Some(&1);
            let prefix = if is_unique {
                file.file_stem()
            } else {
                file.file_name()
            };
            let prefix = prefix.unwrap_or_default().to_string_lossy();
            let names = found.entries.iter_mut().map(|e| &mut e.name);
            for name in names.chain(found.left_out.iter_mut().map(|(name, _)| name)) {
                name.insert_str(0, &format!("{prefix}."));
            }
        }
        all.entries.append(&mut found.entries);
        all.left_out.append(&mut found.left_out);
    }
    Ok(all)
}
