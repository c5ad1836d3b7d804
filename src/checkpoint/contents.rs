//! What the readers of all formats find.

use super::dtype::Dtype;
use super::location::Location;

/// A tensor that a format's reader has found.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) location: Location,
}

/// All that a format's reader has found, in file order.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) entries: Vec<Entry>,
    pub(super) skipped: Vec<(String, String)>,
    pub(super) missing: Vec<(String, String)>,
}

impl Contents {
    pub(super) fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push((name.into(), reason.into()));
    }

    /// Strip `module.`, which PyTorch's parallel wrappers put before every name.
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
