//! One error type. Each variant names the place: layer, file, option.
//!
//! An error prints its own part only; its cause is its [`source`](std::error::Error::source).
//! [`chain`] prints both on one line, as the program does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::skip_reason::SkipReason;

/// Everything that heavytail can refuse, with the place and the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weights of a layer cannot become a matrix, or the matrix has no spectrum.
    #[error("layer `{layer}`: {cause}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What is wrong with it.
        cause: LayerError,
    },
    /// The operating system refused to read or write a file.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}{}: {cause}", path.display(), line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Format {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1, where that makes sense.
        line: Option<usize>,
        /// What is wrong there.
        cause: String,
        /// The error of whoever parsed or encoded it.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// An option has a value that makes no sense.
    #[error("option `{option}`: {cause}")]
    Config {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with its value.
        cause: String,
    },
    /// A parameter of a probability law is outside of its domain.
    #[error("{law}: {parameter} = {value} must be {domain}")]
    Domain {
        /// Name of the law.
        law: &'static str,
        /// Name of the parameter.
        parameter: &'static str,
        /// The value that was given.
        value: f64,
        /// Which values the law has, such as `above 1`.
        domain: &'static str,
    },
    /// The background worker that analyses snapshots is gone.
    #[error("the analysis worker stopped: {0}")]
    Worker(String),
    /// Another process writes this log.
    #[error("{}: a run is being written there ({holder}); wait for its end or choose another folder", path.display())]
    Locked {
        /// The log.
        path: PathBuf,
        /// What the other process left in the lock's file.
        holder: String,
    },
    /// A file of a sink was deleted, cut back or replaced by someone else.
    #[error("{}: the file was deleted, cut back or replaced", path.display())]
    Lost {
        /// The file.
        path: PathBuf,
    },
    /// A file of a sink was moved; it goes on where it is.
    #[error("{}: the file was moved; it is written on where it is now", path.display())]
    Moved {
        /// Where it was.
        path: PathBuf,
    },
    /// A sink panicked. The other sinks are not affected.
    #[error("a sink panicked: {message}")]
    Sink {
        /// The panic's message.
        message: String,
    },
    /// A figure could not be drawn.
    #[error("figure {}: {cause}", path.display())]
    Plot {
        /// The file that was to hold the figure.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

/// Why a layer has no numbers. It is written to logs, so it holds plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum LayerError {
    /// Weights are NaN or infinite.
    #[error("{count} of {of} weights are not finite (NaN or infinite)")]
    NotFinite {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
    },
    /// A side of the matrix is zero.
    #[error("empty matrix {rows}×{cols}")]
    Empty {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// The number of values is not that of the shape.
    #[error("shape {expected:?} does not fit {found} values")]
    WrongLength {
        /// The shape.
        expected: Vec<usize>,
        /// How many values there are.
        found: usize,
    },
    /// The tensor has no matrix.
    #[error("{why}")]
    NoMatrix {
        /// Why not.
        why: SkipReason,
    },
    /// Eigenvalues leave the range of f64, because the weights do.
    #[error("an eigenvalue is {value}: the weights leave the range of f64")]
    OutOfRange {
        /// The eigenvalue, as text since JSON has no infinity.
        value: String,
    },
    /// The number of eigenvalues does not fit the matrix.
    #[error("{count} eigenvalues do not make the spectrum of a {n}×{m} matrix")]
    NotASpectrum {
        /// How many eigenvalues.
        count: usize,
        /// Longer side.
        n: usize,
        /// Shorter side.
        m: usize,
    },
    /// The eigensolver did not converge.
    #[error("{solver} solver: {message}")]
    Solver {
        /// Its name.
        solver: String,
        /// What it says.
        message: String,
    },
    /// The analysis panicked.
    #[error("the analysis panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What went wrong.
        message: String,
    },
}

impl From<String> for LayerError {
    fn from(message: String) -> Self {
        Self::Other { message }
    }
}

impl From<&str> for LayerError {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl From<SkipReason> for LayerError {
    fn from(why: SkipReason) -> Self {
        Self::NoMatrix { why }
    }
}

/// The layer is known where the cause is kept, so an error of a layer is its cause.
impl From<Error> for LayerError {
    fn from(error: Error) -> Self {
        match error {
            Error::Layer { cause, .. } => cause,
            other => chain(&other).into(),
        }
    }
}

/// `Result` with heavytail's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn layer(layer: impl Into<String>, cause: impl Into<LayerError>) -> Self {
        Self::Layer {
            layer: layer.into(),
            cause: cause.into(),
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn format(path: &Path, line: Option<usize>, cause: impl ToString) -> Self {
        Self::Format {
            path: path.to_owned(),
            line,
            cause: cause.to_string(),
            source: None,
        }
    }

    /// A file that a parser refused.
    pub(crate) fn malformed(
        path: &Path,
        line: Option<usize>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Format {
            path: path.to_owned(),
            line,
            cause: "not in the expected format".to_owned(),
            source: Some(Box::new(source)),
        }
    }
}

/// An error and its causes on one line, outermost first: `cannot read or write a.npy: permission
/// denied`.
///
/// Errors of some crates repeat their cause in their own text. That cause is not added again.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

/// What a caught panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Whatever goes wrong in an analysis becomes a cause that can be written down.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T, LayerError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(LayerError::from),
        Err(panic) => Err(LayerError::Panicked {
            message: panic_message(&*panic),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_own_part_and_a_chain_every_part_once() {
        let io = || std::io::Error::other("disk full");
        let error = Error::io(Path::new("log.jsonl"), io());
        assert_eq!(error.to_string(), "cannot read or write log.jsonl");
        assert_eq!(chain(&error), "cannot read or write log.jsonl: disk full");

        let json = serde_json::from_str::<u8>("x").unwrap_err();
        let text = chain(&Error::malformed(Path::new("log.jsonl"), Some(3), json));
        let start = "log.jsonl, line 3: not in the expected format: expected value";
        assert!(text.starts_with(start), "{text}");

        // csv's text ends with its cause's.
        let csv = csv::Error::from(io());
        assert_eq!(csv.to_string(), "disk full");
        assert_eq!(chain(&csv), "disk full");
    }
}
