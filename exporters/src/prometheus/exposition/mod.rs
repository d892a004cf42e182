//! What a scrape gets: the series as text or protobuf, in pieces that are made as they are sent.
//!
//! A scrape holds one piece at a time, never the whole, and the locks of a family no longer than one piece takes; a
//! scraper that reads slowly holds nothing at all.

mod negotiate;
pub(crate) mod protobuf;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub(super) use negotiate::{Exposition, Format, accepts_gzip};

use super::family::Family;
use super::store::Store;

/// The size from which a piece is sent.
const PIECE: usize = 64 << 10;
/// Room for the series that passes that size.
const MARGIN: usize = 4 << 10;

/// How the series are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) exposition: Exposition,
    /// Whether samples carry the time of their point.
    pub(super) timestamps: bool,
}

/// A scrape on its way.
pub(super) struct Scrape {
    store: Arc<Store>,
    style: Style,
    /// Series that were changed before this are shown no more.
    horizon: u64,
    families: std::vec::IntoIter<Arc<Family>>,
    current: Option<Current>,
    ended: bool,
}

/// The family that is being written.
struct Current {
    family: Arc<Family>,
    place: usize,
    head: text::Head,
    /// Whether its head was written, which it is when it shows a series.
    begun: bool,
}

impl Scrape {
    pub(super) fn new(store: Arc<Store>, style: Style) -> Self {
        Self {
            families: store.families().into_iter(),
            horizon: store.horizon(store.now()),
            store,
            style,
            current: None,
            ended: false,
        }
    }

    /// The next piece; none at the end.
    pub(super) fn piece(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = Vec::with_capacity(PIECE + MARGIN);
        while out.len() < PIECE {
            let Some(current) = self.current.take().or_else(|| self.next_family()) else {
                self.ended = true;
                if matches!(self.style.exposition.format, Format::OpenMetrics(_)) {
                    out.extend_from_slice(b"# EOF\n");
                }
                break;
            };
            self.current = match self.style.exposition.format {
                Format::Protobuf => {
                    protobuf::write_family(&current.family, self.style, self.horizon, &mut out);
                    None
                }
                _ => self.write_some(current, &mut out),
            };
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }

    fn next_family(&mut self) -> Option<Current> {
        let family = self.families.next()?;
        Some(Current {
            head: text::Head::new(&family, self.style),
            family,
            place: 0,
            begun: false,
        })
    }

    /// Writes as many series of a family as a piece takes, and gives it back if it has more.
    fn write_some(&self, current: Current, out: &mut Vec<u8>) -> Option<Current> {
        let Current {
            family,
            place,
            head,
            mut begun,
        } = current;
        let next = family.visit(place, |series| {
            series.with(|state| {
                if state.updated < self.horizon {
                    return;
                }
                if !begun {
                    begun = true;
                    out.extend_from_slice(head.preamble.as_bytes());
                }
                text::write_series(out, &head, series, state, self.style);
            });
            out.len() < PIECE
        });
        next.map(|place| Current {
            family,
            place,
            head,
            begun,
        })
    }
}

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrape")
            .field("style", &self.style)
            .field("series", &self.store.meters)
            .finish_non_exhaustive()
    }
}
