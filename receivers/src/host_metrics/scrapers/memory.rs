//! `memory`: what the host's memory is used for.

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault_in};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Emit, Part, Reader, metrics};

metrics! {
    /// What `memory` makes.
    pub(in crate::host_metrics) enum Metrics {
    SystemLinuxMemoryAvailable: off "system.linux.memory.available" ["By"] Kind::UP_DOWN_COUNTER,
        [];
        "An estimate of how much memory is available for starting new applications, without swapping. This is a more accurate alternative than system.memory.usage with state=free. (Linux only)"
    SystemLinuxMemoryDirty: off "system.linux.memory.dirty" ["By"] Kind::UP_DOWN_COUNTER,
        [];
        "The amount of dirty memory according to `/proc/meminfo`."
    Limit: off "system.memory.limit" ["By"] Kind::UP_DOWN_COUNTER,
        [];
        "Total bytes of memory available."
    LinuxHugepagesLimit: off "system.memory.linux.hugepages.limit" ["{page}"] Kind::UP_DOWN_COUNTER,
        [];
        "Total number of hugepages available."
    LinuxHugepagesPageSize: off "system.memory.linux.hugepages.page_size" ["By"] Kind::UP_DOWN_COUNTER,
        [];
        "System hugepage size in bytes."
    LinuxHugepagesReserved: off "system.memory.linux.hugepages.reserved" ["{page}"] Kind::UP_DOWN_COUNTER,
        [];
        "Number of reserved hugepages (hugepages for which a commitment to allocate has been made, but no allocation has yet been made). This is reported as a separate metric rather than a usage state because reserved pages are already counted in free pages - they represent a subset of free pages that cannot be used for non-reserved allocations."
    LinuxHugepagesSurplus: off "system.memory.linux.hugepages.surplus" ["{page}"] Kind::UP_DOWN_COUNTER,
        [];
        "Number of surplus hugepages (overcommitted hugepages beyond the persistent pool). This is reported as a separate metric rather than a usage state because surplus pages can be in either used or free state, and including them would break the semantic convention that usage states must sum to the limit."
    LinuxHugepagesUsage: off "system.memory.linux.hugepages.usage" ["{page}"] Kind::UP_DOWN_COUNTER,
        ["system.memory.linux.hugepages.state"];
        "Number of hugepages in use by state."
    LinuxHugepagesUtilization: off "system.memory.linux.hugepages.utilization" ["1"] Kind::Gauge,
        ["system.memory.linux.hugepages.state"];
        "Percentage of hugepages in use by state."
    LinuxShared: off "system.memory.linux.shared" ["By"] Kind::UP_DOWN_COUNTER,
        [];
        "Shared memory usage, including tmpfs filesystems and System V/POSIX shared memory. Only supported on Linux."
    PageSize: off "system.memory.page_size" ["By"] Kind::Gauge,
        [];
        "A constant value for the system's configured page size."
    Usage: on "system.memory.usage" ["By"] Kind::UP_DOWN_COUNTER,
        ["state"];
        "Bytes of memory in use."
    Utilization: off "system.memory.utilization" ["1"] Kind::Gauge,
        ["state"];
        "Percentage of memory bytes in use."
    }
}

/// What is read of `/proc/meminfo`, in bytes; huge pages are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::host_metrics) struct Memory {
    pub(in crate::host_metrics) total: u64,
    free: u64,
    available: Option<u64>,
    buffers: u64,
    cached: u64,
    dirty: u64,
    shared: u64,
    reclaimable: u64,
    unreclaimable: u64,
    huge_total: u64,
    huge_free: u64,
    huge_reserved: u64,
    huge_surplus: u64,
    huge_size: u64,
}

