//! What is promised under which fault: the rows of the table, in its order.

use crate::rig::Mode;

/// What an acknowledgement is worth under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// All of it arrives, or the backend said no to it for good.
    Arrives,
    /// What does not arrive is in the ledger with its reason.
    InLedger,
    /// What the process held dies with it.
    DiesWithProcess,
    /// All but the records whose bytes were damaged arrives. Their bytes are kept in quarantine where there
    /// are any, and their items counted where the head of the record can be read.
    AllButDamaged,
    /// Each item is in one object and in no other.
    ExactlyOnce,
}

impl Promise {
    pub fn text(self) -> &'static str {
        match self {
            Self::Arrives => "nothing is lost",
            Self::InLedger => "what does not arrive is in the ledger",
            Self::DiesWithProcess => "none: what it held dies with it",
            Self::AllButDamaged => "only records that were hit are lost",
            Self::ExactlyOnce => "each item is in exactly one object",
        }
    }
}

/// A fault and what is promised under it, mode by mode.
pub struct Fault {
    pub id: &'static str,
    pub text: &'static str,
    pub promises: &'static [(Mode, Promise)],
}

use Mode::{Delivered, Memory, Storage};
use Promise::{AllButDamaged, Arrives, DiesWithProcess, ExactlyOnce, InLedger};

const EVERYWHERE: &[(Mode, Promise)] =
    &[(Storage, Arrives), (Delivered, Arrives), (Memory, InLedger)];
const ON_DISK: &[(Mode, Promise)] = &[(Storage, Arrives)];

const fn fault(
    id: &'static str,
    text: &'static str,
    promises: &'static [(Mode, Promise)],
) -> Fault {
    Fault { id, text, promises }
}

pub const FAULTS: &[Fault] = &[
    fault(
        "kill",
        "`kill -9` at random moments, under load",
        &[
            (Storage, Arrives),
            (Delivered, Arrives),
            (Memory, DiesWithProcess),
        ],
    ),
    fault(
        "objects-directory",
        "objects in a directory: `kill -9` before, in and after the write of a seal, in the write of the object, \
         before and after it gets its name, before and after its end is written; puts that fail at each of \
         these places",
        &[(Storage, ExactlyOnce)],
    ),
    fault(
        "objects-s3",
        "objects in S3 (moto): `kill -9` before, in and after the write of a seal, before, in and after the put, \
         before and after its end is written; connections cut before, in and after the put; a put that arrives \
         when its process is dead and the next has put the object again",
        &[(Storage, ExactlyOnce)],
    ),
    fault(
        "objects-azure",
        "objects in Azure (azurite), likewise",
        &[(Storage, ExactlyOnce)],
    ),
    fault(
        "terminate",
        "SIGTERM under load, the backend healthy",
        &[(Storage, Arrives), (Delivered, Arrives), (Memory, Arrives)],
    ),
    fault(
        "handover",
        "restart under load, the sockets handed over to the next process",
        &[(Storage, Arrives), (Delivered, Arrives), (Memory, Arrives)],
    ),
    fault(
        "terminate-dead",
        "SIGTERM under load, the backend dead",
        EVERYWHERE,
    ),
    fault("down", "backend down, then up", EVERYWHERE),
    fault(
        "given-up",
        "backend down for longer than `max_elapsed_time`",
        &[(Memory, InLedger)],
    ),
    fault("slow", "backend slow", EVERYWHERE),
    fault("timeout", "backend slower than `timeout`", EVERYWHERE),
    fault(
        "reset",
        "backend resets connections, before and after it took the data",
        EVERYWHERE,
    ),
    fault(
        "refusing",
        "backend answers 429, 503, UNAVAILABLE, RESOURCE_EXHAUSTED",
        EVERYWHERE,
    ),
    fault(
        "partial",
        "backend takes half of the items: partial success",
        EVERYWHERE,
    ),
    fault("poison", "backend rejects some items for good", EVERYWHERE),
    fault(
        "garbage",
        "backend answers nonsense, on the wire and as a response",
        EVERYWHERE,
    ),
    fault(
        "toxi-latency",
        "toxiproxy: delay of 150 ms both ways, jitter 100 ms",
        EVERYWHERE,
    ),
    fault("toxi-reset", "toxiproxy: resets by the peer", EVERYWHERE),
    fault(
        "toxi-timeout",
        "toxiproxy: answers stop, then the connection closes",
        EVERYWHERE,
    ),
    fault(
        "toxi-cut",
        "toxiproxy: the network is cut and comes back",
        EVERYWHERE,
    ),
    fault("packet-loss", "packets are lost", EVERYWHERE),
    fault("disk-full", "disk full", ON_DISK),
    fault("max-size", "queue at its `max_size`", ON_DISK),
    fault(
        "fsync-error",
        "fdatasync fails with EIO, by strace, in a running process; its segment is not touched again",
        ON_DISK,
    ),
    fault("write-error", "writes fail with EIO, likewise", ON_DISK),
    fault("no-space", "writes fail with ENOSPC, likewise", ON_DISK),
    fault(
        "directory-removed",
        "the queue's directory is removed while running",
        ON_DISK,
    ),
    fault("two-processes", "two processes on one directory", ON_DISK),
    fault(
        "damage",
        "bit flips, cuts and blocks of zeros in segments (every field of a record, payload, padding, \
         header, footer), marks, identity, flights, deaths; there is no index",
        &[(Storage, AllButDamaged)],
    ),
    fault(
        "clock",
        "the clock jumps back by hours and years, even before 1970",
        EVERYWHERE,
    ),
    fault(
        "overload",
        "overload: up to four times what the backend takes",
        EVERYWHERE,
    ),
    fault("restart", "restart with data left on disk", ON_DISK),
    fault(
        "removed-exporter",
        "an exporter is removed and comes back",
        ON_DISK,
    ),
    fault(
        "python",
        "a Python SDK application, the collector killed and ended under it",
        &[(Storage, Arrives), (Delivered, Arrives)],
    ),
];

/// What is promised; there is a row for every scenario.
pub fn promise(id: &str, mode: Mode) -> Promise {
    let fault = FAULTS.iter().find(|fault| fault.id == id);
    let fault = fault.unwrap_or_else(|| panic!("{id} has no row"));
    let found = fault.promises.iter().find(|(of, _)| *of == mode);
    found
        .unwrap_or_else(|| panic!("{id} promises nothing in mode {mode:?}"))
        .1
}
