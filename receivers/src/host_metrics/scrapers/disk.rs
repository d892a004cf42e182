//! `disk`: what block devices read and wrote.

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault_in};
use crate::host_metrics::matching::Filter;
use crate::host_metrics::text;
use crate::scrape::{Chosen, Part, Reader, metrics};

metrics! {
    /// What `disk` makes.
    pub(in crate::host_metrics) enum Metrics {
    Io: on "system.disk.io" ["By"] Kind::COUNTER,
        ["device", "direction"];
        "Disk bytes transferred."
    IoTime: on "system.disk.io_time" ["s"] Kind::COUNTER,
        ["device"];
        "Time disk spent activated. On Windows, this is calculated as the inverse of disk idle time."
    Merged: on "system.disk.merged" ["{operations}"] Kind::COUNTER,
        ["device", "direction"];
        "The number of disk reads/writes merged into single physical disk access operations."
    OperationTime: on "system.disk.operation_time" ["s"] Kind::COUNTER,
        ["device", "direction"];
        "Time spent in disk operations."
    Operations: on "system.disk.operations" ["{operations}"] Kind::COUNTER,
        ["device", "direction"];
        "Disk operations count."
    PendingOperations: on "system.disk.pending_operations" ["{operations}"] Kind::UP_DOWN_COUNTER,
        ["device"];
        "The queue size of pending I/O operations."
    WeightedIoTime: on "system.disk.weighted_io_time" ["s"] Kind::COUNTER,
        ["device"];
        "Time disk spent activated multiplied by the queue length."
    }
}

/// The kernel counts in sectors of this size, whatever a device's own are.
const SECTOR: u64 = 512;

/// A line of `/proc/diskstats`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counters {
    device: String,
    /// Reads, merged, sectors, milliseconds; the same of writes; under way, busy and weighted
    /// milliseconds.
    counts: [u64; 11],
}

impl Counters {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = text::words(line);
        let device = words.nth(2)?;
        let mut counts = [0; 11];
        for count in &mut counts {
            *count = text::number(words.next()?)?;
        }
        Some(Self {
            device: text::text(device).into_owned(),
            counts,
        })
    }

    /// Whether the device has never done anything, as loop devices that nobody uses.
    fn is_unused(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }
}

/// Reads `/proc/diskstats`.
pub(in crate::host_metrics) struct Disk {
    files: Files,
    chosen: Chosen<Metrics>,
    filter: Filter,
}

impl Disk {
    pub(in crate::host_metrics) const NAME: &'static str = "disk";

    pub(in crate::host_metrics) fn new(
        host: Host,
        chosen: Chosen<Metrics>,
        filter: Filter,
    ) -> Self {
        Self {
            files: Files::new(host),
            chosen,
            filter,
        }
    }
}

impl Reader for Disk {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        let path = self.files.host.proc("diskstats");
        let stats = match self.files.proc("diskstats") {
            Ok(stats) => stats,
            Err(error) => {
                part.faults.add("disks cannot be read", 7, || error);
                return;
            }
        };
        let mut disks = Vec::new();
        for line in text::lines(stats).filter(|line| !line.trim_ascii().is_empty()) {
            match Counters::parse(line) {
                Some(disk) if disk.is_unused() || !self.filter.takes(&disk.device) => {}
                Some(disk) => disks.push(disk),
                None => part
                    .faults
                    .add("a line about a disk makes no sense", 0, || {
                        fault_in(&path, &text::text(line))
                    }),
            }
        }
        let mut out = emit(
            Self::NAME,
            &mut part.request,
            &mut part.metrics,
            &self.chosen,
            start,
            time,
        );
        let both = |read: usize, write: usize| [("read", read), ("write", write)];
        out.metric(Metrics::Io, |points| {
            for disk in &disks {
                for (direction, at) in both(2, 6) {
                    let bytes = disk.counts[at].wrapping_mul(SECTOR);
                    points.int(bytes, &[&disk.device, direction]);
                }
            }
        });
        out.metric(Metrics::IoTime, |points| {
            for disk in &disks {
                points.double(text::seconds(disk.counts[9]), &[&disk.device]);
            }
        });
        out.metric(Metrics::Merged, |points| {
            for disk in &disks {
                for (direction, at) in both(1, 5) {
                    points.int(disk.counts[at], &[&disk.device, direction]);
                }
            }
        });
        out.metric(Metrics::OperationTime, |points| {
            for disk in &disks {
                for (direction, at) in both(3, 7) {
                    let time = text::seconds(disk.counts[at]);
                    points.double(time, &[&disk.device, direction]);
                }
            }
        });
        out.metric(Metrics::Operations, |points| {
            for disk in &disks {
                for (direction, at) in both(0, 4) {
                    points.int(disk.counts[at], &[&disk.device, direction]);
                }
            }
        });
        out.metric(Metrics::PendingOperations, |points| {
            for disk in &disks {
                points.int(disk.counts[8], &[&disk.device]);
            }
        });
        out.metric(Metrics::WeightedIoTime, |points| {
            for disk in &disks {
                points.double(text::seconds(disk.counts[10]), &[&disk.device]);
            }
        });
    }
}
