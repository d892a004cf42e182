//! What the door costs per item, on the corpora of `testing`.
//!
//! `cargo bench -p tidegate-pdata --features testing --bench door --profile bench-quick`

#![allow(clippy::print_stdout, reason = "the figures are its output")]

mod figure;

use std::hint::black_box;
use std::num::NonZeroUsize;

use bytes::Bytes;
use tidegate_pdata::testing::{
    Entropy, Request, hostile_encoding, realistic_logs, realistic_metrics, realistic_traces,
};
use tidegate_pdata::{Payload, Signal, canonical_items};

use figure::figure;

const ITEMS: usize = 100;
const MANY: usize = 10_000;

fn main() {
    println!("CPU-ns per item, best of 9; {ITEMS} items a request");
    for request in requests(ITEMS) {
        let (signal, bytes) = (request.signal(), Bytes::from(request.encode()));
        println!("{signal}: {} bytes an item", bytes.len() / ITEMS);
        door(signal, &bytes);
        split(signal, bytes);
    }
    // More than the caches near a core hold, and no pattern for its branch prediction to learn.
    println!("{MANY} items a request");
    for request in requests(MANY) {
        let (signal, bytes) = (request.signal(), request.encode());
        figure(&format!("{signal}: door, canonical"), MANY, || {
            canonical_items(signal, black_box(&bytes)).unwrap_or_default()
        });
    }
}

fn requests(items: usize) -> [Request; 3] {
    [
        Request::Traces(realistic_traces(items)),
        Request::Logs(realistic_logs(items)),
        Request::Metrics(realistic_metrics(items)),
    ]
}

fn door(signal: Signal, bytes: &Bytes) {
    figure("  copy of the bytes", ITEMS, || {
        black_box(black_box(bytes).to_vec()).len()
    });
    figure("  door, canonical", ITEMS, || {
        canonical_items(signal, black_box(bytes)).unwrap_or_default()
    });
    let odd = odd(signal, bytes);
    figure("  door, rewriting", ITEMS, || {
        let admitted = Payload::admit(signal, black_box(&odd).clone(), None);
        admitted.map_or(0, |admitted| admitted.payload.items())
    });
    figure("  prost's decode", ITEMS, || {
        decode(signal, black_box(bytes))
    });
}

fn split(signal: Signal, bytes: Bytes) {
    let whole = Payload::admit(signal, bytes, None)
        .expect("the corpus is well-formed")
        .payload;
    let count = |number| NonZeroUsize::new(number).expect("a constant above 0");
    figure("  cut in two at a third", ITEMS, || {
        black_box(whole.clone().split_items(ITEMS / 3)).0.items()
    });
    figure("  cut in pieces of ten", ITEMS, || {
        black_box(whole.clone().chunk_items(count(10))).len()
    });
    figure("  cut in pieces of 8 KiB", ITEMS, || {
        black_box(whole.clone().chunk_bytes(count(8192))).len()
    });
    figure("  dealt to four by trace", ITEMS, || {
        let hash = |id: &[u8]| id.first().map_or(0, |byte| u64::from(*byte));
        black_box(whole.clone().partition_by_trace(count(4), hash)).len()
    });
}

fn odd(signal: Signal, bytes: &[u8]) -> Bytes {
    let entropy: Vec<u8> = (0..200_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    hostile_encoding(signal, bytes, &mut Entropy::new(&entropy)).into()
}

fn decode(signal: Signal, bytes: &[u8]) -> usize {
    Request::decode(signal, bytes).map_or(0, |request| request.items())
}
