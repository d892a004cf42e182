//! `paging`: swap space, and pages that came and went.

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault_in};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Part, Reader, metrics};

metrics! {
    /// What `paging` makes.
    pub(in crate::host_metrics) enum Metrics {
    Faults: on "system.paging.faults" ["{faults}"] Kind::COUNTER,
        ["type"];
        "The number of page faults."
    Operations: on "system.paging.operations" ["{operations}"] Kind::COUNTER,
        ["direction", "type"];
        "The number of paging operations."
    Usage: on "system.paging.usage" ["By"] Kind::UP_DOWN_COUNTER,
        ["device", "state"];
        "Swap (unix) or pagefile (windows) usage."
    Utilization: off "system.paging.utilization" ["1"] Kind::Gauge,
        ["device", "state"];
        "Swap (unix) or pagefile (windows) utilization."
    }
}

/// A line of `/proc/swaps`, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Swap {
    device: String,
    total: u64,
    used: u64,
}

impl Swap {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = text::words(line);
        let device = words.next()?;
        let _partition_or_file = words.next()?;
        let mut bytes = || text::number(words.next()?)?.checked_mul(1024);
        Some(Self {
            device: text::text(device).into_owned(),
            total: bytes()?,
            used: bytes()?,
        })
    }

    fn states(&self) -> [(&'static str, u64); 2] {
        [
            ("used", self.used),
            ("free", self.total.saturating_sub(self.used)),
        ]
    }
}

/// What is read of `/proc/vmstat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Paged {
    swapped_in: u64,
    swapped_out: u64,
    paged_in: u64,
    paged_out: u64,
    faults: u64,
    major_faults: u64,
}

impl Paged {
    fn parse(vmstat: &[u8]) -> Self {
        let mut paged = Self::default();
        for line in text::lines(vmstat) {
            let mut words = text::words(line);
            let (Some(name), Some(count)) = (words.next(), words.next().and_then(text::number))
            else {
                continue;
            };
            match name {
                b"pswpin" => paged.swapped_in = count,
                b"pswpout" => paged.swapped_out = count,
                b"pgpgin" => paged.paged_in = count,
                b"pgpgout" => paged.paged_out = count,
                b"pgfault" => paged.faults = count,
                b"pgmajfault" => paged.major_faults = count,
                _ => {}
            }
        }
        paged
    }
}

/// Reads `/proc/swaps` and `/proc/vmstat`.
pub(in crate::host_metrics) struct Paging {
    files: Files,
    chosen: Chosen<Metrics>,
}

impl Paging {
    pub(in crate::host_metrics) const NAME: &'static str = "paging";

    pub(in crate::host_metrics) fn new(host: Host, chosen: Chosen<Metrics>) -> Self {
        Self {
            files: Files::new(host),
            chosen,
        }
    }

    fn swaps(&mut self, part: &mut Part) -> Vec<Swap> {
        let path = self.files.host.proc("swaps");
        let text = match self.files.proc("swaps") {
            Ok(text) => text,
            Err(error) => {
                part.faults.add("swap space cannot be read", 2, || error);
                return Vec::new();
            }
        };
        let mut swaps = Vec::new();
        // The first line names the columns.
        for line in text::lines(text)
            .skip(1)
            .filter(|line| !line.trim_ascii().is_empty())
        {
            match Swap::parse(line) {
                Some(swap) => swaps.push(swap),
                None => part
                    .faults
                    .add("a line about swap space makes no sense", 0, || {
                        fault_in(&path, &text::text(line))
                    }),
            }
        }
        swaps
    }
}

impl Reader for Paging {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        let swaps = self.swaps(part);
        let paged = match self.files.proc("vmstat") {
            Ok(vmstat) => Some(Paged::parse(vmstat)),
            Err(error) => {
                part.faults.add("paging cannot be read", 2, || error);
                None
            }
        };
        let Part {
            request, metrics, ..
        } = part;
        let mut out = emit(Self::NAME, request, metrics, &self.chosen, start, time);
        if let Some(paged) = paged {
            out.metric(Metrics::Faults, |points| {
                points.int(paged.major_faults, &["major"]);
                points.int(paged.faults.wrapping_sub(paged.major_faults), &["minor"]);
            });
            out.metric(Metrics::Operations, |points| {
                points.int(paged.swapped_in, &["page_in", "major"]);
                points.int(paged.swapped_out, &["page_out", "major"]);
                points.int(paged.paged_in, &["page_in", "minor"]);
                points.int(paged.paged_out, &["page_out", "minor"]);
            });
        }
        out.metric(Metrics::Usage, |points| {
            for swap in &swaps {
                for (state, bytes) in swap.states() {
                    points.int(bytes, &[&swap.device, state]);
                }
            }
        });
        out.metric(Metrics::Utilization, |points| {
            for swap in &swaps {
                for (state, bytes) in swap.states() {
                    let share = bytes as f64 / swap.total as f64;
                    points.double(share, &[&swap.device, state]);
                }
            }
        });
    }
}
