//! Ends a segment: a footer says what is in it, and the room that it did not need is given back.

use std::io::{self, IoSlice};

use crate::disk::{File, write_fully};
use crate::format::{Header, Kind, LogId, RECORD_HEADER};
use crate::state::{LogState, segment_path};

/// A file that has less room left than one part in so many is not cut: it may be used again.
const SMALL_REST: u64 = 16;

/// Writes a footer at the end of a file of `size` bytes, all of whose records lie before `end`, or, where
/// that would leave much room unused, at `end`, and cuts the file behind it; tells its new size.
pub(crate) fn end_active(
    file: &dyn File,
    log: LogId,
    segment: u32,
    (end, size): (u64, u64),
    total: u32,
) -> io::Result<u64> {
    let at = size.saturating_sub(RECORD_HEADER as u64);
    if at < end || at - end > size / SMALL_REST {
        return end_segment(file, log, segment, end, total);
    }
    write_footer(file, log, segment, (end, at), total)?;
    Ok(size)
}

/// Writes a footer at `end` and cuts the file behind it; tells its new size.
pub(crate) fn end_segment(
    file: &dyn File,
    log: LogId,
    segment: u32,
    end: u64,
    total: u32,
) -> io::Result<u64> {
    write_footer(file, log, segment, (end, end), total)?;
    let size = end + RECORD_HEADER as u64;
    file.set_size(size)?;
    Ok(size)
}

fn write_footer(
    file: &dyn File,
    log: LogId,
    segment: u32,
    (end, at): (u64, u64),
    total: u32,
) -> io::Result<()> {
    let footer = Header {
        kind: Kind::Footer,
        payload: 0,
        context: 0,
        ordinal: total,
        segment,
        synced: u32::try_from(end).unwrap_or(u32::MAX),
        appended: 0,
        items: 0,
        id: [0; 16],
        data_sum: 0,
    };
    write_fully(file, &mut [IoSlice::new(&footer.encode(log))], at)
}

/// Ends a segment that a former life left open, now that it was read.
///
/// Nothing is lost if this fails: the next life reads it again.
pub(crate) fn seal_found(log: &LogState, segment: u32, end: u64, total: u32) {
    let sealed = log
        .disk()
        .open(&segment_path(&log.path, segment))
        .and_then(|file| {
            // After a mere death of the process its last records may not be on stable storage.
            file.sync()?;
            let size = end_segment(&*file, log.id, segment, end, total)?;
            file.sync()?;
            Ok(size)
        });
    if let Ok(size) = sealed {
        resize(log, segment, size);
    }
}

/// Books the new size of a segment's file.
pub(crate) fn resize(log: &LogState, segment: u32, size: u64) {
    let mut catalog = log.catalog();
    if let Some(segment) = catalog.segments.get_mut(&segment) {
        log.directory.shrink(segment.size);
        log.directory.grow(size);
        segment.size = size;
    }
}
