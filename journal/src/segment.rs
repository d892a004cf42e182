//! Reads a segment from its first byte to its last, whatever is in it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{File, read_fully};
use crate::format::{
    self, ALIGNMENT, Header, Kind, LogId, RECORD_HEADER, RECORD_MAGIC, SEGMENT_HEADER,
    SegmentHeader,
};

/// No segment numbers a record so high: each takes a header at the least.
pub(crate) const MAX_ORDINAL: u32 = u32::MAX / RECORD_HEADER as u32;

/// Bytes read at once where headers or small records follow each other.
const FAR: usize = 64 << 10;

/// Bytes read at once where the next header is likely followed by much payload.
const NEAR: usize = 4 << 10;

/// What a record carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) payload: Bytes,
    pub(crate) context: Bytes,
}

/// What comes next in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record whose header is sound; its data may not be.
    Record { header: Header, offset: u64 },
    /// Bytes that are no record.
    Damage(Damage),
    /// Nothing follows.
    End,
}

/// Bytes of a segment that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Whether a crash explains it: nothing says that these bytes were ever on stable storage.
    pub(crate) torn: bool,
}

/// A reader of one segment.
#[derive(Debug)]
pub(crate) struct Scanner {
    file: Arc<dyn File>,
    log: LogId,
    segment: u32,
    offset: u64,
    end: u64,
    /// Whether all of the segment was on stable storage once.
    settled: bool,
    /// One past the highest ordinal seen, or what the footer says.
    total: u32,
    next_ordinal: u32,
    window: Window,
}

impl Scanner {
    /// A reader of the records up to `end`, or up to where the file ends.
    ///
    /// `settled` says that its neighbour knows it as complete.
    pub(crate) fn new(
        file: Arc<dyn File>,
        log: LogId,
        segment: u32,
        end: Option<u64>,
        settled: bool,
    ) -> io::Result<Self> {
        let size = file.size()?;
        let mut scanner = Self {
            file,
            log,
            segment,
            offset: SEGMENT_HEADER as u64,
            end: end.unwrap_or(size).min(size),
            settled,
            total: 0,
            next_ordinal: 0,
            window: Window::default(),
        };
        if end.is_none()
            && let Some(footer) = footer(&*scanner.file, log, segment, size)?
        {
            // Between the last record and the footer may lie what the file held before.
            scanner.end = u64::from(footer.synced).min(size - RECORD_HEADER as u64);
            scanner.total = footer.ordinal;
            scanner.settled = true;
        }
        Ok(scanner)
    }

