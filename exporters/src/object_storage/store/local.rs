//! A directory.

use object_store::local::LocalFileSystem;
use object_store::path::Path;
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
    let root = Path::from_absolute_path(&absolute).map_err(|error| wrong(error.to_string()))?;
    let store = LocalFileSystem::new().with_fsync(true);
    Ok(Target::new(store, root, &absolute.display().to_string()))
}
