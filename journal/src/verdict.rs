//! What becomes of a record that was found: it is given out, or put away for a reason.

use std::sync::Arc;

use crate::catalog::Position;
use crate::disk::File;
use crate::error::ReadError;
use crate::format::Header;
use crate::log::Record;
use crate::quarantine::quarantine;
use crate::segment::Data;
use crate::state::LogState;

impl LogState {
    /// Whether a record may be given out; one that may not is put away and counted.
    pub(crate) fn admits(
        self: &Arc<Self>,
        file: &dyn File,
        position: Position,
        header: &Header,
    ) -> bool {
        if self.is_expired(header.appended) {
            if self.kill(position) {
                self.tally.expired_records.add(1);
                self.tally.expired_items.add(header.items);
            }
            return false;
        }
        let most = self.directory.options.max_deaths;
        if most > 0 && self.deaths_of(position) >= most {
            if self.put_away(file, position) {
                self.tally.deadly_records.add(1);
                self.tally.deadly_items.add(header.items);
            }
            return false;
        }
        true
    }

    /// Puts a record away whose bytes are damaged.
    pub(crate) fn condemn(self: &Arc<Self>, file: &dyn File, position: Position, items: u64) {
        if self.put_away(file, position) {
            self.tally.damaged_records.add(1);
            self.tally.damaged_items.add(items);
        }
    }

    /// Gives a record out.
    pub(crate) fn record(&self, position: Position, header: &Header, data: Data) -> Record {
        Record {
            position,
            payload: data.payload,
            context: data.context,
            items: header.items,
            id: header.id,
            age: self.age(header.appended),
            deaths: self.deaths_of(position),
        }
    }

    /// Keeps the file of a segment, whatever else happens in this life.
    pub(crate) fn pin(&self, segment: u32) {
        if let Some(segment) = self.catalog().segments.get_mut(&segment) {
            segment.pinned = true;
        }
    }

    fn deaths_of(&self, position: Position) -> u32 {
        self.deaths.of(position.segment, position.ordinal)
    }

    /// Moves a record to quarantine; tells whether it was live.
    fn put_away(self: &Arc<Self>, file: &dyn File, position: Position) -> bool {
        let Some(found) = self.catalog().find(position) else {
            return false;
        };
        let length = u64::from(position.length);
        match quarantine(self, file, position.segment, found.offset, length) {
            Ok(_) => self.kill(position),
            Err(_no_room) => {
                // No mark is written, so that the next life tries again.
                self.pin(position.segment);
                self.catalog().kill(position).new
            }
        }
    }
}

/// A record that was read at its position.
pub(crate) fn judge(
    log: &Arc<LogState>,
    file: &dyn File,
    position: Position,
    read: Result<(Header, Data), Option<Header>>,
) -> Result<Record, ReadError> {
    match read {
        Ok((header, data)) if log.admits(file, position, &header) => {
            Ok(log.record(position, &header, data))
        }
        Ok(_) => Err(ReadError::Gone),
        Err(header) => {
            log.condemn(file, position, header.map_or(0, |header| header.items));
            Err(ReadError::Damaged)
        }
    }
}
