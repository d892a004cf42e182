//! Cutting payloads: in two halves, or after so many items or bytes.

use std::num::NonZeroUsize;

use tidegate_component::delivery::Sizer;
use tidegate_pdata::Payload;

/// Two payloads with half of the items each; none where there are no two items.
pub(super) fn halve(payload: &Payload) -> Option<(Payload, Payload)> {
    payload.clone().bisect()
}

/// The first part, no larger than `size`, and the rest; none where the first record is larger
/// than that already, or where there is no rest.
pub(super) fn front(payload: &Payload, size: usize, sizer: Sizer) -> Option<(Payload, Payload)> {
    let size = NonZeroUsize::new(size)?;
    let (front, rest) = match sizer {
        Sizer::Requests | Sizer::Items => payload.clone().split_items(size.get()),
        Sizer::Bytes => payload.clone().split_bytes(size),
    };
    if sizer == Sizer::Bytes && front.bytes() > size.get() {
        return None;
    }
    (!front.is_empty() && !rest.is_empty()).then_some((front, rest))
}

/// The size of a payload.
pub(super) fn measure(payload: &Payload, sizer: Sizer) -> usize {
    match sizer {
        Sizer::Requests => 1,
        Sizer::Items => payload.items(),
        Sizer::Bytes => payload.bytes(),
    }
}
