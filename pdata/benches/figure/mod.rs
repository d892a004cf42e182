//! How the benchmarks of this crate take a figure.

use std::hint::black_box;
use std::time::{Duration, Instant};

const PER_READING: Duration = Duration::from_millis(150);

/// Prints the least of nine readings of this thread's CPU time, in nanoseconds per item: other
/// programs' share of the machine does not count.
///
/// An argument on the command line takes only the figures whose names have it in them.
pub(crate) fn figure<T>(name: &str, items: usize, mut run: impl FnMut() -> T) {
    let mut wanted = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    if wanted.next().is_some_and(|word| !name.contains(&word)) {
        return;
    }
    let best = (0..9)
        .map(|_| {
            let (mut rounds, start, until) = (0_u32, cpu(), Instant::now() + PER_READING);
            while Instant::now() < until {
                black_box(run());
                rounds += 1;
            }
            (cpu() - start) / f64::from(rounds) / items as f64
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
