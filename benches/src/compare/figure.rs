//! What is measured of a run, and the statistics over rounds.

use serde::{Deserialize, Serialize};

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// Nanoseconds of CPU per item.
    Cpu,
    /// Milliseconds of CPU per scrape.
    ScrapeCpu,
    /// The most memory that was ever resident, in MiB.
    PeakMemory,
    /// Resident memory after some seconds without load, in MiB.
    IdleMemory,
    /// Milliseconds from the start of the process to open ports.
    Start,
    /// Size of the binary, in MB.
    Binary,
    /// Accepted items that never arrived.
    Lost,
    /// Items that arrived more than once.
    Doubled,
    /// Attempts that were refused with a status that says so.
    Refused,
    /// Items accepted per second.
    Throughput,
    /// Median and 99th percentile of the time from request to answer, in milliseconds.
    P50,
    P99,
    /// The 99th percentile of a queue in memory under the same load.
    MemoryP99,
    /// The 99th percentile, times that of a sync of the same disk.
    SyncRatio,
    /// Median and 99th percentile of 64 KiB appended and synced, in milliseconds.
    SyncP50,
    SyncP99,
    /// Bytes over the wire per second that a queue on disk was delivered with, in MB.
    Replay,
    /// The most by which memory with a long queue exceeded that with a short one, in MiB.
    Growth,
    /// The most that was resident while a queue was filled, after a restart, and while it was delivered, in MiB.
    Filling,
    Restarted,
    Replaying,
    /// What the queue took on disk, in MB.
    OnDisk,
    /// Size of one scrape, in MB.
    ScrapeSize,
}

impl Figure {
    /// Whether programs are set against each other by it.
    pub(crate) fn is_compared(self) -> bool {
        use Figure::*;
        match self {
            Cpu | ScrapeCpu | PeakMemory | IdleMemory | Start | Binary => true,
            SyncRatio | Replay | Growth => true,
            Lost | Doubled | Refused | Throughput | P50 | P99 | MemoryP99 | ScrapeSize => false,
            SyncP50 | SyncP99 | Filling | Restarted | Replaying | OnDisk => false,
        }
    }

    pub(crate) fn title(self, item: &str) -> String {
        match self {
            Figure::Cpu => format!("CPU per {item}, ns"),
            Figure::ScrapeCpu => "CPU per scrape, ms".to_owned(),
            Figure::PeakMemory => "peak RSS, MiB".to_owned(),
            Figure::IdleMemory => "idle RSS, MiB".to_owned(),
            Figure::Start => "start to listening, ms".to_owned(),
            Figure::Binary => "binary, MB".to_owned(),
            Figure::Lost => format!("{item}s accepted and lost"),
            Figure::Doubled => format!("{item}s delivered twice"),
            Figure::Refused => "refusals".to_owned(),
            Figure::Throughput => format!("{item}s per second"),
            Figure::P50 => "p50, ms".to_owned(),
            Figure::P99 => "p99, ms".to_owned(),
            Figure::MemoryP99 => "p99 of a queue in memory, ms".to_owned(),
            Figure::ScrapeSize => "scrape, MB".to_owned(),
            Figure::SyncRatio => "p99, times that of a sync and the window of a group".to_owned(),
            Figure::SyncP50 => "sync p50, ms".to_owned(),
            Figure::SyncP99 => "sync p99, ms".to_owned(),
            Figure::Replay => "replay, MB of wire bytes per second".to_owned(),
            Figure::Growth => "more RSS by the longer queue, MiB".to_owned(),
            Figure::Filling => "RSS filling".to_owned(),
            Figure::Restarted => "restarted".to_owned(),
            Figure::Replaying => "replaying, MiB".to_owned(),
            Figure::OnDisk => "on disk, MB".to_owned(),
        }
    }
}

/// The median of several rounds and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Sums up the values; `None` if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Spread {
            median,
            least,
            most,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (3.0, 1.0, 10.0));
        assert_eq!(Spread::of([5.0]).unwrap().median, 5.0);
        assert_eq!(Spread::of([]), None);
    }
}
