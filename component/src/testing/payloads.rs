//! Payloads to feed a component with.

use bytes::Bytes;
use tidegate_pdata::testing::{
    Entropy, Request, hostile_encoding, realistic_logs, realistic_metrics, realistic_traces,
};
use tidegate_pdata::{Payload, Signal};

/// Telemetry as SDKs send it, with this many items.
#[must_use]
pub fn realistic(signal: Signal, items: usize) -> Payload {
    let request = match signal {
        Signal::Traces => Request::Traces(realistic_traces(items)),
        Signal::Metrics => Request::Metrics(realistic_metrics(items)),
        Signal::Logs => Request::Logs(realistic_logs(items)),
    };
    admit(signal, request.encode())
}

/// Any request that OTLP allows, the same for the same seed: fields absent, empty and extreme.
#[must_use]
pub fn odd(signal: Signal, seed: u64) -> Payload {
    let bytes = noise(seed);
    admit(
        signal,
        Request::generate(signal, &mut Entropy::new(&bytes)).encode(),
    )
}

/// An odd request in an odd encoding, as the door passes it on.
#[must_use]
pub fn hostile(signal: Signal, seed: u64) -> Payload {
    let bytes = noise(seed);
    let mut entropy = Entropy::new(&bytes);
    let request = Request::generate(signal, &mut entropy).encode();
    let more = noise(seed ^ u64::MAX);
    admit(
        signal,
        hostile_encoding(signal, &request, &mut Entropy::new(&more)),
    )
}

fn admit(signal: Signal, request: Vec<u8>) -> Payload {
    let admitted = Payload::admit(signal, Bytes::from(request), None);
    admitted.expect("what is generated is valid OTLP").payload
}

/// Some bytes without a pattern.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    });
    words.take(256).flatten().collect()
}
