//! How commands end.

/// How a command that did not fail ended.
pub enum Ended {
    Well,
    WithFailedLayers,
}
