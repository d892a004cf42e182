//! The splicer against the same edits on what prost decodes.

mod behaviour;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::testing::edits::{Script, Subject};
use crate::testing::laws::{bytes_of, edits_equal_those_on_prost};
use crate::testing::{Entropy, arbitrary_any, entropy, hostile_encoding};
use crate::{Payload, Segment, Signal};

fn payload(signal: Signal, bytes: Vec<u8>, items: usize) -> Payload {
    Payload::from_segment(signal, Segment::new(Bytes::from(bytes), items, None))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn edits_equal_the_same_edits_on_the_decoded_request(
        request in arbitrary_any(),
        script in entropy(),
    ) {
        let original = payload(request.signal(), request.encode(), request.items());
        edits_equal_those_on_prost(original, &script);
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
        edits_equal_those_on_prost(admitted.payload, &script);
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
                let mut subject = Subject::new(Script::new(&script));
                bytes_of(&splicer.edit(original.clone(), &mut subject))
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
            let mut subject = Subject::new(Script::new(&script));
            Splicer::default().edit(payload(signal, bytes.clone(), 1), &mut subject);
        }
    }
}
