//! What loading reads of the world outside, so that tests can bring their own.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use tidegate_document::yaml::MAX_BYTES;

/// The environment, the files and the network as loading sees them.
pub trait Surroundings {
    /// Gives an environment variable, none if it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// Reads a file whole.
    ///
    /// # Errors
    /// Gives what the system says.
    fn file(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Gets the body behind an `http:` or `https:` address.
    ///
    /// # Errors
    /// Gives a sentence of what went wrong.
    fn fetch(&self, address: &str) -> Result<String, String>;
}

/// The surroundings of this process; the network comes from the function it carries.
pub struct Process<F>(pub F);

impl<F: Fn(&str) -> Result<String, String>> Surroundings for Process<F> {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more than is taken, so that a longer file is told from one that just fits.
        let most = MAX_BYTES as u64 + 1;
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn fetch(&self, address: &str) -> Result<String, String> {
        (self.0)(address)
    }
}
