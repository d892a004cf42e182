//! Opens a log: which segments there are and what is known of them without reading them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::catalog::{Catalog, Segment, State};
use crate::disk::{Disk, read_small, replace};
use crate::error::OpenError;
use crate::flights::Flights;
use crate::format::{LogId, SEGMENT_HEADER, SegmentHeader};
use crate::marks;
use crate::segment::{footer, head};
use crate::state::{Directory, LogState, marks_path, number_in, segment_path};

/// The file that keeps the identity of a log, beside what each segment says of it.
pub(crate) const IDENTITY: &str = "identity";

/// Opens a log, or begins it.
pub(crate) fn load(
    directory: &Arc<Directory>,
    name: &str,
    path: &Path,
    index: usize,
) -> Result<LogState, OpenError> {
    let disk = &*directory.disk;
    disk.create_directory(path)
        .and_then(|()| disk.sync_directory(&directory.path))
        .map_err(OpenError::io("make the directory", path))?;
    let segments = clean(disk, path).map_err(OpenError::io("read", path))?;
    let id = match identity(disk, path, &segments)? {
        Some(id) => id,
        None => begin(disk, path).map_err(OpenError::io("begin a log in", path))?,
    };
    let catalog = catalog(disk, path, id, &segments)?;
    let born = catalog.segments.last_key_value();
    let born = born.map_or(1, |(number, _)| number + 1);
    let is_there = |segment| catalog.segments.contains_key(&segment);
    let (flights, deaths) = Flights::open(disk, path, id, is_there)
        .map_err(OpenError::io("write the flights of", path))?;
    Ok(LogState {
        directory: Arc::clone(directory),
        name: name.to_owned(),
        path: path.to_owned(),
        id,
        index,
        born,
        catalog: Mutex::new(catalog),
        flights,
        deaths,
        tally: Default::default(),
        full_until: Default::default(),
        unresolved: Default::default(),
    })
}

/// Removes what a crash left over, and tells which segments there are, with their sizes.
fn clean(disk: &dyn Disk, path: &Path) -> io::Result<BTreeMap<u32, u64>> {
    let entries = disk.list(path)?;
    let segments = segments(&entries);
    for entry in &entries {
        let orphan =
            number_in(&entry.name, "marks").filter(|number| !segments.contains_key(number));
        if entry.name.ends_with(".tmp") {
            // A rewrite, or a small file, that was not finished.
            let _ = disk.remove(&path.join(&entry.name));
        } else if let Some(number) = orphan {
            let _ = disk.remove(&marks_path(path, number));
        }
    }
    Ok(segments)
}

/// The segments among the entries of a directory, with their sizes.
pub(crate) fn segments(entries: &[crate::disk::Entry]) -> BTreeMap<u32, u64> {
    entries
        .iter()
        .filter_map(|entry| Some((number_in(&entry.name, "seg")?, entry.size)))
        .collect()
}

/// Who a log is: by its own file, or by what the first sound segment says; none if it is new.
pub(crate) fn identity(
    disk: &dyn Disk,
    path: &Path,
    segments: &BTreeMap<u32, u64>,
) -> Result<Option<LogId>, OpenError> {
    let file = path.join(IDENTITY);
    let bytes = read_small(disk, &file, SEGMENT_HEADER).map_err(OpenError::io("read", &file))?;
    let version = |path: &Path, version| OpenError::Version {
        path: path.to_owned(),
        version,
    };
    let own = SegmentHeader::decode(&bytes).map_err(|found| version(&file, found))?;
    if let Some(header) = own {
        return Ok(Some(header.log));
    }
    for number in segments.keys() {
        let file = segment_path(path, *number);
        let header = disk.open_to_read(&file).and_then(|file| head(&*file));
        let header = header.map_err(OpenError::io("read", &file))?;
        if let Some(header) = header.map_err(|found| version(&file, found))? {
            return Ok(Some(header.log));
        }
    }
    if segments.values().any(|size| *size > SEGMENT_HEADER as u64) {
        return Err(OpenError::Unrecognized {
            path: path.to_owned(),
        });
    }
    Ok(None)
}

fn begin(disk: &dyn Disk, path: &Path) -> io::Result<LogId> {
    let id = LogId::new(uuid::Uuid::new_v4().into_bytes());
    let header = SegmentHeader {
        log: id,
        segment: 0,
        follows_settled: false,
    };
    replace(disk, &path.join(IDENTITY), &header.encode())?;
    Ok(id)
}

fn catalog(
    disk: &dyn Disk,
    path: &Path,
    id: LogId,
    segments: &BTreeMap<u32, u64>,
) -> Result<Catalog, OpenError> {
    let mut catalog = Catalog::default();
    for (number, size) in segments {
        let file = segment_path(path, *number);
        let segment = segment(disk, path, id, *number, *size);
        let (segment, header) = segment.map_err(OpenError::io("read", &file))?;
        let header = header.map_err(|version| OpenError::Version {
            path: file,
            version,
        })?;
        let before = catalog.segments.get_mut(&number.wrapping_sub(1));
        if let Some(before) = before
            && header.is_some_and(|header| header.follows_settled)
        {
            before.settled = true;
        }
        catalog.segments.insert(*number, segment);
    }
    Ok(catalog)
}

type Head = Result<Option<SegmentHeader>, u16>;

fn segment(
    disk: &dyn Disk,
    path: &Path,
    id: LogId,
    number: u32,
    size: u64,
) -> io::Result<(Segment, Head)> {
    let file = disk.open_to_read(&segment_path(path, number))?;
    let mut segment = Segment::new(State::Unread, size, size);
    segment.dead = marks::read(disk, path, id, number)?;
    if size <= SEGMENT_HEADER as u64 {
        segment.state = State::Closed;
    } else if let Some(footer) = footer(&*file, id, number, size)? {
        segment.total = footer.ordinal;
        segment.settled = true;
        if footer.ordinal == 0 {
            segment.state = State::Closed;
        }
    }
    Ok((segment, head(&*file)?))
}
