//! What must hold of any bytes: checked by the property tests and by the fuzz targets.
//!
//! Each function panics where its law is broken.

use std::num::NonZeroUsize;

use bytes::Bytes;

use super::edits::{Script, Subject, edit};
use super::normal::Normal;
use super::{Entropy, Flat, FlatRecord, Request, owned};
use crate::json::{from_json, to_json};
use crate::splice::Splicer;
use crate::wire::Fault;
use crate::{Payload, Signal, canonical_items};

/// The bytes of a payload: its segments one after the other.
#[must_use]
pub fn bytes_of(payload: &Payload) -> Vec<u8> {
    let segments = payload.segments().iter();
    segments
        .flat_map(|segment| segment.bytes().to_vec())
        .collect()
}

/// The door takes what prost takes, unless it is nested too deep, and makes of it a canonical
/// request that prost and the views read as the same; what prost refuses it refuses, unless it is text that
/// is not UTF-8.
pub fn door_reads_as_prost(signal: Signal, bytes: &[u8]) {
    let decoded = Request::decode(signal, bytes);
    match (
        Payload::admit(signal, Bytes::copy_from_slice(bytes), None),
        decoded,
    ) {
        (Ok(admitted), decoded) => {
            let canonical = bytes_of(&admitted.payload);
            let items = canonical_items(signal, &canonical);
            assert_eq!(
                items,
                Some(admitted.payload.items()),
                "not canonical behind the door"
            );
            match decoded {
                Ok(mut decoded) => {
                    assert_eq!(admitted.payload.items(), decoded.items());
                    let read = Request::decode(signal, &canonical).map(|read| read.encode());
                    assert_eq!(read, Ok(decoded.encode()), "it reads otherwise than before");
                    let shown = owned::request(&admitted.payload);
                    decoded.normalise();
                    assert_eq!(shown.encode(), decoded.encode(), "the views show another");
                }
                Err(error) => {
                    assert!(
                        error.to_string().contains("UTF-8"),
                        "prost alone refuses: {error}"
                    );
                }
            }
        }
        (Err(refusal), Ok(_)) => {
            assert_eq!(
                refusal.cause.fault,
                Fault::TooDeep,
                "the door alone refuses: {refusal}"
            );
        }
        (Err(_), Err(_)) => {}
    }
}

/// However a payload is cut, its pieces are canonical, as large as they should be and hold the
/// records of the whole in their order and in the same containers.
pub fn pieces_hold_the_whole(signal: Signal, request: &[u8], entropy: &mut Entropy<'_>) {
    let bytes = Bytes::copy_from_slice(request);
    let Ok(admitted) = Payload::admit(signal, bytes, None) else {
        return;
    };
    let whole = admitted.payload;
    // Text that is not UTF-8 cannot be compared by prost.
    if Request::decode(signal, &bytes_of(&whole)).is_err() {
        return;
    }
    let size = NonZeroUsize::MIN.saturating_add(entropy.below(256));
    check_pieces(&whole, &whole.clone().chunk_items(size));
    let limit = size.saturating_mul(NonZeroUsize::MIN.saturating_add(entropy.below(16)));
    check_pieces(&whole, &whole.clone().chunk_bytes(limit));
    let (head, rest) = whole.clone().split_items(size.get());
    check_pieces(&whole, &[head, rest]);
    let pieces = whole
        .clone()
        .partition_by_trace(size, |id| id.iter().map(|b| u64::from(*b)).sum());
    let items: usize = pieces
        .iter()
        .map(|piece| laid_flat(piece).records.len())
        .sum();
    assert_eq!(items, whole.items());
}

/// [`pieces_hold_the_whole`] of a request whose first bytes say its signal and how it is cut.
pub fn any_pieces_hold_the_whole(bytes: &[u8]) {
    let (head, request) = bytes.split_at(bytes.len().min(4));
    let mut entropy = Entropy::new(head);
    let signal = Signal::ALL[entropy.below(3)];
    pieces_hold_the_whole(signal, request, &mut entropy);
}

/// A script of edits does through the splicer what it does to the decoded request: it sees the
/// same on its way and leaves the same, in canonical form.
pub fn edits_equal_those_on_prost(original: Payload, script: &[u8]) {
    let (signal, before) = (original.signal(), original.items());
    // Text that is not UTF-8 cannot be compared by prost.
    let Ok(mut request) = Request::decode(signal, &bytes_of(&original)) else {
        return;
    };
    let mut subject = Subject::new(Script::new(script));
    let edited = Splicer::default().edit(original, &mut subject);
    let seen = edit(&mut request, Script::new(script));

    assert_eq!(subject.seen, seen);
    assert_eq!(edited.items(), request.items());
    let bytes = bytes_of(&edited);
    assert_eq!(canonical_items(signal, &bytes), Some(request.items()));
    if request.items() == 0 && before > 0 {
        assert!(bytes.is_empty(), "nothing is left, and yet there are bytes");
        return;
    }
    let shown = Request::decode(signal, &bytes).map(|mut shown| {
        shown.normalise();
        shown.encode()
    });
    assert_eq!(shown, Ok(request.encode()));
}

