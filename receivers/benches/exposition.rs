//! What reading a page costs: megabytes a second on one core, by format.
//!
//! `cargo bench -p tidegate-receivers --bench exposition --profile bench-quick`

#![allow(clippy::print_stdout, reason = "the figures are its output")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use tidegate_receivers::prometheus::exposition::{Bounds, Entry, Format, Page};

const PER_READING: Duration = Duration::from_millis(200);

fn main() {
    println!("MB/s of one core, best of 9");
    let text = page(1000, false);
    figure("text", Format::Text, text.as_bytes());
    let open = page(1000, true);
    figure("OpenMetrics", Format::OpenMetrics, open.as_bytes());
}

/// A page such as services have: counters, gauges and histograms with four to six labels.
fn page(series: usize, open: bool) -> String {
    let mut page = String::new();
    let total = if open {
        "http_requests"
    } else {
        "http_requests_total"
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "# HELP {total} Requests by path and code.\n# TYPE {total} counter"
    );
    for number in 0..series {
        let _ = writeln!(
            page,
            "http_requests_total{{method=\"GET\",path=\"/api/v1/orders/{number}\",code=\"200\",zone=\"eu-west-1a\"}} {}",
            number * 37
        );
    }
    let _ = writeln!(
        page,
        "# HELP queue_bytes Bytes that wait.\n# TYPE queue_bytes gauge"
    );
    for number in 0..series {
        let _ = writeln!(
            page,
            "queue_bytes{{queue=\"q{number}\",kind=\"memory\"}} {}.5",
            number * 11
        );
    }
    let _ = writeln!(
        page,
        "# HELP wait_seconds How long it took.\n# TYPE wait_seconds histogram"
    );
    for number in 0..series / 10 {
        let labels = format!("method=\"GET\",route=\"/orders/{number}\"");
        for (at, bound) in ["0.005", "0.01", "0.05", "0.1", "0.5", "1.0", "+Inf"]
            .iter()
            .enumerate()
        {
            let _ = writeln!(
                page,
                "wait_seconds_bucket{{{labels},le=\"{bound}\"}} {}",
                at * 10
            );
        }
        let _ = writeln!(
            page,
            "wait_seconds_sum{{{labels}}} 17.384921\nwait_seconds_count{{{labels}}} 60"
        );
    }
    if open {
        page.push_str("# EOF\n");
    }
    page
}

/// Reads the whole page and gives what can be seen of it.
fn read(format: Format, bytes: &[u8]) -> (usize, f64) {
    let page = Page::new(format, bytes, Bounds::default(), true, false);
    let mut page = page.unwrap_or_else(|fault| panic!("{fault}"));
    let (mut labels, mut sum) = (0, 0.0);
    loop {
        match page.next_entry() {
            Ok(Some(Entry::Sample(sample))) => {
                labels += page.labels().len();
                sum += sample.value;
            }
            Ok(Some(_)) => {}
            Ok(None) => return (labels, sum),
            Err(fault) => panic!("{fault}"),
        }
    }
}

/// Prints the best of nine readings of this thread's CPU time.
fn figure(name: &str, format: Format, bytes: &[u8]) {
    let best = (0..9)
        .map(|_| {
            let (mut rounds, start, until) = (0_u32, cpu(), Instant::now() + PER_READING);
            while Instant::now() < until {
                black_box(read(format, black_box(bytes)));
                rounds += 1;
            }
            bytes.len() as f64 * f64::from(rounds) / (cpu() - start) * 1e3
        })
        .fold(0.0, f64::max);
    let size = bytes.len();
    println!("{name} ({size} bytes): {best:.0}");
}

/// Nanoseconds that this thread has run for.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.unwrap_or(f64::NAN)
}
