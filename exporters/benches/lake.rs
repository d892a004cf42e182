//! What the lake costs per item: filling objects, and writing them as Parquet into a directory.
//!
//! `cargo bench -p tidegate-exporters --bench lake --profile bench-quick [WORD]`, where only what has
//! the word in its name is run.

#![allow(clippy::print_stdout, reason = "the figures are its output")]

use std::num::NonZeroUsize;
use std::time::Duration;

use tidegate_component::testing::{read, realistic};
use tidegate_component::{AnyExporter, BuildContext, ComponentConfig, Portion, Position};
use tidegate_exporters::object_storage::Config;
use tidegate_pdata::{Batch, Context, Receipt, Signal};
use tokio::time::Instant;

const BATCHES: usize = 100;
const ITEMS: usize = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime can be made");
    println!("CPU-ns per item and bytes per item, {BATCHES} batches of {ITEMS}, best of 5");
    for (format, keys) in [
        ("parquet", "format: parquet"),
        ("otlp_proto, zstd", "format: otlp_proto\ncompression: zstd"),
        ("otlp_json, gzip", "format: otlp_json\ncompression: gzip"),
    ] {
        for signal in Signal::ALL {
            let name = format!("{format} {signal}");
            let mut wanted = std::env::args()
                .skip(1)
                .filter(|word| !word.starts_with('-'));
            if wanted.next().is_some_and(|word| !name.contains(&word)) {
                continue;
            }
            let runs = (0..5).map(|_| runtime.block_on(run(signal, keys)));
            let best = runs.min_by_key(|figures| figures.fill + figures.write);
            let best = best.expect("there are runs");
            println!(
                "{name:24} fill {:5}  write {:5}  {:4} bytes",
                best.fill, best.write, best.bytes
            );
        }
    }
}

struct Figures {
    fill: u64,
    write: u64,
    bytes: u64,
}

async fn run(signal: Signal, keys: &str) -> Figures {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let yaml = format!(
        "url: {}\n{keys}\npartition_by: []\nmax_buffer: 4GiB\nrow_group_rows: 1000000",
        directory.path().display()
    );
    let id = "object_storage".parse().expect("a name");
    let context = BuildContext::detached("exporter", id);
    let Ok(AnyExporter::Bulk(lake)) = read::<Config>(&yaml).build(&context) else {
        return Figures {
            fill: 0,
            write: 0,
            bytes: 0,
        };
    };
    let items = NonZeroUsize::new(ITEMS).expect("not 0");
    let payloads = realistic(signal, BATCHES * ITEMS).chunk_items(items);
    let began = cpu();
    for (position, payload) in payloads.into_iter().enumerate() {
        let batch = Batch::new(payload, Context::default(), Receipt::none());
        let added = lake.add(&Portion::whole(Position(position as u64), &batch));
        assert!(added.is_ok_and(|delivered| delivered.rejected == 0));
    }
    let filled = cpu();
    let sealed = lake.seal(Instant::now() + Duration::from_secs(1 << 20));
    for object in &sealed {
        lake.commit(object).await.expect("the directory is there");
    }
    let done = cpu();
    let per_item = |time: Duration| time.as_nanos() as u64 / (BATCHES * ITEMS) as u64;
    let stored = context.metrics.registry().families();
    let bytes = stored["tidegate_object_storage_bytes"].series.values();
    let bytes: u64 = bytes
        .map(|series| match series {
            tidegate_component::metrics::Series::Counter(counter) => counter.value(),
            _ => 0,
        })
        .sum();
    Figures {
        fill: per_item(filled - began),
        write: per_item(done - filled),
        bytes: bytes / (BATCHES * ITEMS) as u64,
    }
}

/// The CPU time of all threads: others on the machine do not count.
fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let nanos = tasks.flatten().filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
