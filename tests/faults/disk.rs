//! The disk fails: it is full, it does not sync, its directory is gone, or another has it already.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::clients::{Answer as Told, Pattern};
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Ports, Rig};
use crate::sink::Answer;
use crate::support::Process;
use crate::wire::{Items, Signal};
use crate::{rounds, system, until};

const DRAIN: Duration = Duration::from_secs(90);

/// Sends one request until it is acknowledged.
fn takes_again(rig: &Rig) {
    let mut client = rig.client();
    until("it takes data again", Duration::from_secs(30), || {
        let items = Items {
            first: rig.books.issue(1),
            count: 1,
            padding: 0,
        };
        let taken = client.call(Signal::Traces, items) == Told::Taken { rejected: 0 };
        if taken {
            rig.books.acknowledge(items.numbers());
        }
        taken
    });
}

/// Fills what there is to fill while the backend is away, and looks whether the rest goes on.
fn filled(id: &str, mut rig: Rig, how: &str) {
    rig.sink.down();
    rig.start();
    let pattern = Pattern {
        padding: 2_000,
        ..Pattern::default()
    };
    let load = rig.load(&pattern);
    until("it refuses", Duration::from_secs(60), || {
        load.tally.of(&load.tally.refusals) > 20
    });
    std::thread::sleep(Duration::from_millis(500));
    rig.sink.up();
    std::thread::sleep(Duration::from_secs(2));
    let tally = load.stop();
    assert_eq!(
        tally.of(&tally.bare),
        0,
        "refusals name a time to come again"
    );
    rig.drain(DRAIN);
    takes_again(&rig);
    let audit = rig.drain(DRAIN);
    let ledger = rig.terminate().ledger;
    Finding::new(id, Mode::Storage, 1, &audit)
        .ledger(&ledger)
        .exactly(&ledger, &audit)
        .note(format!("{how}; {} refusals", tally.of(&tally.refusals)))
        .judge();
}

#[test]
fn a_full_disk_shuts_the_door_and_deliveries_go_on() {
    let mut rig = Rig::new(Plan::new(Mode::Storage));
    match system::on_small_disk(&rig.queue(), "12m") {
        Ok(wrapper) => {
            rig.wrapper = wrapper;
            filled("disk-full", rig, "a tmpfs of 12 MiB");
        }
        Err(why) => Finding::skip("disk-full", Mode::Storage, &format!("no mounts: {why}")),
    }
}

#[test]
fn a_queue_at_its_max_size_shuts_the_door_and_deliveries_go_on() {
    let mut plan = Plan::new(Mode::Storage);
    plan.storage = "segment_size: 1MiB, max_size: 12MiB";
    filled("max-size", Rig::new(plan), "`max_size: 12MiB`");
}

/// The calls that change files, make them durable or take them away.
const TRACED: &str = "unlink,unlinkat,fdatasync,fsync,pwritev,pwrite64,fallocate";

/// Makes calls of a running process fail, from outside, until it is ended.
struct Failing {
    strace: Process,
    log: std::path::PathBuf,
}

impl Failing {
    fn start(rig: &mut Rig, calls: &str, error: &str) -> Result<Self, String> {
        let program = system::program("strace")?;
        let log = rig.directory.path().join("strace.log");
        let _ = std::fs::remove_file(&log);
        let mut command = Command::new(program);
        command
            .args(["-f", "-y", "-p", &rig.process().id().to_string()])
            .args(["-e", &format!("trace={TRACED}")])
            .args(["-e", &format!("inject={calls}:error={error}")])
            .arg("-o")
            .arg(&log);
        let strace = Process::start("strace", &mut command);
        Ok(Self { strace, log })
    }

    /// How many calls failed by its doing.
    fn failed(&self) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.matches("(INJECTED)").count()
    }

    fn stop(mut self) -> usize {
        let start = Instant::now();
        while self.failed() == 0 && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.strace.terminate();
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let touched = touched_after_a_failed_sync(&log);
        assert!(touched.is_empty(), "{touched:#?}");
        self.failed()
    }
}

/// The calls on a segment whose sync had failed: what a failed sync stood for is lost, and the kernel does
/// not say so again.
fn touched_after_a_failed_sync(log: &str) -> Vec<String> {
    let (mut failed, mut touched) = (HashSet::new(), Vec::new());
    // The segment of a call that another thread's line has cut in two.
    let mut begun: HashMap<&str, &str> = HashMap::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        if call.trim_start().starts_with("unlink") {
            // Another file may have that name next.
            let gone = call.split('"').nth(1).unwrap_or(" ");
            failed.retain(|path: &&str| !path.ends_with(gone));
            continue;
        }
        let path = call
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        let path = path
            .map(|(path, _)| path)
            .filter(|path| path.ends_with(".seg"));
        let segment = match path {
            Some(path) => path,
            None => match begun.remove(thread) {
                Some(path) => path,
                None => continue,
            },
        };
        if call.contains("<unfinished") {
            begun.insert(thread, segment);
        }
        if path.is_some() && failed.contains(segment) {
            touched.push(line.to_owned());
        }
        if call.contains("sync") && call.contains("(INJECTED)") {
            failed.insert(segment);
        }
    }
    touched
}

