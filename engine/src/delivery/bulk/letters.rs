//! Dead letters of objects: what lies in one that is given up is read back from the queue on disk
//! and goes to the exporter that keeps it.
//!
//! Without a queue on disk nothing can: the bytes of an object are let go as it is made.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_component::{Items, Position, Sealed};
use tidegate_journal::{Cursor, Log, Record};
use tidegate_pdata::{Outcome, Payload, Signal};

use super::commit::{Ended, GivenUp};
use super::driver::Driver;
use super::seals::{record_of, signal_of};
use crate::delivery::letters::Letters;

/// Bytes that make a letter; more of an object's records go into the next.
const LETTER: usize = 1 << 20;

/// The records of an object, read in order.
struct Reading {
    cursor: Cursor,
    signal: Signal,
    /// What of each record lies in the object.
    wanted: HashMap<u64, (Position, Items)>,
}

/// What goes into one letter.
struct Page {
    payload: Payload,
    positions: Vec<Position>,
    ended: bool,
}

impl Driver {
    /// Has another exporter keep what lies in an object that was given up, where there is one
    /// and the records are on disk; says what is lost of it.
    pub(super) async fn keep_letters(&self, sealed: &Sealed, ended: Ended) -> Ended {
        let Err(mut given_up) = ended else {
            return ended;
        };
        let first = sealed.parts.first().map(|part| part.position);
        if let Some(signal) = first.and_then(signal_of)
            && let (Some(letters), Some(log)) = (self.letters(signal), self.records(signal))
        {
            self.keep(sealed, (&letters, &log, signal), &mut given_up)
                .await;
            let parts = sealed.parts.iter();
            let kept = parts.filter(|part| given_up.kept.contains_key(&part.position));
            let kept = kept.map(|part| part.items.len()).sum();
            letters.were_kept(given_up.why, kept, &given_up.error);
        }
        let parts = sealed.parts.iter();
        let lost = parts.filter(|part| !given_up.kept.contains_key(&part.position));
        let lost: usize = lost.map(|part| part.items.len()).sum();
        if lost > 0 {
            self.health().lost(given_up.why, lost, &given_up.error);
        }
        Err(given_up)
    }

    async fn keep(
        &self,
        sealed: &Sealed,
        (letters, log, signal): (&Letters, &Log, Signal),
        given_up: &mut GivenUp,
    ) {
        let mut reading = Reading::of(sealed, log, signal);
        loop {
            let turned = tokio::task::spawn_blocking(move || {
                let page = reading.page();
                (reading, page)
            });
            // A thread that is torn down ends with the process.
            let Ok((rest, page)) = turned.await else {
                return;
            };
            reading = rest;
            if !page.payload.is_empty() {
                match letters.keep(page.payload).await {
                    Ok(outcome) => {
                        let kept = page.positions.into_iter();
                        given_up.kept.extend(kept.map(|at| (at, outcome.clone())));
                    }
                    Err(said) => given_up.error = format!("{}; {said}", given_up.error),
                }
            }
            if page.ended {
                return;
            }
        }
    }

    fn records(&self, signal: Signal) -> Option<Log> {
        let store = self.store(signal)?;
        store.log().cloned()
    }
}

impl Reading {
    fn of(sealed: &Sealed, log: &Log, signal: Signal) -> Self {
        let wanted = sealed.parts.iter();
        let wanted: HashMap<_, _> = wanted
            .map(|part| {
                let position = part.position;
                (record_of(position), (position, part.items.clone()))
            })
            .collect();
        let first = wanted.keys().min().copied().unwrap_or_default();
        let last = wanted.keys().max().copied().unwrap_or_default();
        Self {
            cursor: log.scan(first, last + 1),
            signal,
            wanted,
        }
    }

    /// Reads on until there is enough for a letter. What cannot be read is in none.
    fn page(&mut self) -> Page {
        let mut page = Page {
            payload: Payload::empty(self.signal),
            positions: Vec::new(),
            ended: false,
        };
        while page.payload.bytes() < LETTER {
            match self.cursor.next() {
                None => {
                    page.ended = true;
                    break;
                }
                Some(Ok(record)) => {
                    if let Some((position, payload)) = self.part(record) {
                        page.payload.append(payload);
                        page.positions.push(position);
                    }
                }
                Some(Err(_)) => {}
            }
        }
        page
    }

    fn part(&mut self, record: Record) -> Option<(Position, Payload)> {
        let (position, items) = self.wanted.remove(&record.position.number())?;
        let admitted = Payload::admit(self.signal, record.payload, None).ok()?;
        Some((position, cut(admitted.payload, &items)))
    }
}

/// These items of a payload.
fn cut(payload: Payload, items: &Items) -> Payload {
    let mut cut = Payload::empty(payload.signal());
    let (mut rest, mut at) = (payload, 0);
    for range in items.ranges() {
        let (_, behind) = rest.split_items(range.start - at);
        let (wanted, behind) = behind.split_items(range.len());
        cut.append(wanted);
        (rest, at) = (behind, range.end);
    }
    cut
}

impl GivenUp {
    /// What became of what an object has of a batch, where another exporter keeps it.
    pub(super) fn kept(&self, position: Position) -> Option<&Outcome> {
        self.kept.get(&position)
    }

    /// Whether all that lies in an object is kept.
    pub(super) fn is_all_kept(&self, sealed: &Arc<Sealed>) -> bool {
        let mut parts = sealed.parts.iter();
        parts.all(|part| self.kept.contains_key(&part.position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::tests::{payload, records};

    #[test]
    fn cut_takes_the_items_of_all_ranges_and_no_others() {
        let mut items = Items::default();
        for range in [0..1, 3..5, 9..10] {
            items.push(range);
        }
        let all: Vec<u32> = (0..10).collect();
        assert_eq!(records(&cut(payload(&all), &items)), [0, 3, 4, 9]);
        assert!(cut(payload(&all), &Items::default()).is_empty());
    }
}
