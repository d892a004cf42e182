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
    /// Size of one scrape, in MB.
    ScrapeSize,
}

impl Figure {
    /// Whether programs are set against each other by it.
    pub(crate) fn is_compared(self) -> bool {
        use Figure::*;
        match self {
            Cpu | ScrapeCpu | PeakMemory | IdleMemory | Start | Binary => true,
            Lost | Doubled | Refused | Throughput | P50 | P99 | ScrapeSize => false,
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
            Figure::ScrapeSize => "scrape, MB".to_owned(),
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
