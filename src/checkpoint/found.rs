//! What the readers of all formats find.

use super::dtype::Dtype;
use super::place::Place;

/// A tensor that a format's reader has found.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) place: Place,
}

/// All that a format's reader has found, in file order.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) left_out: Vec<(String, String)>,
    pub(super) missing: Vec<(String, String)>,
}

impl Found {
    pub(super) fn leave_out(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.left_out.push((name.into(), reason.into()));
    }

    /// Strip `module.`, which PyTorch's parallel wrappers put before every name.
    pub(super) fn strip_module(&mut self) {
        const PREFIX: &str = "module.";
        let all = |found: &Self| found.entries.iter().all(|e| e.name.starts_with(PREFIX));
        if self.entries.is_empty() || !all(self) {
            return;
        }
        let names = self.entries.iter_mut().map(|e| &mut e.name);
        let others = self.left_out.iter_mut().chain(&mut self.missing);
        for name in names.chain(others.map(|(name, _)| name)) {
            if name.starts_with(PREFIX) {
                name.drain(..PREFIX.len());
            }
        }
    }
}
