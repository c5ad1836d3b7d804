//! A reader for folders of weight files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use super::contents::Contents;
use super::extensions::{has_pytorch_extension, has_weight_extension};
use super::format::{self, Format, recognise};
use super::index;
use super::source::Source;
use crate::error::{Error, Result, chain};

/// Lists the tensors of a folder. A folder with an index is read through the index. Otherwise all
/// its weight files are read in name order.
pub(super) fn list(folder: &Path) -> Result<Contents> {
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
    // A folder may hold one model in two formats. The index of the safetensors files takes
    // precedence.
    for end in [".safetensors.index.json", ".index.json"] {
        let indices: Vec<_> = files.iter().filter(|f| ends_in(f, end)).collect();
        match indices[..] {
            [] => {}
            [file] => return index::list(&Source::open(file)?),
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
        let source = Source::open(&file)?;
        match recognise(&source)? {
            // The folder holds no index, so a JSON file holds settings.
            None | Some(Format::Json) => {
                if has_weight_extension(&file) {
                    unread.push((name.into_owned(), "its format is not supported".to_owned()));
                }
            }
            Some(format) => match format::list(&source, false) {
                Ok(contents) => parts.push((contents, format, file.clone())),
                // Any program may have written a zip. Only a zip with one of PyTorch's extensions
                // must be readable.
                Err(why) if format == Format::Zip && !has_pytorch_extension(&file) => {
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
    let mut all = Contents {
        entries: Vec::new(),
        skipped: unread,
        missing: Vec::new(),
    };
    for (mut contents, format, file) in parts {
        // A NumPy array is already named by the stem.
        if with_tensors > 1 && format != Format::Npy {
            // If one model lies in two formats, both files have the same stem.
            let is_unique = stems.get(&file.file_stem().map(OsStr::to_owned)) == Some(&1);
            let prefix = if is_unique {
                file.file_stem()
            } else {
                file.file_name()
            };
            let prefix = prefix.unwrap_or_default().to_string_lossy();
            let names = contents.entries.iter_mut().map(|e| &mut e.name);
            for name in names.chain(contents.skipped.iter_mut().map(|(name, _)| name)) {
                name.insert_str(0, &format!("{prefix}."));
            }
        }
        all.entries.append(&mut contents.entries);
        all.skipped.append(&mut contents.skipped);
    }
    Ok(all)
}
