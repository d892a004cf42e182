//! Nothing that is sent makes the receiver panic, and what it makes is OTLP.

use proptest::prelude::*;

use super::batch::{Batch, proto, sample, thrift};
use super::*;
use crate::hostile::jaeger;
use crate::thrift::testing::{Wire, Writer, read};

/// Reads bytes in every way that there is.
fn read_all(bytes: &[u8]) {
    for way in 0..5 {
        jaeger(way, bytes);
    }
}

fn samples() -> Vec<Vec<u8>> {
    let tags = sample().tags;
    let mut samples = vec![proto("s", &tags, &[sample(), sample()])];
    for wire in Wire::BOTH {
        let batch = thrift(wire, "s", &tags, &[sample(), sample()]);
        samples.push(Writer::call(wire, "emitBatch", &batch));
        samples.push(batch);
    }
    samples
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_samples_are_read_or_refused(
        at in any::<prop::sample::Index>(),
        damage in prop::collection::vec(any::<u8>(), 0..6),
        cut in 0_usize..4,
    ) {
        for mut body in samples() {
            let at = at.index(body.len());
            let end = (at + cut).min(body.len());
            body.splice(at..end, damage.iter().copied());
            read_all(&body);
        }
    }
}

#[test]
fn samples_that_are_cut_off_are_refused() {
    for wire in Wire::BOTH {
        let batch = thrift(wire, "s", &sample().tags, &[sample()]);
        for end in 0..batch.len() {
            let cut = translated(&batch[..end], |bytes, out| read(wire, bytes, Batch(out)));
            assert_eq!(
                cut.unwrap_err().code,
                Code::InvalidArgument,
                "{wire:?} {end}"
            );
        }
    }
}

#[test]
fn a_count_that_nothing_follows_takes_no_memory() {
    // Process, then a list of 2^31 - 1 spans.
    let wire = Wire::Compact;
    let process = Writer::fields(wire, |process| process.bytes(1, b"s"));
    let mut batch = Writer::new(wire);
    batch.nested(1, &process);
    batch.out.extend([0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
    batch.out.extend([0; 1000]);
    let refused = translated(&batch.out, |bytes, out| read(wire, bytes, Batch(out)));
    let told = refused.unwrap_err().message;
    assert!(told.contains("2147483647 elements pass the end"), "{told}");
}
