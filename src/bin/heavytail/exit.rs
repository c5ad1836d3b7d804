//! The outcome of a command, from which its exit code follows.

/// The outcome of a command that did not return an error.
pub enum Exit {
    Success,
    FailedLayers,
}
