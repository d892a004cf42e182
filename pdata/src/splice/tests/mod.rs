//! The splicer against the same edits on what prost decodes.

mod behaviour;
mod oracle;
mod script;
mod subject;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::testing::{Request, arbitrary_any, entropy};
use crate::view::tests::normal::Normal;
use crate::{Payload, Segment, canonical_items};
use script::Script;
use subject::Subject;

fn payload(request: &Request) -> Payload {
    let segment = Segment::new(Bytes::from(request.encode()), request.items(), None);
    Payload::from_segment(request.signal(), segment)
}

fn whole(payload: &Payload) -> Vec<u8> {
    payload
        .segments()
        .iter()
        .flat_map(|segment| segment.bytes().to_vec())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn edits_equal_the_same_edits_on_the_decoded_request(
        request in arbitrary_any(),
        script in entropy(),
    ) {
        // Prost leaves out a double of -0.0: what it encodes is not quite what was generated.
        let mut request = Request::decode(request.signal(), &request.encode()).unwrap();
        let mut subject = Subject { script: Script::new(&script), seen: Vec::new() };
        let edited = Splicer::default().edit(payload(&request), &mut subject);
        let before = request.items();
        let seen = oracle::edit(&mut request, Script::new(&script));
        prop_assert_eq!(subject.seen, seen);
        prop_assert_eq!(edited.items(), request.items());
        let bytes = whole(&edited);
        prop_assert_eq!(canonical_items(request.signal(), &bytes), Some(request.items()));
        if request.items() == 0 && before > 0 {
            prop_assert!(bytes.is_empty());
        } else {
            let mut shown = Request::decode(request.signal(), &bytes).unwrap();
            shown.normalise();
            prop_assert_eq!(shown.encode(), request.encode());
        }
    }
}
