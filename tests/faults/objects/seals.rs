//! Stops the process as it writes a seal, or the end of an object, to its log of these.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::damage::files;
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
/// Looks in a row that must find a thread held: strace stops threads for moments as well.
const LOOKS: u32 = 12;

/// strace, which holds the next call of a kind on the log of seals.
pub struct Held {
    _strace: Process,
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
        Ok(Self {
            _strace: strace,
            process,
        })
    }

    /// Waits until a thread of the process is held.
    pub fn wait(&self) {
        let mut found = 0;
        until("a call is held", Duration::from_secs(120), || {
            found = if is_stopped(self.process) {
                found + 1
            } else {
                0
            };
            found == LOOKS
        });
    }
}

/// The newest segment of the log, and those that may follow it.
fn segments(rig: &Rig) -> Vec<PathBuf> {
    let folder = rig.queue().join("object_storage-seals");
    let newest = files(&folder, ".seg").pop();
    let number = newest.and_then(|path| path.file_stem()?.to_str()?.parse::<u64>().ok());
    let number = number.unwrap_or(0);
    let all = number..number + 3;
    all.map(|number| folder.join(format!("{number:010}.seg")))
        .collect()
}

/// Whether a thread is stopped by its tracer.
fn is_stopped(process: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    tasks.into_iter().flatten().flatten().any(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The name stands in brackets, and may have some of its own.
        let state = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.trim().chars().next());
        state == Some('t')
    })
}