/// [`edits_equal_those_on_prost`] of a request whose first bytes say its signal and the script.
pub fn any_edits_equal_those_on_prost(bytes: &[u8]) {
    let (head, request) = bytes.split_at(bytes.len().min(64));
    let (signal, script) = head.split_at(head.len().min(1));
    let signal = Signal::ALL[Entropy::new(signal).below(3)];
    let bytes = Bytes::copy_from_slice(request);
    if let Ok(admitted) = Payload::admit(signal, bytes, None) {
        edits_equal_those_on_prost(admitted.payload, script);
    }
}

/// What is read from JSON and passes the door prints as JSON that reads and prints as itself.
pub fn json_prints_as_itself(signal: Signal, text: &[u8]) {
    let Some(printed) = printed(signal, text) else {
        return;
    };
    let again = self::printed(signal, &printed).map(String::from_utf8);
    assert_eq!(again, Some(String::from_utf8(printed)));
}

/// JSON as it comes out after it went in; none where it is refused.
fn printed(signal: Signal, text: &[u8]) -> Option<Vec<u8>> {
    let protobuf = from_json(signal, text, &mut |_| true).ok()?;
    let admitted = Payload::admit(signal, protobuf.into(), None).ok()?;
    let mut out = Vec::new();
    let segments = admitted.payload.segments().iter();
    to_json(
        signal,
        segments.map(|segment| &segment.bytes()[..]),
        &mut out,
    );
    Some(out)
}

/// Pieces that follow each other hold what the whole does, in its order and its containers.
pub fn check_pieces(whole: &Payload, pieces: &[Payload]) {
    let whole = laid_flat(whole);
    let mut barren = Vec::new();
    let mut records = whole.records.as_slice();
    for piece in pieces {
        let piece = laid_flat(piece);
        let (expected, rest) = records.split_at(piece.records.len().min(records.len()));
        assert_eq!(regrouped(&piece.records), regrouped(expected));
        records = rest;
        barren.extend(piece.barren);
    }
    assert!(
        records.is_empty(),
        "{} records are in no piece",
        records.len()
    );
    assert_eq!(unplaced(barren), unplaced(whole.barren));
}

/// What a payload reads as; each of its segments must be what it says.
#[must_use]
pub fn laid_flat(piece: &Payload) -> Flat {
    for segment in piece.segments() {
        let items = canonical_items(piece.signal(), segment.bytes());
        assert_eq!(items, Some(segment.items()));
    }
    let bytes = bytes_of(piece);
    assert_eq!(bytes.len(), piece.bytes());
    let flat = Request::decode(piece.signal(), &bytes).map(|request| request.flatten());
    let flat = flat.unwrap_or_else(|error| panic!("prost refuses a piece: {error}"));
    assert_eq!(flat.records.len(), piece.items());
    flat
}

/// Records as they should stand in a piece that has these alone: the same containers, counted
/// from the first on.
#[must_use]
pub fn regrouped(records: &[FlatRecord]) -> Vec<FlatRecord> {
    let mut place = [0, 0, 0];
    let mut before = None::<[usize; 3]>;
    let mut regrouped = Vec::with_capacity(records.len());
    for record in records {
        let differs =
            |level: &usize| before.is_some_and(|before| before[*level] != record.place[*level]);
        if let Some(level) = (0..3).find(differs) {
            place[level] += 1;
            place[level + 1..].fill(0);
        }
        before = Some(record.place);
        regrouped.push(FlatRecord {
            place,
            ..record.clone()
        });
    }
    regrouped
}

fn unplaced(mut records: Vec<FlatRecord>) -> Vec<FlatRecord> {
    for record in &mut records {
        record.place = [0; 3];
    }
    records.sort();
    records
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::arbitrary_signal;

    /// Runs a law over the corpus that is kept for its fuzz target.
    fn over_corpus(target: &str, law: impl Fn(&[u8])) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
        let files = std::fs::read_dir(format!("{folder}/{target}")).unwrap();
        let mut count = 0;
        for file in files {
            law(&std::fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "{folder}/{target} is empty");
    }

    #[test]
    fn kept_corpus_keeps_the_laws() {
        for signal in Signal::ALL {
            over_corpus(&format!("door_{signal}"), |bytes| {
                door_reads_as_prost(signal, bytes)
            });
        }
        over_corpus("split", any_pieces_hold_the_whole);
        over_corpus("splice", any_edits_equal_those_on_prost);
        for signal in Signal::ALL {
            over_corpus(&format!("json_{signal}"), |bytes| {
                json_prints_as_itself(signal, bytes);
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn damaged_json_keeps_the_law(
            signal in arbitrary_signal(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
            let mut text = std::fs::read(format!("{corpus}/json_{signal}/usual.json")).unwrap();
            for (at, byte) in damage {
                let at = at.index(text.len());
                text[at] = byte;
            }
            json_prints_as_itself(signal, &text);
        }
    }
}
