//! The splicer against the same edits on what prost decodes.

mod behaviour;
mod oracle;
mod script;
mod subject;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::testing::{Entropy, Request, arbitrary_any, entropy, hostile_encoding};
use crate::view::tests::normal::Normal;
use crate::{Payload, Segment, Signal, canonical_items};
use script::Script;
use subject::Subject;

fn payload(signal: Signal, bytes: Vec<u8>, items: usize) -> Payload {
    Payload::from_segment(signal, Segment::new(Bytes::from(bytes), items, None))
}

fn whole(payload: &Payload) -> Vec<u8> {
    let segments = payload.segments().iter();
    segments
        .flat_map(|segment| segment.bytes().to_vec())
        .collect()
}

/// Edits a payload by a script and the request that prost sees in it likewise, and compares.
fn compare(original: Payload, script: &[u8]) -> Result<(), TestCaseError> {
    let (signal, before) = (original.signal(), original.items());
    let mut request = Request::decode(signal, &whole(&original)).expect("canonical");
    let mut subject = Subject {
        script: Script::new(script),
        seen: Vec::new(),
    };
    let edited = Splicer::default().edit(original, &mut subject);
    let seen = oracle::edit(&mut request, Script::new(script));

    prop_assert_eq!(subject.seen, seen);
    prop_assert_eq!(edited.items(), request.items());
    let bytes = whole(&edited);
    prop_assert_eq!(canonical_items(signal, &bytes), Some(request.items()));
    if request.items() == 0 && before > 0 {
        prop_assert!(bytes.is_empty());
    } else {
        let mut shown = Request::decode(signal, &bytes).expect("canonical");
        shown.normalise();
        prop_assert_eq!(shown.encode(), request.encode());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn edits_equal_the_same_edits_on_the_decoded_request(
        request in arbitrary_any(),
        script in entropy(),
    ) {
        let original = payload(request.signal(), request.encode(), request.items());
        compare(original, &script)?;
    }

    #[test]
    fn and_so_they_do_whatever_encoding_came_to_the_door(
        request in arbitrary_any(),
        oddities in entropy(),
        script in entropy(),
    ) {
        let mut oddities = Entropy::new(&oddities);
        let odd = hostile_encoding(request.signal(), &request.encode(), &mut oddities);
        let admitted = Payload::admit(request.signal(), odd.into(), None).expect("valid");
        compare(admitted.payload, &script)?;
    }

    #[test]
    fn a_splicer_that_is_used_again_makes_the_same(
        requests in prop::collection::vec(arbitrary_any(), 2..4),
        script in entropy(),
    ) {
        let mut splicer = Splicer::default();
        for request in requests {
            let original = payload(request.signal(), request.encode(), request.items());
            let edits = |splicer: &mut Splicer| {
                let mut subject = Subject { script: Script::new(&script), seen: Vec::new() };
                whole(&splicer.edit(original.clone(), &mut subject))
            };
            prop_assert_eq!(edits(&mut splicer), edits(&mut Splicer::default()));
        }
    }

    #[test]
    fn bytes_that_never_passed_the_door_do_no_harm(
        request in arbitrary_any(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
        script in entropy(),
    ) {
        let mut bytes = request.encode();
        for (at, byte) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        for signal in Signal::ALL {
            let mut subject = Subject { script: Script::new(&script), seen: Vec::new() };
            Splicer::default().edit(payload(signal, bytes.clone(), 1), &mut subject);
        }
    }
}
