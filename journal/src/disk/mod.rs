//! The file system behind a small trait, so that tests can crash it.

#[cfg(any(test, feature = "testing"))]
pub mod memory;
mod os;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use os::OsDisk;

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the directory.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_directory: bool,
    /// Its size in bytes, where it is a file.
    pub size: u64,
}

/// What the journal needs of a file system.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory that only its owner may enter; one that is there already is fine.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// What is in a directory; names that are not UTF-8 are left out.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Makes a file that only its owner may read and write, in the place of one that is there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading.
    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading and writing that may not be there yet, and locks it for this
    /// process until it is closed; none while another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>>;

    /// Takes a file away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name in one step, in the place of what had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Returns once the names in a directory are on stable storage.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file that is read and written at offsets.
pub trait File: fmt::Debug + Send + Sync {
    /// Reads up to `bytes.len()` bytes; 0 is the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the parts, one after the other, and tells how many bytes.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Gets room for `size` bytes from the file system, as zeros.
    fn allocate(&self, size: u64) -> io::Result<()>;

    /// Cuts or lengthens the file.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Its size in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Returns once all that was written is on stable storage.
    fn sync(&self) -> io::Result<()>;

    /// Whether a name still leads to it.
    fn is_linked(&self) -> io::Result<bool>;

    /// Gives up the lock that [`Disk::lock`] took, before the last handle is gone.
    fn unlock(&self);
}

/// Reads until `bytes` is full or the file ends, and tells how many bytes there were.
pub(crate) fn read_fully(file: &dyn File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all parts, one after the other.
pub(crate) fn write_fully(
    file: &dyn File,
    parts: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    /// What one call of the system takes at the most.
    const PARTS: usize = 1024;
    let mut rest = parts;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let some = rest.len().min(PARTS);
        match file.write_at(&rest[..some], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The whole of a small file; nothing where there is none, and never more than `limit` bytes.
pub(crate) fn read_small(disk: &dyn Disk, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = match disk.open_to_read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let size = usize::try_from(file.size()?).unwrap_or(limit).min(limit);
    let mut bytes = vec![0; size];
    let read = read_fully(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Puts a small file in the place of what has its name, whole or not at all.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("tmp");
    let file = disk.create(&draft)?;
    write_fully(&*file, &mut [IoSlice::new(bytes)], 0)?;
    file.sync()?;
    disk.rename(&draft, path)?;
    disk.sync_directory(path.parent().unwrap_or(Path::new(".")))
}
