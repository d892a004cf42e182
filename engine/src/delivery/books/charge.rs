//! What stands for items inside until they end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tidegate_component::delivery::Sizer;

use super::{Books, End, Why};
use crate::sink::Depth;

/// Items inside, until they end.
#[derive(Debug)]
pub(in crate::delivery) struct Charge {
    books: Arc<Books>,
    number: u64,
    requests: usize,
    items: usize,
    bytes: usize,
    flying: bool,
    /// Whether a record on disk stands for the items: they outlive the charge.
    on_disk: bool,
    /// Whether the items go elsewhere if this is dropped without an end.
    elsewhere: bool,
}

impl Charge {
    /// A charge for what the books hold already.
    pub(super) fn new(books: &Arc<Books>, number: u64, size: Depth) -> Self {
        Self {
            books: Arc::clone(books),
            number,
            requests: size.requests,
            items: size.items,
            bytes: size.bytes,
            flying: false,
            on_disk: false,
            elsewhere: false,
        }
    }

    /// Tells that the items go elsewhere where they are not delivered.
    pub(in crate::delivery) const fn goes_elsewhere(&mut self) {
        self.elsewhere = true;
    }

    /// Rises with every payload taken in; a part keeps the number of the whole.
    pub(in crate::delivery) const fn number(&self) -> u64 {
        self.number
    }

    /// Items that it stands for.
    pub(in crate::delivery) const fn items(&self) -> usize {
        self.items
    }

    /// Cuts off a charge for `items` of its items; bytes are dealt by the items.
    pub(in crate::delivery) fn split_off(&mut self, items: usize) -> Self {
        debug_assert!(
            items <= self.items,
            "a part has no more items than the whole"
        );
        let items = items.min(self.items);
        let bytes = if self.items == 0 {
            0
        } else {
            (self.bytes as u128 * items as u128 / self.items as u128) as usize
        };
        self.items -= items;
        self.bytes -= bytes;
        Self {
            books: Arc::clone(&self.books),
            number: self.number,
            requests: 0,
            items,
            bytes,
            flying: false,
            on_disk: self.on_disk,
            elsewhere: self.elsewhere,
        }
    }

    /// Adds what another charge of the same books stands for.
    pub(in crate::delivery) fn merge(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.books, &other.books));
        self.number = self.number.min(other.number);
        self.elsewhere &= other.elsewhere;
        self.requests += std::mem::take(&mut other.requests);
        self.items += std::mem::take(&mut other.items);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Has it stand for one request of so many bytes, whatever it was merged and cut from.
    pub(in crate::delivery) fn reweigh(&mut self, bytes: usize) {
        // What is new is added first, so that the sums never fall below what is inside.
        self.books.requests.fetch_add(1, Relaxed);
        self.books.bytes.fetch_add(bytes, Relaxed);
        self.books.requests.fetch_sub(self.requests, Relaxed);
        self.books.bytes.fetch_sub(self.bytes, Relaxed);
        (self.requests, self.bytes) = (1, bytes);
    }

    /// Counts it among the requests in flight, from its first attempt to its end.
    pub(in crate::delivery) fn fly(&mut self) {
        if !self.flying {
            self.flying = true;
            self.books.meters.in_flight.add(1);
            self.books.meters.batch_size.observe(self.items as f64);
        }
    }

    /// Makes room in the queue while the items stay inside, in an open object.
    pub(in crate::delivery) fn leave_queue(mut self) -> Beyond {
        self.books.beyond.fetch_add(self.items, Relaxed);
        let on_disk = std::mem::take(&mut self.on_disk);
        Beyond {
            items: self.vacate(),
            books: Arc::clone(&self.books),
            on_disk,
        }
    }

    /// What it stands for.
    pub(in crate::delivery) const fn size(&self) -> Depth {
        Depth {
            requests: self.requests,
            items: self.items,
            bytes: self.bytes,
        }
    }

    /// Tells that the items are on disk: they stay in the books if this is dropped without an end.
    pub(in crate::delivery) const fn store(&mut self) {
        self.on_disk = true;
    }

    /// Leaves the items in the books, which a record on disk stands for.
    pub(in crate::delivery) fn forget(mut self) {
        self.leave();
    }

    fn leave(&mut self) {
        (self.requests, self.items, self.bytes) = (0, 0, 0);
        if std::mem::take(&mut self.flying) {
            self.books.meters.in_flight.add(-1);
        }
    }

    /// Ends the items.
    pub(in crate::delivery) fn end(mut self, end: End) {
        self.books.end(self.items, end);
        self.vacate();
    }

    /// Gives its place in the queue back and tells how many items had it.
    fn vacate(&mut self) -> usize {
        let books = &*self.books;
        let (requests, items, bytes) = (
            std::mem::take(&mut self.requests),
            std::mem::take(&mut self.items),
            std::mem::take(&mut self.bytes),
        );
        let before = (
            books.requests.fetch_sub(requests, Relaxed),
            books.items.fetch_sub(items, Relaxed),
            books.bytes.fetch_sub(bytes, Relaxed),
        );
        let (size_before, size) = match books.sizer {
            Sizer::Requests => (before.0, requests),
            Sizer::Items => (before.1, items),
            Sizer::Bytes => (before.2, bytes),
        };
        if std::mem::take(&mut self.flying) {
            books.meters.in_flight.add(-1);
        }
        if before.1 == items && items > 0 {
            books.empty.notify_waiters();
        }
        if size_before >= books.capacity && size_before - size < books.capacity {
            books.budget.ring();
        }
        items
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.on_disk {
            self.leave();
        } else if self.items + self.requests + self.bytes > 0 || self.flying {
            let end = match self.elsewhere {
                true => End::Returned(Why::HandedBack),
                false => End::Dropped(self.books.unended()),
            };
            self.books.end(self.items, end);
            self.vacate();
        }
    }
}

/// Items beyond the queue, until they end.
#[derive(Debug)]
pub(in crate::delivery) struct Beyond {
    books: Arc<Books>,
    items: usize,
    /// Whether a record on disk stands for the items: they outlive this.
    on_disk: bool,
}

impl Beyond {
    /// Items that have not ended.
    pub(in crate::delivery) const fn items(&self) -> usize {
        self.items
    }

    /// Ends some of the items.
    pub(in crate::delivery) fn end(&mut self, items: usize, end: End) {
        let items = items.min(self.items);
        self.items -= items;
        self.books.end(items, end);
        if self.books.beyond.fetch_sub(items, Relaxed) == items {
            self.books.empty.notify_waiters();
        }
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        if self.items > 0 && !self.on_disk {
            self.end(self.items, End::Dropped(self.books.unended()));
        }
    }
}
