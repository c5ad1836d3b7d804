//! The result that the readers of all formats return.

use super::dtype::Dtype;
use super::location::Location;

/// A tensor of a file, with the location of its values.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) location: Location,
}

/// Everything that a format's reader finds, in file order.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) entries: Vec<Entry>,
    /// Name and reason of each tensor or file that is not read.
    pub(super) skipped: Vec<(String, String)>,
    /// Name and reason of each tensor that the index lists and whose shard does not exist.
    pub(super) missing: Vec<(String, String)>,
}

impl Contents {
    pub(super) fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push((name.into(), reason.into()));
    }

    /// Removes the prefix `module.` from all names if every tensor has it. PyTorch's parallel
    /// wrappers put this prefix before every name.
    pub(super) fn strip_module(&mut self) {
        const PREFIX: &str = "module.";
        let all = |contents: &Self| contents.entries.iter().all(|e| e.name.starts_with(PREFIX));
        if self.entries.is_empty() || !all(self) {
            return;
        }
        let names = self.entries.iter_mut().map(|e| &mut e.name);
        let others = self.skipped.iter_mut().chain(&mut self.missing);
        for name in names.chain(others.map(|(name, _)| name)) {
            if name.starts_with(PREFIX) {
                name.drain(..PREFIX.len());
            }
        }
    }
}
