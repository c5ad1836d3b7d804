//! One error type. Each variant names the place: layer, file, option.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

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
        cause: String,
    },
    /// The operating system refused to read or write a file.
    #[error("{}: {source}", path.display())]
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
    },
    /// An option has a value that makes no sense.
    #[error("option `{option}`: {cause}")]
    Config {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with its value.
        cause: String,
    },
    /// The background worker that analyses snapshots is gone.
    #[error("the analysis worker stopped: {0}")]
    Worker(String),
    /// A figure could not be drawn.
    #[error("figure {}: {cause}", path.display())]
    Plot {
        /// The file that was to hold the figure.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

/// `Result` with heavytail's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn layer(layer: impl Into<String>, cause: impl ToString) -> Self {
        Self::Layer {
            layer: layer.into(),
            cause: cause.to_string(),
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
        }
    }
}

/// What a caught panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Whatever goes wrong in an analysis becomes a sentence.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("the analysis panicked: {}", panic_message(&*panic))),
    }
}