    /// Goes on at an offset where a record begins.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.next_ordinal = 0;
    }

    /// Where the next record begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// One past the highest ordinal that is known of.
    pub(crate) const fn total(&self) -> u32 {
        self.total
    }

    /// Whether all of the segment was on stable storage once.
    pub(crate) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// The file that is read.
    pub(crate) const fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// The next record or damage. After an error the rest of the segment is out of reach.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        if self.offset + RECORD_HEADER as u64 > self.end {
            return self.tail();
        }
        match self.header_at(self.offset)? {
            Some(header) if header.kind == Kind::Footer => {
                self.total = self.total.max(header.ordinal);
                Ok(Step::End)
            }
            Some(header) => {
                let offset = self.offset;
                self.offset += header.span();
                self.next_ordinal = header.ordinal + 1;
                self.total = self.total.max(self.next_ordinal);
                self.window.expect(header.data());
                Ok(Step::Record { header, offset })
            }
            None => self.find_next(),
        }
    }

    /// The data of a record that was just stepped over; none if it is damaged.
    pub(crate) fn data(&mut self, header: &Header, offset: u64) -> io::Result<Option<Data>> {
        let at = offset + RECORD_HEADER as u64;
        let length = usize::try_from(header.data()).map_err(io::Error::other)?;
        if length <= NEAR {
            let bytes = self.window.at(&*self.file, at, length)?;
            if bytes.len() < length {
                return Ok(None);
            }
            let (payload, context) = bytes.split_at(header.payload as usize);
            return Ok(checked(
                header,
                Bytes::copy_from_slice(payload),
                Bytes::copy_from_slice(context),
            ));
        }
        read_data(&*self.file, header, offset)
    }

    /// What is to be thought of a record whose header is sound and whose data is not.
    pub(crate) fn damaged(&mut self, header: &Header, offset: u64) -> io::Result<Damage> {
        let synced = self.header_at(self.offset)?.map_or(0, |next| next.synced);
        Ok(Damage {
            offset,
            length: header.span(),
            torn: self.is_torn(offset, synced),
        })
    }

    fn is_torn(&self, offset: u64, synced: u32) -> bool {
        !self.settled && u64::from(synced) <= offset
    }

    /// A few bytes too few for a header: nothing, or what a cut left over.
    fn tail(&mut self) -> io::Result<Step> {
        if self.offset >= self.end {
            return Ok(Step::End);
        }
        self.find_next()
    }

    /// The header at an offset, if a record of this segment can begin there.
    fn header_at(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let bytes = self.window.at(&*self.file, offset, RECORD_HEADER)?;
        let header = Header::decode(bytes, self.log);
        Ok(header.filter(|header| self.fits(header, offset)))
    }

    fn fits(&self, header: &Header, offset: u64) -> bool {
        let span = match header.kind {
            Kind::Record => header.span(),
            Kind::Footer => RECORD_HEADER as u64,
        };
        header.segment == self.segment
            && header.ordinal >= self.next_ordinal
            && header.ordinal < MAX_ORDINAL
            && offset + span <= self.end.next_multiple_of(ALIGNMENT as u64)
    }

    /// Looks for the next record after bytes that are none.
    fn find_next(&mut self) -> io::Result<Step> {
        let start = self.offset;
        let mut last_used = start;
        let mut at = start;
        self.window.expect(0);
        while at < self.end {
            let want = FAR.min(usize::try_from(self.end - at).unwrap_or(FAR));
            let bytes = self.window.at(&*self.file, at, want)?;
            if bytes.is_empty() {
                break;
            }
            let seen = bytes.len();
            if let Some(used) = last_used_in(bytes) {
                last_used = at + used as u64 + 1;
                let candidates: Vec<u64> = bytes
                    .chunks(ALIGNMENT)
                    .zip((at..).step_by(ALIGNMENT))
                    .filter(|(chunk, at)| *at > start && chunk.starts_with(&RECORD_MAGIC))
                    .map(|(_, at)| at)
                    .collect();
                for candidate in candidates {
                    if let Some(header) = self.header_at(candidate)? {
                        return Ok(self.damage(start, candidate, header.synced));
                    }
                }
            }
            at += seen as u64;
        }
        if self.settled {
            return Ok(self.damage(start, self.end, 0));
        }
        if last_used == start || self.is_vacant(start)? {
            // Room that was set aside and not written since.
            self.end = start;
            return Ok(Step::End);
        }
        Ok(self.damage(start, last_used.min(self.end), 0))
    }

    /// Whether zeros stand where a header would: every group of records has them behind it, and
    /// what comes after them is of a segment that had the file before.
    fn is_vacant(&mut self, offset: u64) -> io::Result<bool> {
        let bytes = self.window.at(&*self.file, offset, RECORD_HEADER)?;
        Ok(bytes.len() == RECORD_HEADER && bytes.iter().all(|byte| *byte == 0))
    }

    fn damage(&mut self, start: u64, next: u64, synced: u32) -> Step {
        // After the last record the rest is behind this; a step there finds the end.
        self.offset = next;
        Step::Damage(Damage {
            offset: start,
            length: next - start,
            torn: self.is_torn(start, synced),
        })
    }
}

