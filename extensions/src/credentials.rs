//! Credentials that stand in the configuration or in files, which are followed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::StartError;
use tidegate_transport::Reloading;

/// How often a file is looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// The largest file that is read: credentials are short.
const MOST: u64 = 1 << 20;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used: {fault}", path.display())]
pub(crate) struct FileError {
    path: PathBuf,
    fault: String,
}

impl FileError {
    fn tell(&self) {
        tracing::warn!(error = %self, "changed credentials cannot be used, going on with the earlier ones");
    }
}

impl From<FileError> for StartError {
    fn from(error: FileError) -> Self {
        Self {
            message: error.to_string(),
            source: None,
        }
    }
}

/// A value that is made of the configuration once, or of a file each time that this changes.
#[derive(Debug)]
pub(crate) enum Credentials<T> {
    Fixed(Arc<T>),
    File(Reloading<T, FileError>),
}

impl<T: Send + Sync> Credentials<T> {
    /// Made once.
    pub(crate) fn fixed(value: T) -> Self {
        Self::Fixed(Arc::new(value))
    }

    /// Made of the text of a file, which may say that it is of no use.
    pub(crate) fn of_file(
        path: &Path,
        make: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, FileError> {
        let file = path.to_owned();
        let read = move || {
            let fault = |fault| FileError {
                path: file.clone(),
                fault,
            };
            let text = text(&file).map_err(|error| fault(error.to_string()))?;
            make(&text).map_err(fault)
        };
        Reloading::new(vec![path.to_owned()], LOOK, read, FileError::tell).map(Self::File)
    }

    /// The value as it is now.
    pub(crate) fn current(&self) -> Arc<T> {
        match self {
            Self::Fixed(value) => Arc::clone(value),
            Self::File(value) => value.current(),
        }
    }
}

fn text(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)?
        .take(MOST + 1)
        .read_to_string(&mut text)?;
    if read as u64 > MOST {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}
