//! A directory.

use std::fs::File;
use std::io;
use std::path::Path;

use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use tidegate_component::BuildError;

use super::Target;

/// The directory at `path`; it and what is below it are made when the first object comes.
///
/// Objects are written beside their place, fsynced and then linked into it, so that no reader
/// sees half of one.
pub(super) fn directory(path: &str) -> Result<Target, BuildError> {
    let wrong =
        |error: String| BuildError::at("url", format!("\"{path}\" is no directory: {error}"));
    let absolute = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
    let root =
        ObjectPath::from_absolute_path(&absolute).map_err(|error| wrong(error.to_string()))?;
    let store = LocalFileSystem::new().with_fsync(true);
    Ok(Target::new(store, root, &absolute.display().to_string()).local())
}

/// Takes away what attempts to write a file have left beside it, numbered from 1.
pub(super) fn clear_leftovers(file: &Path) {
    let mut name = file.as_os_str().to_owned();
    name.push("#");
    for number in 1.. {
        let mut leftover = name.clone();
        leftover.push(number.to_string());
        if std::fs::remove_file(leftover).is_err() {
            return;
        }
    }
}

/// Returns once the name of a file that is there is on stable storage.
pub(super) fn keep_name(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}
