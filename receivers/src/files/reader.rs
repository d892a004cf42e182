//! Reading what is new in a file, entry by entry.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::config::Settings;
use super::encoding::Encoding;
use super::split::trimmed;
use super::tracker::{Tracked, Tracker};
use crate::operators::Map;

/// Bytes that are read at once.
const CHUNK: usize = 128 * 1024;

/// One entry of a file.
#[derive(Debug)]
pub(crate) struct Read<'r> {
    /// The file, by its number.
    pub(crate) number: u64,
    pub(crate) file: &'r Tracked,
    /// Its text, trimmed and in UTF-8.
    pub(crate) text: Cow<'r, [u8]>,
    /// Where it begins.
    pub(crate) start: u64,
    /// The how manieth entry of its file it is, from 1 on.
    pub(crate) count: u64,
}

/// Takes entries.
pub(crate) trait Taker {
    /// Takes one; false where there is room for no more.
    fn take(&mut self, read: Read<'_>) -> bool;

    /// Whether files have headers.
    fn has_headers(&self) -> bool {
        false
    }

    /// Takes an entry of the header of a file; gives what it tells, or nothing where the header has ended.
    fn header(&mut self, _text: &[u8]) -> Option<Map> {
        None
    }
}

/// Why reading a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing is left of it for now.
    Reached,
    /// There is no room for more.
    Full,
    /// It has had its turn.
    Turn,
    /// It cannot be read now.
    Failed,
}

/// Reads files one after the other into one buffer.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// Reads what is new of a file, of at most about `turn` bytes.
    pub(crate) fn read(
        &mut self,
        tracker: &mut Tracker,
        number: u64,
        turn: u64,
        now: Instant,
        taker: &mut impl Taker,
    ) -> End {
        if !tracker.open(number, now) {
            return End::Failed;
        }
        let settings = Arc::clone(tracker.settings());
        let Some(file) = tracker.files.get_mut(&number) else {
            return End::Failed;
        };
        let locked = settings.keys.acquire_fs_lock;
        if locked
            && file
                .source
                .as_ref()
                .is_none_or(|source| source.file().try_lock_shared().is_err())
        {
            return End::Failed;
        }
        let mut pass = Pass {
            settings: &settings,
            buffer: &mut self.buffer,
            number,
            turn,
            now,
        };
        let read = pass.run(file, taker);
        if locked && let Some(source) = &file.source {
            // The lock goes with the file at the latest.
            let _ = source.file().unlock();
        }
        match read {
            Ok(end) => end,
            Err(error) => {
                let path = file.path.clone();
                // It is tried again when it changes.
                file.read = Some(file.about);
                file.source = None;
                tracker.tell(&path, &error, now);
                End::Failed
            }
        }
    }
}

/// One go at one file.
struct Pass<'p> {
    settings: &'p Settings,
    buffer: &'p mut Vec<u8>,
    number: u64,
    turn: u64,
    now: Instant,
}

impl Pass<'_> {
    fn run(&mut self, file: &mut Tracked, taker: &mut impl Taker) -> io::Result<End> {
        let keys = &self.settings.keys;
        let most = keys.max_log_size.as_usize();
        let flush = !keys.force_flush_period.is_zero()
            && file
                .partial_since
                .is_some_and(|since| self.now >= since + *keys.force_flush_period);
        let about = file.about;
        let (mut from, mut filled, mut at_end) = (0, 0, false);
        let begin = file.place.offset;
        if !taker.has_headers() {
            file.has_header = true;
        } else if !file.has_header && begin > 0 {
            self.header_again(file, taker)?;
        }
        loop {
            while let Some(token) = self.settings.splitter.first(
                &self.buffer[from..filled],
                most,
                at_end,
                flush && at_end,
            ) {
                let raw = from + token.start..from + token.end;
                from += token.next;
                let before = file.place;
                if !self.entry(file, raw, token.next as u64, taker) {
                    file.place = before;
                    file.partial_since = None;
                    return Ok(End::Full);
                }
                if file.place.offset - begin >= self.turn {
                    file.partial_since = None;
                    return Ok(End::Turn);
                }
            }
            if at_end {
                break;
            }
            self.buffer.copy_within(from..filled, 0);
            filled -= from;
            from = 0;
            if self.buffer.len() < filled + CHUNK {
                self.buffer.resize(filled + CHUNK, 0);
            }
            let Some(source) = &mut file.source else {
                return Ok(End::Failed);
            };
            let read = source.read(
                &mut self.buffer[filled..],
                file.place.offset + filled as u64,
            )?;
            at_end = filled + read < self.buffer.len();
            filled += read;
        }
        let grown = file.read != Some(about);
        file.read = Some(about);
        file.partial_since = match filled > from {
            true if grown => Some(self.now),
            true => file.partial_since,
            false => None,
        };
        Ok(End::Reached)
    }

    /// Reads the header of a file that an earlier process has read.
    fn header_again(&mut self, file: &mut Tracked, taker: &mut impl Taker) -> io::Result<()> {
        let most = self.settings.keys.max_log_size.as_usize();
        let mut first = vec![0; CHUNK];
        let length = match &mut file.source {
            Some(source) => source.read(&mut first, 0)?,
            None => 0,
        };
        let mut from = 0;
        file.has_header = true;
        while let Some(token) =
            self.settings
                .splitter
                .first(&first[from..length], most, false, false)
        {
            let text = self
                .settings
                .encoding
                .decode(&first[from + token.start..from + token.end]);
            let Some(more) = taker.header(trimmed(&text, true, true)) else {
                break;
            };
            file.labels = file.labels.and(more);
            from += token.next;
        }
        Ok(())
    }

    /// Hands one entry on; false where there is no room for it.
    fn entry(
        &mut self,
        file: &mut Tracked,
        raw: std::ops::Range<usize>,
        bytes: u64,
        taker: &mut impl Taker,
    ) -> bool {
        let keys = &self.settings.keys;
        let start = file.place.offset;
        let raw = &self.buffer[raw];
        let text = self.settings.encoding.decode(raw);
        let (leading, trailing) = match self.settings.encoding {
            Encoding::Nop => (false, false),
            _ => (
                !keys.preserve_leading_whitespaces,
                !keys.preserve_trailing_whitespaces,
            ),
        };
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(trimmed(text, leading, trailing)),
            Cow::Owned(text) => Cow::Owned(trimmed(&text, leading, trailing).to_vec()),
        };
        file.place.offset += bytes;
        if !file.has_header {
            match taker.header(&text) {
                Some(more) => {
                    file.labels = file.labels.and(more);
                    return true;
                }
                None => file.has_header = true,
            }
        }
        if text.is_empty() {
            return true;
        }
        file.place.entries += 1;
        let count = file.place.entries;
        taker.take(Read {
            number: self.number,
            file,
            text,
            start,
            count,
        })
    }
}
