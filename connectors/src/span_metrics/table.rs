//! What one worker has counted since its counts were gathered.
//!
//! A worker locks its own table for each batch, which nobody else wants but while counts are gathered, once an
//! interval: the table is taken away as a whole then.

use std::sync::Arc;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tidegate_pdata::series::SeriesId;
use tokio::time::Instant;

use super::plan::Plan;
use crate::aggregate::Aggregate;

/// A resource, as its metrics tell it.
#[derive(Debug)]
pub(super) struct Resource {
    /// Its attributes, as fields of number 1.
    pub(super) attributes: Box<[u8]>,
}

/// A series' attributes, as fields of number 1.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) attributes: Box<[u8]>,
    /// Whether it stands for all that there was no room for.
    pub(super) is_overflow: bool,
}

/// What a worker has counted.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) resources: HashMap<SeriesId, Counted, RandomState>,
}

/// When something was last seen, in an order within a batch too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) order: u64,
}

/// What a worker has counted of a resource.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) resource: Arc<Resource>,
    /// When it last sent something.
    pub(super) seen: Seen,
    pub(super) families: Box<[Slots]>,
}

/// The series of one family.
#[derive(Debug, Default)]
pub(super) struct Slots {
    places: HashMap<SeriesId, u32, RandomState>,
    pub(super) slots: Vec<Slot>,
}

/// What a worker has counted of a series.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: SeriesId,
    pub(super) series: Arc<Series>,
    pub(super) aggregate: Aggregate,
}

impl Counted {
    pub(super) fn new(plan: &Plan, resource: Arc<Resource>, seen: Seen) -> Self {
        Self {
            resource,
            seen,
            families: plan.families.iter().map(|_| Slots::default()).collect(),
        }
    }
}

impl Slots {
    pub(super) fn get(&mut self, id: SeriesId) -> Option<&mut Slot> {
        let place = *self.places.get(&id)?;
        self.slots.get_mut(place as usize)
    }

    /// The place of a series, which is new if it is not known.
    pub(super) fn add(
        &mut self,
        id: SeriesId,
        series: Arc<Series>,
        aggregate: impl FnOnce() -> Aggregate,
    ) -> &mut Slot {
        let next = self.slots.len();
        let place = *self.places.entry(id).or_insert(next as u32) as usize;
        if place == next {
            self.slots.push(Slot {
                id,
                series,
                aggregate: aggregate(),
            });
        }
        &mut self.slots[place]
    }
}
