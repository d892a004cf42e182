//! Where bytes go that cannot be delivered: out of the way, and never silently away.

use std::io::{self, IoSlice};
use std::path::PathBuf;

use crate::disk::{File, read_fully, write_fully};
use crate::state::LogState;

/// The directory beside a log's segments.
pub(crate) const QUARANTINE: &str = "quarantine";

/// Copies a stretch of a segment, as it is on disk, into a file of its own.
pub(crate) fn quarantine(
    log: &LogState,
    file: &dyn File,
    segment: u32,
    offset: u64,
    length: u64,
) -> io::Result<PathBuf> {
    let directory = log.path.join(QUARANTINE);
    log.disk().create_directory(&directory)?;
    let path = directory.join(format!("{segment:010}-{offset:010}.bytes"));
    if let Ok(there) = log.disk().open_to_read(&path)
        && there.size()? == length
    {
        return Ok(path);
    }
    let copy = log.disk().create(&path)?;
    let mut bytes = vec![0; 64 << 10];
    let mut done = 0;
    while done < length {
        let some = usize::try_from(length - done).map_or(bytes.len(), |left| left.min(bytes.len()));
        let read = read_fully(file, &mut bytes[..some], offset + done)?;
        if read == 0 {
            break;
        }
        write_fully(&*copy, &mut [IoSlice::new(&bytes[..read])], done)?;
        done += read as u64;
    }
    copy.sync()?;
    log.disk().sync_directory(&directory)?;
    log.disk().sync_directory(&log.path)?;
    log.directory.grow(done);
    Ok(path)
}
