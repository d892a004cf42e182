//! What a log counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happened to a log since it was opened; sums that only rise.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $name: Count,)*
        }

        impl Tally {
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

/// A sum that only rises.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }
}

tally! {
    /// Records told durable (written, where the interval syncs).
    appended_records,
    /// Items of those records.
    appended_items,
    /// Their bytes on disk.
    appended_bytes,
    /// Records that were refused.
    refused_records,
    /// Records that were taken back before they were written.
    withdrawn_records,
    /// Records marked delivered or dropped by their owner.
    marked_records,
    /// Marks that could not be written: their records may come again after a restart.
    lost_marks,
    /// Records put into quarantine because their bytes are damaged.
    damaged_records,
    /// Items of those records, as far as their headers could be read.
    damaged_items,
    /// Other stretches of damaged bytes put into quarantine.
    damaged_regions,
    /// Stretches of bytes that a crash left half written; nothing in them was told durable.
    torn_regions,
    /// Records put into quarantine because processes died over them.
    deadly_records,
    /// Items of those records.
    deadly_items,
    /// Records dropped because they were older than `max_age`.
    expired_records,
    /// Items of those records.
    expired_items,
    /// Syncs of segments.
    syncs,
    /// Syncs that failed, each the end of its segment.
    failed_syncs,
    /// Segments rewritten because little of them was live.
    rewritten_segments,
    /// Segments removed because nothing of them was live.
    removed_segments,
    /// Segments that could not be read to their end and stay on disk.
    unreadable_segments,
}
