//! Stops the process as it writes a seal, or the end of an object, to its log of these.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::damage::{files, payloads};
use crate::rig::Rig;
use crate::support::Process;
use crate::{system, until};

/// A call of the kernel on the log, and the side of it that the process is held on.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    BeforeWrite,
    BeforeSync,
    AfterSync,
}

/// How long a call is held: longer than the process lives then.
const HELD: &str = "300s";
/// Looks in a row that must find a thread where it was: strace stops threads for moments as well.
const LOOKS: u32 = 12;

/// strace, which holds the next call of a kind on the log of seals.
pub struct Held {
    strace: Process,
    process: u32,
}

impl Held {
    pub fn next(rig: &mut Rig, moment: Moment) -> Result<Self, String> {
        let program = system::program("strace")?;
        let process = rig.process().id();
        let (call, delay) = match moment {
            Moment::BeforeWrite => ("pwritev", "delay_enter"),
            Moment::BeforeSync => ("fdatasync", "delay_enter"),
            Moment::AfterSync => ("fdatasync", "delay_exit"),
        };
        let mut command = Command::new(program);
        command
            .args(["-f", "-p", &process.to_string()])
            .args(["-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:{delay}={HELD}")])
            .args(["-o", "/dev/null"]);
        for segment in segments(rig) {
            command.arg("-P").arg(segment);
        }
        let strace = Process::start("strace", &mut command);
        strace.wait_output("attached");
        Ok(Self { strace, process })
    }

    /// Waits until a thread of the process is held, and kills the process there.
    pub fn kill(mut self) {
        let (mut held, mut looks) = (HashSet::new(), 0);
        until("a call is held", Duration::from_secs(120), || {
            let stopped = stopped(self.process);
            held.retain(|thread| stopped.contains(thread));
            looks += 1;
            if held.is_empty() {
                (held, looks) = (stopped, 0);
            }
            looks == LOOKS
        });
        let process = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        kill_process(process.expect("an ID"), Signal::KILL).expect("it runs");
        // Only now: what strace lets go of goes on.
        self.strace.kill();
    }
}

/// The segments that there are, by number.
fn present(rig: &Rig) -> Vec<(u64, PathBuf)> {
    let paths = files(&folder(rig), ".seg").into_iter();
    let numbered = paths.filter_map(|path| {
        let number = path.file_stem()?.to_str()?.parse().ok()?;
        Some((number, path))
    });
    numbered.collect()
}

fn folder(rig: &Rig) -> PathBuf {
    rig.queue().join("object_storage-seals")
}

/// The number of the newest segment.
pub fn newest(rig: &Rig) -> u64 {
    present(rig).last().map_or(0, |(number, _)| *number)
}

/// The newest segment, and those that may follow it.
fn segments(rig: &Rig) -> Vec<PathBuf> {
    let numbers = newest(rig)..newest(rig) + 3;
    numbers
        .map(|number| folder(rig).join(format!("{number:010}.seg")))
        .collect()
}

/// Whether a seal was written to a segment past this one.
pub fn sealed_since(rig: &Rig, segment: u64) -> bool {
    let later = present(rig)
        .into_iter()
        .filter(|(number, _)| *number > segment);
    let mut segments = later.filter_map(|(_, path)| std::fs::read(path).ok());
    // An entry begins with its version and its kind.
    segments.any(|bytes| {
        payloads(&bytes)
            .iter()
            .any(|entry| entry.starts_with(&[1, 1]))
    })
}

/// The threads that their tracer has stopped, and how often each has given way so far.
fn stopped(process: u32) -> HashSet<(OsString, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let threads = tasks.filter_map(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let is_stopped = line("State:")?.trim().starts_with('t');
        let switches = line("voluntary_ctxt_switches:")?.to_owned();
        is_stopped.then(|| (task.file_name(), switches))
    });
    threads.collect()
}
