//! What the door costs per item, on the corpora of `testing`.
//!
//! `cargo bench -p tidegate-pdata --features testing --bench door --profile bench-quick`

#![allow(clippy::print_stdout, reason = "the figures are its output")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tidegate_pdata::testing::{
    Entropy, Request, hostile_encoding, realistic_logs, realistic_metrics, realistic_traces,
};
use tidegate_pdata::{Payload, Signal, canonical_items};

const ITEMS: usize = 100;
const PER_READING: Duration = Duration::from_millis(150);

fn main() {
    let traces = Request::Traces(realistic_traces(ITEMS));
    let logs = Request::Logs(realistic_logs(ITEMS));
    let metrics = Request::Metrics(realistic_metrics(ITEMS));
    println!("CPU-ns per item, best of 9; {ITEMS} items a request");
    for request in [traces, logs, metrics] {
        let signal = request.signal();
        let bytes = request.encode();
        println!("{signal}: {} bytes an item", bytes.len() / ITEMS);
        figure("  copy of the bytes", || {
            black_box(black_box(&bytes).to_vec()).len()
        });
        figure("  door, canonical", || {
            canonical_items(signal, black_box(&bytes)).unwrap_or_default()
        });
        let odd = odd(signal, &bytes);
        figure("  door, rewriting", || {
            let admitted = Payload::admit(signal, black_box(&odd).clone(), None);
            admitted.map_or(0, |admitted| admitted.payload.items())
        });
        figure("  prost's decode", || decode(signal, black_box(&bytes)));
    }
}

fn odd(signal: Signal, bytes: &[u8]) -> bytes::Bytes {
    let entropy: Vec<u8> = (0..200_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    hostile_encoding(signal, bytes, &mut Entropy::new(&entropy)).into()
}

fn decode(signal: Signal, bytes: &[u8]) -> usize {
    Request::decode(signal, bytes).map_or(0, |request| request.items())
}

/// Prints the least of nine readings of this thread's CPU time: other programs' share of the
/// machine does not count.
fn figure(name: &str, mut run: impl FnMut() -> usize) {
    let best = (0..9)
        .map(|_| {
            let (mut rounds, start, until) = (0_u32, cpu(), Instant::now() + PER_READING);
            while Instant::now() < until {
                for _ in 0..16 {
                    black_box(run());
                }
                rounds += 16;
            }
            (cpu() - start) / f64::from(rounds) / ITEMS as f64
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name}: {best:.1}");
}

/// Nanoseconds that this thread has run for.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.unwrap_or(f64::NAN)
}
