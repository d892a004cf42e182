//! The shared-memory parts that [`super::handover`] is built of, so that a model checker can
//! put its own in their place.

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

pub(super) use crossbeam_queue::SegQueue as Queue;
pub(super) use futures_util::task::AtomicWaker as WakerCell;

/// Lets others go on where their next step is what this thread needs.
pub(super) fn spin() {
    std::hint::spin_loop();
}
