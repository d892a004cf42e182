//! Rewrites a segment of which little is live, so that a few stuck records pin no disk.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::catalog::State;
use crate::cursor::position;
use crate::disk::{File, write_fully};
use crate::format::{Header, LogId, SEGMENT_HEADER, SegmentHeader};
use crate::quarantine::quarantine;
use crate::seal::{end_segment, resize};
use crate::segment::{Data, Scanner, Step};
use crate::state::{LogState, segment_path};

/// Milliseconds until a rewrite that failed is tried again.
const PAUSE: u64 = 10_000;

/// What a rewrite kept.
struct Kept {
    moved: Vec<(u32, u32)>,
    end: u64,
    size: u64,
}

/// Copies the live records of a complete segment into a new file that takes the place and the
/// name of the old one in one step. Numbers stay; offsets change, which the catalog remembers.
///
/// Whatever fails, the old file stays as it is; there is then no room to be won here for now.
pub(crate) fn rewrite(log: &Arc<LogState>, segment: u32) {
    let path = segment_path(&log.path, segment);
    let draft = path.with_extension("tmp");
    let (kept, old) = match copy(log, segment, &draft) {
        Ok(copied) => copied,
        Err(_) => return put_off(log, segment, &draft),
    };
    // While the name changes hands, what the catalog knows is of the old file: readers get that
    // one, and whoever has opened the new one by its name sees that something changed.
    hand_out(log, segment, Some(old));
    if log.disk().rename(&draft, &path).is_err() {
        hand_out(log, segment, None);
        return put_off(log, segment, &draft);
    }
    // If the machine dies before this, the old file is there: it holds the same and more.
    let _ = log.disk().sync_directory(&log.path);
    {
        let mut catalog = log.catalog();
        if let Some(segment) = catalog.segments.get_mut(&segment) {
            segment.generation += 1;
            segment.file = None;
            segment.end = kept.end;
            segment.data = kept.end - SEGMENT_HEADER as u64;
            segment.moved = Some(kept.moved.into());
        }
    }
    resize(log, segment, kept.size);
    log.tally.rewritten_segments.add(1);
}

/// Has readers use a file, or open it by its name.
fn hand_out(log: &LogState, segment: u32, file: Option<Arc<dyn File>>) {
    if let Some(segment) = log.catalog().segments.get_mut(&segment) {
        segment.generation += 1;
        segment.file = file;
    }
}

/// Tries again later: there may be no room just now.
fn put_off(log: &LogState, segment: u32, draft: &Path) {
    let _ = log.disk().remove(draft);
    let later = log.directory.since_open() + PAUSE;
    if let Some(segment) = log.catalog().segments.get_mut(&segment) {
        segment.rewrite_after = later;
    }
}

fn copy(log: &Arc<LogState>, segment: u32, draft: &Path) -> io::Result<(Kept, Arc<dyn File>)> {
    let (end, total, settled) = {
        let catalog = log.catalog();
        let found = catalog.segments.get(&segment);
        let found = found.filter(|found| found.state == State::Closed);
        let found = found.ok_or(io::ErrorKind::NotFound)?;
        (found.end, found.total, found.settled)
    };
    let from = log.disk().open_to_read(&segment_path(&log.path, segment))?;
    let to = log.disk().create(draft)?;
    let header = SegmentHeader {
        log: log.id,
        segment,
        follows_settled: false,
    };
    write_fully(&*to, &mut [IoSlice::new(&header.encode())], 0)?;
    let mut scanner = Scanner::new(Arc::clone(&from), log.id, segment, Some(end), settled)?;
    let mut moved = Vec::new();
    let mut at = SEGMENT_HEADER as u64;
    loop {
        match scanner.step()? {
            Step::End => break,
            Step::Damage(damage) if damage.torn => {}
            Step::Damage(damage) => {
                quarantine(log, &*from, segment, damage.offset, damage.length)?;
            }
            Step::Record { header, offset } => {
                if log.catalog().is_dead(segment, header.ordinal) {
                    continue;
                }
                let Some(data) = scanner.data(&header, offset)? else {
                    log.condemn(&*from, position(&header, offset), header.items);
                    continue;
                };
                write(&*to, log.id, header, &data, at)?;
                moved.push((header.ordinal, u32::try_from(at).unwrap_or(u32::MAX)));
                at += header.span();
            }
        }
    }
    let kept = Kept {
        moved,
        end: at,
        size: 0,
    };
    Ok((finish(log, segment, &*to, kept, total)?, from))
}

fn write(to: &dyn File, log: LogId, mut header: Header, data: &Data, at: u64) -> io::Result<()> {
    header.synced = 0;
    let header = header.encode(log);
    let parts = &mut [
        IoSlice::new(&header),
        IoSlice::new(&data.payload),
        IoSlice::new(&data.context),
    ];
    // What pads it to the next header is what the file holds where nothing was written.
    write_fully(to, parts, at)
}

fn finish(
    log: &LogState,
    segment: u32,
    file: &dyn File,
    mut kept: Kept,
    total: u32,
) -> io::Result<Kept> {
    kept.size = end_segment(file, log.id, segment, kept.end, total)?;
    file.sync()?;
    Ok(kept)
}
