//! Programs of the system and of `tests/setup` that bring faults about, and what the kernel lets them do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::peers::peer;
use crate::support::repository;

/// A program by its name: that of the system, or the one that `tests/setup` fetched.
pub fn program(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    let found = found.or_else(|| peer(&format!("bin/{name}")));
    found.ok_or_else(|| format!("{name} is not installed; tests/setup fetches it"))
}

/// Whether a command succeeds, and what it said if it does not.
pub fn permitted(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("it failed").to_owned())
}

/// The start of a command in a mount namespace of its own, with a small file system at `folder`.
///
/// The process replaces the shell, so that its ID is that of the child; the file system goes with it.
pub fn on_small_disk(folder: &Path, size: &str) -> Result<Vec<String>, String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let mount = format!(
        "mount -t tmpfs -o size={size} tmpfs '{}' && exec \"$0\" \"$@\"",
        folder.display()
    );
    let wrapper = ["unshare", "-rm", "sh", "-c", &mount].map(str::to_owned);
    permitted(Command::new(&wrapper[0]).args(&wrapper[1..]).arg("true"))?;
    Ok(wrapper.to_vec())
}

/// Compiles a library to be loaded into a process before all others (`LD_PRELOAD`).
pub fn library(source: &str, folder: &Path) -> PathBuf {
    let source = repository(source);
    let name = source.with_extension("so");
    let library = folder.join(name.file_name().expect("it is a file"));
    // Where Rust links, there is a compiler of C.
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(compiled.expect("cc runs").success());
    library
}
