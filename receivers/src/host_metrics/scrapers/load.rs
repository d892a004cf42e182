//! `load`: how many threads wanted to run, on average.

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault_in};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Part, Reader, metrics};

metrics! {
    /// What `load` makes.
    pub(in crate::host_metrics) enum Metrics {
    Average15m: on "system.cpu.load_average.15m" ["{thread}"] Kind::Gauge,
        [];
        "Average CPU Load over 15 minutes."
    Average1m: on "system.cpu.load_average.1m" ["{thread}"] Kind::Gauge,
        [];
        "Average CPU Load over 1 minute."
    Average5m: on "system.cpu.load_average.5m" ["{thread}"] Kind::Gauge,
        [];
        "Average CPU Load over 5 minutes."
    }
}

/// Reads `/proc/loadavg`.
pub(in crate::host_metrics) struct Load {
    files: Files,
    chosen: Chosen<Metrics>,
    /// Divides by the number of CPUs.
    per_cpu: bool,
}

impl Load {
    pub(in crate::host_metrics) const NAME: &'static str = "load";

    pub(in crate::host_metrics) fn new(host: Host, chosen: Chosen<Metrics>, per_cpu: bool) -> Self {
        Self {
            files: Files::new(host),
            chosen,
            per_cpu,
        }
    }

    /// The averages over 1, 5 and 15 minutes.
    fn averages(&mut self) -> Result<[f64; 3], String> {
        let path = self.files.host.proc("loadavg");
        let mut averages = parse(self.files.proc("loadavg")?)
            .ok_or_else(|| fault_in(&path, "no three averages"))?;
        if self.per_cpu {
            let cpus = cpus(self.files.proc("stat")?);
            averages = averages.map(|average| average / cpus);
        }
        Ok(averages)
    }
}

fn parse(loadavg: &[u8]) -> Option<[f64; 3]> {
    let mut words = text::words(loadavg);
    let mut next = || text::decimal(words.next()?);
    Some([next()?, next()?, next()?])
}

/// The CPUs that are online.
fn cpus(stat: &[u8]) -> f64 {
    let is_cpu = |line: &&[u8]| {
        let number = line.strip_prefix(b"cpu").and_then(|rest| rest.first());
        number.is_some_and(u8::is_ascii_digit)
    };
    text::lines(stat).filter(is_cpu).count().max(1) as f64
}

impl Reader for Load {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        match self.averages() {
            Ok([one, five, fifteen]) => {
                let Part {
                    request, metrics, ..
                } = part;
                let mut out = emit(Self::NAME, request, metrics, &self.chosen, start, time);
                out.double(Metrics::Average15m, fifteen);
                out.double(Metrics::Average1m, one);
                out.double(Metrics::Average5m, five);
            }
            Err(error) => part.faults.add("the load cannot be read", 3, || error),
        }
    }
}
