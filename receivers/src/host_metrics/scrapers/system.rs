//! `system`: how long the host has been up.

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault_in};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Part, Reader, metrics};

metrics! {
    /// What `system` makes.
    pub(in crate::host_metrics) enum Metrics {
    Uptime: on "system.uptime" ["s"] Kind::Gauge,
        [];
        "The time the system has been running"
    }
}

/// Reads `/proc/uptime`.
pub(in crate::host_metrics) struct System {
    files: Files,
    chosen: Chosen<Metrics>,
}

impl System {
    pub(in crate::host_metrics) const NAME: &'static str = "system";

    pub(in crate::host_metrics) fn new(host: Host, chosen: Chosen<Metrics>) -> Self {
        Self {
            files: Files::new(host),
            chosen,
        }
    }

    fn uptime(&mut self) -> Result<f64, String> {
        let path = self.files.host.proc("uptime");
        let words = self.files.proc("uptime")?;
        let uptime = text::words(words).next().and_then(text::decimal);
        uptime.ok_or_else(|| fault_in(&path, "no time"))
    }
}

impl Reader for System {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        match self.uptime() {
            Ok(uptime) => {
                let Part {
                    request, metrics, ..
                } = part;
                let mut out = emit(Self::NAME, request, metrics, &self.chosen, start, time);
                // Whole seconds, as the Collector has it from the kernel.
                out.double(Metrics::Uptime, uptime.floor());
            }
            Err(error) => part.faults.add("the uptime cannot be read", 1, || error),
        }
    }
}
