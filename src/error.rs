//! One error type for the crate. Each variant names the place: layer, file or option.
//!
//! The message of an error contains its own part only. Its cause is its
//! [`source`](std::error::Error::source). [`chain`] puts both on one line, as the program does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::skip_reason::SkipReason;

/// Every error of heavytail, with its place and its cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weights of a layer cannot become a matrix, or the matrix has no spectrum.
    #[error("layer `{layer}`: {cause}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// What is wrong with the layer.
        cause: LayerError,
    },
    /// The operating system refused to read or write a file.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The content of a file is not what is expected.
    #[error("{}{}: {cause}", path.display(), line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Format {
        /// The file.
        path: PathBuf,
        /// Number of the line, counted from 1. `None` if the error belongs to no line.
        line: Option<usize>,
        /// What is wrong there.
        cause: String,
        /// The error of the parser or encoder, if there is one.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// An option has an invalid value.
    #[error("option `{option}`: {cause}")]
    Config {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with its value.
        cause: String,
    },
    /// A parameter of a probability law is outside its domain.
    #[error("{law}: {parameter} = {value} must be {domain}")]
    Domain {
        /// Name of the law.
        law: &'static str,
        /// Name of the parameter.
        parameter: &'static str,
        /// The value that was given.
        value: f64,
        /// The allowed values, such as `above 1`.
        domain: &'static str,
    },
    /// The operating system did not start the thread that analyses snapshots.
    #[error("cannot start the analysis thread")]
    Spawn {
        /// The answer of the system.
        source: std::io::Error,
    },
    /// The background worker that analyses snapshots has stopped.
    #[error("the analysis worker stopped: {0}")]
    Worker(String),
    /// Another process writes to this log.
    #[error("{}: another process is writing this run ({holder}). Wait until it ends, or choose another folder", path.display())]
    Locked {
        /// The log.
        path: PathBuf,
        /// What the other process wrote to the lock file.
        holder: String,
    },
    /// Another process deleted, truncated or replaced a file of a sink.
    #[error("{}: the file was deleted, truncated or replaced", path.display())]
    FileReplaced {
        /// The file.
        path: PathBuf,
    },
    /// A file of a sink was moved. The sink continues to write to it at its new path.
    #[error("{}: the file was moved. Output continues at its new path", path.display())]
    FileMoved {
        /// Its old path.
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
        /// Path of the figure.
        path: PathBuf,
        /// What went wrong.
        cause: String,
        /// The error of the drawing backend, if it refused.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// Why a layer has no numbers. Logs contain this type, so it holds plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum LayerError {
    /// Weights are NaN or infinite.
    #[error("{count} of {of} weights are not finite (NaN or infinite)")]
    NotFinite {
        /// Number of these weights.
        count: usize,
        /// Number of all weights.
        of: usize,
    },
    /// A side of the matrix is zero.
    #[error("empty matrix {rows}×{cols}")]
    Empty {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        cols: usize,
    },
    /// The number of values does not match the shape.
    #[error("shape {expected:?} does not match {found} values")]
    WrongLength {
        /// The shape.
        expected: Vec<usize>,
        /// Number of values.
        found: usize,
    },
    /// The tensor cannot be cut into a matrix.
    #[error("{why}")]
    NoMatrix {
        /// The reason.
        why: SkipReason,
    },
    /// An eigenvalue is negative or not finite. Usually the eigenvalues exceed the range of f64.
    #[error("an eigenvalue is {value}, which is negative or outside the range of f64")]
    OutOfRange {
        /// The eigenvalue, as text because JSON has no infinity.
        value: String,
    },
    /// The number of eigenvalues does not match the shape of the matrix.
    #[error("{count} eigenvalues do not fit an {n}×{m} matrix")]
    NotASpectrum {
        /// Number of eigenvalues.
        count: usize,
        /// Longer side N of the matrix.
        n: usize,
        /// Shorter side M of the matrix.
        m: usize,
    },
    /// The eigensolver did not converge.
    #[error("{solver} solver: {message}")]
    Solver {
        /// Name of the solver.
        solver: String,
        /// The solver's message.
        message: String,
    },
    /// The analysis panicked.
    #[error("the analysis panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// Another error.
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

/// A `LayerError` is stored together with its layer, so the name of the layer is dropped.
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

    /// An error for a file whose content cannot be made.
    #[cfg(any(feature = "plot", feature = "report"))]
    pub(crate) fn encoding(
        path: &Path,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Format {
            path: path.to_owned(),
            line: None,
            cause: "its content cannot be made".to_owned(),
            source: Some(Box::new(source)),
        }
    }

    /// An error for a file that a parser refused.
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

/// The message of a caught panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Run `work`, and turn every error or panic into a cause that a log can hold.
pub(crate) fn catch_panics<T>(work: impl FnOnce() -> Result<T>) -> Result<T, LayerError> {
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

        // The text of a csv error ends with that of its cause.
        let csv = csv::Error::from(io());
        assert_eq!(csv.to_string(), "disk full");
        assert_eq!(chain(&csv), "disk full");
    }
}
