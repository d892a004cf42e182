//! What the black-box tests share: the collector as a child process, free ports, real peers.

#![allow(dead_code)] // each test binary uses a part of it
#![allow(clippy::print_stderr)] // what a child printed belongs into the report of a failed test

pub mod corpus;
pub mod normal;
pub mod objects;
pub mod peers;
pub mod sink;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it; never how long it is expected to take.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A loopback port that was free a moment ago; no test of this process gets it again.
///
/// It lies below those that the kernel gives to connections, which might take it meanwhile.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const PORTS: u32 = 12_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Where two processes test at a time, they begin in different places.
    let start = std::process::id().wrapping_mul(97);
    (0..PORTS)
        .map(|_| start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % PORTS)
        .filter_map(|place| u16::try_from(FIRST + place).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a loopback port")
}

/// Calls until it gets an answer, or panics with the last error after [`PATIENCE`].
pub fn eventually<T, E: std::fmt::Debug>(
    what: &str,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if start.elapsed() > PATIENCE => panic!("{what}: {error:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A process that a test started, with what it printed; ended with the test.
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let output = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let readers = vec![collect(stdout, &output), collect(stderr, &output)];
        Self {
            name: name.to_owned(),
            child,
            output,
            readers,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child can be asked")
    }

    /// Everything that it printed so far, both streams.
    pub fn output(&self) -> String {
        self.output.lock().expect("no reader panics").clone()
    }

    /// Waits until it listens on this address.
    pub fn wait_listening(&mut self, address: &str) {
        let address: SocketAddr = address.parse().expect("a socket address");
        let name = self.name.clone();
        eventually(&format!("{name} listens on {address}"), || {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                panic!("{name} ended with {status}:\n{}", self.output());
            }
            TcpStream::connect_timeout(&address, Duration::from_millis(200))
        });
    }

    /// Waits until what it printed has this text.
    pub fn wait_output(&self, text: &str) {
        eventually(&format!("{} prints {text:?}", self.name), || {
            let output = self.output();
            if output.contains(text) {
                Ok(())
            } else {
                Err(output)
            }
        });
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "{} is gone already", self.name);
        self.wait_end()
    }

    /// Waits until it has ended by itself, and until all that it printed was read.
    pub fn wait_end(&mut self) -> ExitStatus {
        let name = self.name.clone();
        let status = eventually(&format!("{name} ends"), || {
            self.child
                .try_wait()
                .expect("the child can be asked")
                .ok_or("still running")
        });
        self.finish_reading();
        status
    }

    /// Ends it without a word, by SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it was not waited for");
        self.child.wait().expect("the child can be waited for");
        self.finish_reading();
    }

    fn finish_reading(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} printed ---\n{}", self.name, self.output());
        }
    }
}

fn collect(stream: impl Read + Send + 'static, output: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            if let Ok(mut output) = output.lock() {
                output.push_str(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    })
}

/// The collector under test, with a configuration of its own.
pub struct Tidegate {
    pub process: Process,
    pub directory: tempfile::TempDir,
}

impl Tidegate {
    /// Starts it and waits until it listens on every given address.
    pub fn start(yaml: &str, listens: &[&str]) -> Self {
        Self::start_with(yaml, listens, &[])
    }

    /// The same with environment variables.
    pub fn start_with(yaml: &str, listens: &[&str], environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("config.yaml");
        std::fs::write(&path, yaml).expect("the configuration can be written");
        let mut command = tidegate();
        command
            .arg("--config")
            .arg(&path)
            .current_dir(directory.path());
        command.envs(environment.iter().copied());
        let mut process = Process::start("tidegate", &mut command);
        for address in listens {
            process.wait_listening(address);
        }
        Self { process, directory }
    }

    /// A path within its working directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Ends it in order and returns everything that it printed.
    pub fn stop(mut self) -> String {
        let status = self.process.terminate();
        assert!(status.success(), "it ended with {status}");
        self.process.output()
    }
}

/// The binary under test: that of this build, or what `TIDEGATE_BINARY` names.
pub fn tidegate() -> Command {
    let other = std::env::var_os("TIDEGATE_BINARY");
    Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_tidegate").into()))
}

/// One HTTP/1.1 request on a connection of its own: status line and headers as text, body as bytes.
pub fn http(address: &str, request: &str, body: &[u8]) -> std::io::Result<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{request}\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| std::io::Error::other("the answer has no end of headers"))?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let body = answer.split_off(end + 4);
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Ok((head, if chunked { dechunk(&body) } else { body }))
}

/// GETs a path and returns the body as text when the status is 200.
pub fn get(address: &str, path: &str) -> Result<String, String> {
    let (head, body) =
        http(address, &format!("GET {path} HTTP/1.1"), b"").map_err(|error| error.to_string())?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if head.starts_with("HTTP/1.1 200") {
        Ok(body)
    } else {
        Err(format!("{head}\n{body}"))
    }
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).unwrap_or("0");
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = body.get(end + 2..end + 2 + size) else {
            break;
        };
        if size == 0 {
            break;
        }
        whole.extend_from_slice(chunk);
        body = body.get(end + 4 + size..).unwrap_or_default();
    }
    whole
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
