//! Stores of objects: the servers that `tests/setup` fetches, and the scripts that speak to them.

use std::path::Path;
use std::process::Command;

use super::peers::peer;
use super::{Process, eventually, free_port, repository};

/// What a client of [`Objects::s3`] has to have in its environment.
pub const AWS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
];

/// The account of the emulator of Azure, and its well-known key.
pub const AZURE: (&str, &str) = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
);

/// A server of objects, with a bucket called `lake`, and what speaks to it.
pub struct Objects {
    pub url: String,
    script: &'static str,
    _process: Process,
}

impl Objects {
    /// moto, which speaks as S3 does.
    pub fn s3() -> Option<Self> {
        let program = peer("venv/bin/moto_server")?;
        let port = free_port().to_string();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port]);
        Some(Self::start("moto", &mut command, &port, "s3.py"))
    }

    /// azurite, which speaks as Azure Blob Storage does.
    pub fn azure() -> Option<Self> {
        let program = peer("node/node_modules/.bin/azurite-blob")?;
        peer("venv/bin/python")?;
        let port = free_port().to_string();
        let mut command = Command::new(program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port]);
        command.args(["--inMemoryPersistence", "--disableTelemetry"]);
        command.arg("--skipApiVersionCheck");
        Some(Self::start("azurite", &mut command, &port, "azure.py"))
    }

    fn start(name: &str, command: &mut Command, port: &str, script: &'static str) -> Self {
        let mut process = Process::start(name, command);
        process.wait_listening(&format!("127.0.0.1:{port}"));
        let objects = Self {
            url: format!("http://127.0.0.1:{port}"),
            script,
            _process: process,
        };
        eventually("the bucket is made", || objects.call(&["create", "lake"]));
        objects
    }

    fn call(&self, arguments: &[&str]) -> Result<String, String> {
        let all = [&[self.script, &self.url], arguments].concat();
        run(python(&all).ok_or("there is no Python")?)
    }

    /// All objects as files of a folder.
    pub fn fetch(&self, folder: &Path) {
        let folder = folder.display().to_string();
        self.call(&["fetch", "lake", &folder])
            .expect("it can be fetched");
    }
}

/// A script of `tests/lake` with its arguments.
pub fn python(arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(peer("venv/bin/python")?);
    command.arg(repository("tests/lake").join(arguments[0]));
    command.args(&arguments[1..]);
    Some(command)
}

/// What a command printed, or what it complained of.
pub fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}