/// The footer of a segment that was ended in good order.
pub(crate) fn footer(
    file: &dyn File,
    log: LogId,
    segment: u32,
    size: u64,
) -> io::Result<Option<Header>> {
    let Some(at) = size.checked_sub(RECORD_HEADER as u64) else {
        return Ok(None);
    };
    let mut bytes = [0; RECORD_HEADER];
    let read = read_fully(file, &mut bytes, at)?;
    let header = Header::decode(&bytes[..read], log);
    Ok(header.filter(|header| header.kind == Kind::Footer && header.segment == segment))
}

/// The head of a segment file; the error inside is a version that is not ours.
pub(crate) fn head(file: &dyn File) -> io::Result<Result<Option<SegmentHeader>, u16>> {
    let mut bytes = [0; SEGMENT_HEADER];
    let read = read_fully(file, &mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes[..read]))
}

/// One record at an offset, if it is the one that is meant and sound.
pub(crate) fn read_record(
    file: &dyn File,
    log: LogId,
    segment: u32,
    ordinal: u32,
    offset: u64,
) -> io::Result<Result<(Header, Data), Option<Header>>> {
    let mut bytes = [0; RECORD_HEADER];
    let read = read_fully(file, &mut bytes, offset)?;
    let header = Header::decode(&bytes[..read], log)
        .filter(|header| header.kind == Kind::Record)
        .filter(|header| (header.segment, header.ordinal) == (segment, ordinal))
        .filter(|header| header.data() <= crate::options::MAX_RECORD);
    let Some(header) = header else {
        return Ok(Err(None));
    };
    let data = read_data(file, &header, offset)?;
    Ok(data.map(|data| (header, data)).ok_or(Some(header)))
}

/// The data behind a header, in buffers of exactly its size; none if it is damaged.
fn read_data(file: &dyn File, header: &Header, offset: u64) -> io::Result<Option<Data>> {
    let at = offset + RECORD_HEADER as u64;
    let end = file.size()?;
    // A header may announce what a cut took away: no buffer for that.
    if at + header.data() > end {
        return Ok(None);
    }
    let mut payload = vec![0; header.payload as usize];
    let mut context = vec![0; usize::from(header.context)];
    let whole = read_fully(file, &mut payload, at)? == payload.len()
        && read_fully(file, &mut context, at + u64::from(header.payload))? == context.len();
    Ok(whole
        .then(|| checked(header, payload.into(), context.into()))
        .flatten())
}

fn checked(header: &Header, payload: Bytes, context: Bytes) -> Option<Data> {
    (format::data_sum([&payload, &context]) == header.data_sum).then_some(Data { payload, context })
}

/// Where the last byte is that is not zero.
fn last_used_in(bytes: &[u8]) -> Option<usize> {
    const ZEROS: [u8; 4096] = [0; 4096];
    // Comparing blocks is many times faster than looking at each byte.
    if bytes
        .chunks(ZEROS.len())
        .all(|block| *block == ZEROS[..block.len()])
    {
        return None;
    }
    bytes.iter().rposition(|byte| *byte != 0)
}

/// The part of the file that was read last.
#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    start: u64,
    ahead: usize,
}

impl Window {
    /// Says how many bytes follow before the next header.
    fn expect(&mut self, data: u64) {
        self.ahead = if data > NEAR as u64 { NEAR } else { FAR };
    }

    /// `length` bytes at an offset, fewer where the file ends.
    fn at(&mut self, file: &dyn File, offset: u64, length: usize) -> io::Result<&[u8]> {
        let has = offset
            .checked_sub(self.start)
            .and_then(|at| usize::try_from(at).ok())
            .filter(|at| {
                at.checked_add(length)
                    .is_some_and(|end| end <= self.bytes.len())
            });
        let at = match has {
            Some(at) => at,
            None => {
                self.bytes.resize(length.max(self.ahead).max(NEAR), 0);
                self.start = offset;
                let read = read_fully(file, &mut self.bytes, offset);
                self.bytes.truncate(*read.as_ref().unwrap_or(&0));
                read?;
                0
            }
        };
        let end = (at + length).min(self.bytes.len());
        Ok(&self.bytes[at..end])
    }
}
