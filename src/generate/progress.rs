//! A bar on the terminal while telemetry is sent, and a line when it is done.

use std::io::{IsTerminal, Write};

use tokio::time::{Duration, Instant};

use crate::cli::{Generate, Kind};

const WIDTH: u64 = 30;
const EVERY: Duration = Duration::from_millis(100);

/// Counts what was sent and shows it.
pub(super) struct Progress {
    what: &'static str,
    /// 0 where there is no end.
    total: u64,
    sent: u64,
    rejected: u64,
    start: Instant,
    drawn: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(options: &Generate) -> Self {
        Self {
            what: match options.signal {
                Kind::Traces => "spans",
                Kind::Metrics => "data points",
                Kind::Logs => "log records",
            },
            total: options.count,
            sent: 0,
            rejected: 0,
            start: Instant::now(),
            drawn: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Items sent so far.
    pub(super) const fn done(&self) -> u64 {
        self.sent
    }

    pub(super) fn add(&mut self, items: u64, rejected: u64) {
        self.sent += items;
        self.rejected += rejected;
        if self.terminal && self.drawn.is_none_or(|drawn| drawn.elapsed() >= EVERY) {
            self.drawn = Some(Instant::now());
            self.draw();
        }
    }

    /// Says what was sent.
    pub(super) fn finish(&self, endpoint: &str) {
        let mut stderr = std::io::stderr().lock();
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let seconds = self.start.elapsed().as_secs_f64();
        let rejected = match self.rejected {
            0 => String::new(),
            rejected => format!(", {rejected} of them rejected"),
        };
        let _ = writeln!(
            stderr,
            "{clear}sent {} {} to {endpoint} in {seconds:.1} s{rejected}",
            self.sent, self.what
        );
    }

    fn draw(&self) {
        let mut stderr = std::io::stderr().lock();
        let rate = self.sent as f64 / self.start.elapsed().as_secs_f64().max(0.001);
        let bar = (self.sent * WIDTH)
            .checked_div(self.total)
            .map_or_else(String::new, |full| {
                let full = full.min(WIDTH) as usize;
                let rest = WIDTH as usize - full;
                format!("[{}{}] ", "#".repeat(full), ".".repeat(rest))
            });
        let _ = write!(
            stderr,
            "\r\x1b[K{bar}{} {}, {rate:.0} a second",
            self.sent, self.what
        );
        let _ = stderr.flush();
    }
}