#[test]
fn a_call_after_a_failed_sync_is_found_in_what_strace_says() {
    let log = "\
7 pwritev(9</q/a/0000000001.seg>, [], 3, 0) = 8
7 fdatasync(9</q/a/0000000001.seg> <unfinished ...>
8 pwrite64(5</q/a/0000000001.marks>, \"\", 16, 0) = 16
7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)
7 fallocate(10</q/a/0000000002.seg>, 0, 0, 100) = 0
7 fdatasync(10</q/a/0000000002.seg>) = -1 EIO (Input/output error) (INJECTED)
";
    assert_eq!(touched_after_a_failed_sync(log), [""; 0]);
    let anew = "\
7 unlink(\"a/0000000002.seg\") = 0
7 pwritev(11</q/a/0000000002.seg>, [], 1, 0) = 64
";
    let log = &format!("{log}{anew}");
    assert_eq!(touched_after_a_failed_sync(log), [""; 0]);
    let again = "7 pwritev(9</q/a/0000000001.seg>, [], 3, 8) = 8";
    assert_eq!(
        touched_after_a_failed_sync(&format!("{log}{again}")),
        [again]
    );
}

fn failing(id: &str, calls: &str, error: &str) {
    let few = rounds(1, 10);
    let mut rig = Rig::running(Plan::new(Mode::Storage));
    rig.sink.script(|call| match call.index % 3 {
        0 => Answer::Unavailable(None),
        _ => Answer::Slow(Duration::from_millis(20)),
    });
    let load = rig.load(&Pattern::default());
    let mut failed = 0;
    for _ in 0..few {
        std::thread::sleep(Duration::from_millis(300));
        match Failing::start(&mut rig, calls, error) {
            Ok(failing) => {
                std::thread::sleep(Duration::from_millis(500));
                failed += failing.stop();
            }
            Err(why) => {
                load.stop();
                Finding::skip(id, Mode::Storage, &why);
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(300));
        // What was told to be on disk must be there.
        rig.kill();
        rig.start();
    }
    let tally = load.stop();
    assert!(failed > 0, "no call failed");
    assert_eq!(
        tally.of(&tally.bare),
        0,
        "refusals name a time to come again"
    );
    takes_again(&rig);
    let audit = rig.drain(DRAIN);
    let ledger = rig.terminate().ledger;
    Finding::new(id, Mode::Storage, few, &audit)
        .ledger(&ledger)
        .note(format!(
            "{failed} calls failed, each time followed by `kill -9`; {} refusals",
            tally.of(&tally.refusals)
        ))
        .judge();
}

#[test]
fn a_failed_sync_is_no_acknowledgement() {
    failing("fsync-error", "fdatasync,fsync", "EIO");
}

#[test]
fn a_failed_write_is_no_acknowledgement() {
    failing("write-error", "pwritev,pwrite64", "EIO");
}

#[test]
fn no_space_for_a_write_is_no_acknowledgement() {
    failing("no-space", "pwritev,fallocate", "ENOSPC");
}

#[test]
fn a_removed_directory_shuts_the_door_until_a_restart() {
    let mut rig = Rig::running(Plan::new(Mode::Storage));
    rig.sink.always(Answer::Slow(Duration::from_millis(100)));
    let load = rig.load(&Pattern::default());
    std::thread::sleep(Duration::from_millis(700));
    std::fs::remove_dir_all(rig.queue()).expect("it can be removed");
    // What a backend takes at once needs no directory.
    rig.sink.always(Answer::Unavailable(None));
    until("it refuses", Duration::from_secs(30), || {
        load.tally.of(&load.tally.refusals) > 20
    });
    rig.sink.always(Answer::Take);
    let tally = load.stop();
    assert_eq!(
        tally.of(&tally.bare),
        0,
        "refusals name a time to come again"
    );
    rig.drain(DRAIN);
    rig.terminate();
    rig.start();
    takes_again(&rig);
    let audit = rig.drain(DRAIN);
    let ledger = rig.terminate().ledger;
    Finding::new("directory-removed", Mode::Storage, 1, &audit)
        .ledger(&ledger)
        .note(format!("{} refusals", tally.of(&tally.refusals)))
        .judge();
}

#[test]
fn a_second_process_on_the_same_directory_is_refused_by_name() {
    let mut rig = Rig::running(Plan::new(Mode::Storage));
    let load = rig.load(&Pattern::default());
    let mut second = rig.spawn(&Ports::free());
    assert!(!second.wait_end().success(), "{}", second.output());
    let first = rig.process().id().to_string();
    let said = second.output();
    assert!(said.contains(&first), "{first} is not named in: {said}");
    std::thread::sleep(Duration::from_millis(300));
    load.stop();
    let audit = rig.drain(DRAIN);
    let ledger = rig.terminate().ledger;
    Finding::new("two-processes", Mode::Storage, 1, &audit)
        .ledger(&ledger)
        .exactly(&ledger, &audit)
        .judge();
}