impl Memory {
    /// Reads the text; what the kernel does not tell is 0.
    pub(in crate::host_metrics) fn parse(meminfo: &[u8]) -> Self {
        let mut memory = Self::default();
        for line in text::lines(meminfo) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let mut words = text::words(&line[colon + 1..]);
            let Some(count) = words.next().and_then(text::number) else {
                continue;
            };
            let value = match words.next() {
                Some(b"kB") => count.saturating_mul(1024),
                _ => count,
            };
            match line[..colon].trim_ascii() {
                b"MemTotal" => memory.total = value,
                b"MemFree" => memory.free = value,
                b"MemAvailable" => memory.available = Some(value),
                b"Buffers" => memory.buffers = value,
                b"Cached" => memory.cached = value,
                b"Dirty" => memory.dirty = value,
                b"Shmem" => memory.shared = value,
                b"SReclaimable" => memory.reclaimable = value,
                b"SUnreclaim" => memory.unreclaimable = value,
                b"HugePages_Total" => memory.huge_total = value,
                b"HugePages_Free" => memory.huge_free = value,
                b"HugePages_Rsvd" => memory.huge_reserved = value,
                b"HugePages_Surp" => memory.huge_surplus = value,
                b"Hugepagesize" => memory.huge_size = value,
                _ => {}
            }
        }
        memory.cached = memory.cached.saturating_add(memory.reclaimable);
        memory
    }

    fn available(&self) -> u64 {
        let rest = self.cached.saturating_add(self.free);
        self.available.unwrap_or(rest)
    }

    /// The bytes by what they are used for, in the Collector's order.
    fn states(&self) -> [(&'static str, u64); 6] {
        [
            ("used", self.total.saturating_sub(self.available())),
            ("free", self.free),
            ("buffered", self.buffers),
            ("cached", self.cached),
            ("slab_reclaimable", self.reclaimable),
            ("slab_unreclaimable", self.unreclaimable),
        ]
    }

    fn huge_states(&self) -> [(&'static str, u64); 2] {
        let used = self.huge_total.saturating_sub(self.huge_free);
        [("free", self.huge_free), ("used", used)]
    }

    fn write(&self, out: &mut Emit<'_, Metrics>) {
        out.int(Metrics::SystemLinuxMemoryAvailable, self.available());
        out.int(Metrics::SystemLinuxMemoryDirty, self.dirty);
        out.int(Metrics::Limit, self.total);
        out.int(Metrics::LinuxHugepagesLimit, self.huge_total);
        out.int(Metrics::LinuxHugepagesPageSize, self.huge_size);
        out.int(Metrics::LinuxHugepagesReserved, self.huge_reserved);
        out.int(Metrics::LinuxHugepagesSurplus, self.huge_surplus);
        out.metric(Metrics::LinuxHugepagesUsage, |points| {
            for (state, pages) in self.huge_states() {
                points.int(pages, &[state]);
            }
        });
        out.metric(Metrics::LinuxHugepagesUtilization, |points| {
            for (state, pages) in self.huge_states() {
                points.double(text::ratio(pages, self.huge_total), &[state]);
            }
        });
        out.int(Metrics::LinuxShared, self.shared);
        out.int(Metrics::PageSize, rustix::param::page_size() as u64);
        out.metric(Metrics::Usage, |points| {
            for (state, bytes) in self.states() {
                points.int(bytes, &[state]);
            }
        });
        out.metric(Metrics::Utilization, |points| {
            for (state, bytes) in self.states() {
                points.double(text::ratio(bytes, self.total), &[state]);
            }
        });
    }
}

/// Reads `/proc/meminfo`.
pub(in crate::host_metrics) struct MemoryReader {
    files: Files,
    chosen: Chosen<Metrics>,
}

impl MemoryReader {
    pub(in crate::host_metrics) const NAME: &'static str = "memory";

    pub(in crate::host_metrics) fn new(host: Host, chosen: Chosen<Metrics>) -> Self {
        Self {
            files: Files::new(host),
            chosen,
        }
    }

    fn memory(&mut self) -> Result<Memory, String> {
        let memory = Memory::parse(self.files.proc("meminfo")?);
        match memory.total {
            0 => Err(fault_in(&self.files.host.proc("meminfo"), "no MemTotal")),
            _ => Ok(memory),
        }
    }
}

impl Reader for MemoryReader {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        match self.memory() {
            Ok(memory) => {
                let Part {
                    request, metrics, ..
                } = part;
                let mut out = emit(Self::NAME, request, metrics, &self.chosen, start, time);
                memory.write(&mut out);
            }
            Err(error) => part.faults.add("the memory cannot be read", 2, || error),
        }
    }
}
