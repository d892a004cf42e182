//! `filesystem`: how full the mounted file systems are.

use std::path::{Path, PathBuf};

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault};
use crate::host_metrics::matching::Filter;
use crate::host_metrics::mounts::{self, Mount};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Faults, Part, Reader, metrics};

metrics! {
    /// What `filesystem` makes.
    pub(in crate::host_metrics) enum Metrics {
    InodesUsage: on "system.filesystem.inodes.usage" ["{inodes}"] Kind::UP_DOWN_COUNTER,
        ["device", "mode", "mountpoint", "type", "state"];
        "FileSystem inodes used."
    Usage: on "system.filesystem.usage" ["By"] Kind::UP_DOWN_COUNTER,
        ["device", "mode", "mountpoint", "type", "state"];
        "Filesystem bytes used."
    Utilization: off "system.filesystem.utilization" ["1"] Kind::Gauge,
        ["device", "mode", "mountpoint", "type"];
        "Fraction of filesystem bytes used."
    }
}

/// Which file systems are looked at.
#[derive(Clone, Debug, Default)]
pub(in crate::host_metrics) struct Filters {
    pub(in crate::host_metrics) devices: Filter,
    pub(in crate::host_metrics) fs_types: Filter,
    pub(in crate::host_metrics) mount_points: Filter,
    /// Takes those too that no device is behind.
    pub(in crate::host_metrics) with_virtual: bool,
}

impl Filters {
    fn take(&self, mount: &Mount) -> bool {
        self.devices.takes(&mount.device)
            && self.fs_types.takes(&mount.kind)
            && self.mount_points.takes(&mount.point)
    }
}

/// How full a file system is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Usage {
    used: u64,
    /// What users other than root may still take.
    free: u64,
    reserved: u64,
    inodes_used: u64,
    inodes_free: u64,
}

impl Usage {
    fn of(path: &Path) -> std::io::Result<Self> {
        let stat = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        Ok(Self {
            used: bytes(used),
            free: bytes(stat.f_bavail),
            reserved: bytes(stat.f_bfree.saturating_sub(stat.f_bavail)),
            inodes_used: stat.f_files.saturating_sub(stat.f_ffree),
            inodes_free: stat.f_ffree,
        })
    }
}

/// Reads the list of mounts, and asks each of them.
pub(in crate::host_metrics) struct Filesystem {
    files: Files,
    chosen: Chosen<Metrics>,
    filters: Filters,
}

impl Filesystem {
    pub(in crate::host_metrics) const NAME: &'static str = "filesystem";

    pub(in crate::host_metrics) fn new(
        host: Host,
        chosen: Chosen<Metrics>,
        filters: Filters,
    ) -> Self {
        Self {
            files: Files::new(host),
            chosen,
            filters,
        }
    }

    /// The mounts, as the first process sees them, or this one where that is not to be read.
    fn mounts(&mut self, faults: &mut Faults) -> Result<Vec<Mount>, String> {
        let places = match self.files.host.mountinfo() {
            Some(path) => vec![path.to_owned()],
            None => ["1/mountinfo", "self/mountinfo"]
                .map(|file| self.files.host.proc(file))
                .to_vec(),
        };
        let host = self.files.host.clone();
        let mut error = String::new();
        for path in places {
            match self.files.read(&path) {
                Ok(text) => {
                    let all = self.filters.with_virtual;
                    return Ok(mounts::parse(text, all, &host, &path, faults));
                }
                Err(fault) => error = fault,
            }
        }
        Err(error)
    }

    fn usages(&mut self, faults: &mut Faults) -> Vec<(Mount, Usage)> {
        let mounts = match self.mounts(faults) {
            Ok(mounts) => mounts,
            Err(error) => {
                faults.add("file systems cannot be read", 2, || error);
                return Vec::new();
            }
        };
        let mut seen = std::collections::HashSet::new();
        let mut usages = Vec::new();
        let mut failed = false;
        for mount in mounts {
            let key = (mount.point.clone(), mount.device.clone());
            if !seen.insert(key) || !self.filters.take(&mount) {
                continue;
            }
            let path: PathBuf = self.files.host.mounted(&mount.point);
            match Usage::of(&path) {
                Ok(usage) => usages.push((mount, usage)),
                Err(error) => {
                    failed = true;
                    faults.add("a file system does not tell how full it is", 0, || {
                        fault(&path, &error)
                    });
                }
            }
        }
        if failed && usages.is_empty() {
            faults.add("no file system tells how full it is", 2, String::new);
        }
        usages
    }
}

impl Reader for Filesystem {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        let usages = self.usages(&mut part.faults);
        let Part {
            request, metrics, ..
        } = part;
        let mut out = emit(Self::NAME, request, metrics, &self.chosen, start, time);
        out.metric(Metrics::InodesUsage, |points| {
            for (mount, usage) in &usages {
                let [device, mode, point, kind] = mount.attributes();
                for (state, count) in [("used", usage.inodes_used), ("free", usage.inodes_free)] {
                    points.int(count, &[device, mode, point, kind, state]);
                }
            }
        });
        out.metric(Metrics::Usage, |points| {
            for (mount, usage) in &usages {
                let [device, mode, point, kind] = mount.attributes();
                for (state, bytes) in [
                    ("used", usage.used),
                    ("free", usage.free),
                    ("reserved", usage.reserved),
                ] {
                    points.int(bytes, &[device, mode, point, kind, state]);
                }
            }
        });
        out.metric(Metrics::Utilization, |points| {
            for (mount, usage) in &usages {
                let whole = usage.used.saturating_add(usage.free);
                points.double(text::ratio(usage.used, whole), &mount.attributes());
            }
        });
    }
}
