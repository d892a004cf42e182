//! `journalctl`, as it is run.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// The program with what selects entries.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) root: Option<PathBuf>,
    pub(super) arguments: Vec<String>,
    pub(super) from_the_end: bool,
}

impl Program {
    /// Starts it behind a place in the journal, or where it is to begin without one.
    pub(super) fn start(&self, cursor: Option<&str>) -> io::Result<Child> {
        let mut command = match &self.root {
            None => Command::new(&self.path),
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg(&self.path);
                command
            }
        };
        command.args(["--utc", "--output=json", "--follow"]);
        match cursor {
            // What was written while nobody read is read in full.
            Some(cursor) => command.args(["--no-tail", "--after-cursor", cursor]),
            None if self.from_the_end => command.arg("--lines=0"),
            None => command.arg("--no-tail"),
        };
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn()
    }

    /// Its name, for people.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}
