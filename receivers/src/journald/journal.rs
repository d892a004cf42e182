//! From the lines of `journalctl` to requests, with the place in the journal that each moves on to.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_component::metrics::Counter;
use tidegate_pdata::{Payload, Reservation, Signal};

use crate::operators::{Chain, Composer, Entry, Map, Origin, Stamps, Text, Value, json};

/// Bytes of a batch, but for its last record.
pub(super) const BATCH: usize = 1 << 20;
/// Records of a batch.
const RECORDS: usize = 16_384;

/// The field that tells when an entry was received, which is its time.
const TIME: &str = "__REALTIME_TIMESTAMP";
/// The field that tells where it is.
const CURSOR: &str = "__CURSOR";
const MESSAGE: &str = "MESSAGE";

/// Makes records of entries.
pub(super) struct Journal {
    chain: Chain,
    stamps: Stamps,
    composer: Composer,
    bytes_as_text: bool,
    unread: Counter,
    /// The number of the next entry.
    next: u64,
    /// The place behind each entry that nobody answers for yet.
    places: VecDeque<(u64, String)>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) payload: Payload,
    /// Where the next process goes on once it is kept; none where that does not change.
    pub(super) cursor: Option<String>,
}

pub(super) fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

impl Journal {
    pub(super) fn new(
        (chain, stamps): (Chain, Stamps),
        bytes_as_text: bool,
        unread: Counter,
    ) -> Self {
        Self {
            chain,
            stamps,
            composer: Composer::default(),
            bytes_as_text,
            unread,
            next: 1,
            places: VecDeque::new(),
        }
    }

    /// Whether a batch has room for more.
    pub(super) fn has_room(&self) -> bool {
        self.composer.size() < BATCH && self.composer.items() < RECORDS
    }

    /// Whether nothing waits to be handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.composer.items() == 0 && self.places.is_empty()
    }

    /// Whether operators have held something for long enough.
    pub(super) fn is_due(&self) -> bool {
        self.chain.deadline().is_some_and(|due| due <= unix_now())
    }

    /// Takes a line; gives the place behind it.
    pub(super) fn take(&mut self, line: &[u8]) -> Option<String> {
        let (entry, cursor) = match self.entry(line) {
            Ok(read) => read,
            Err(why) => {
                if self.unread.value() == 0 {
                    tracing::warn!(
                        why,
                        "an entry of the journal cannot be read; later ones are counted alone"
                    );
                }
                self.unread.add(1);
                return None;
            }
        };
        self.places.push_back((self.next, cursor.clone()));
        self.next += 1;
        let composer = &mut self.composer;
        self.chain.push(entry, &mut |entry| composer.entry(&entry));
        Some(cursor)
    }

    /// Counts a line that was too long to be read.
    pub(super) fn passed_over(&self) {
        self.unread.add(1);
    }

    fn entry(&self, line: &[u8]) -> Result<(Entry, String), String> {
        let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        let Value::Map(mut body) = json(text)? else {
            return Err("the JSON is no object".to_owned());
        };
        let text_of = |body: &Map, key: &str| {
            let text = body.get(key).and_then(Value::as_str);
            text.map(str::to_owned)
                .ok_or_else(|| format!("it has no text {key}"))
        };
        let time = text_of(&body, TIME)?;
        let micros: u64 = time
            .parse()
            .map_err(|error| format!("its time {time:?} is no number: {error}"))?;
        let cursor = text_of(&body, CURSOR)?;
        body.remove(TIME);
        if self.bytes_as_text
            && let Some(Value::List(bytes)) = body.get(MESSAGE)
        {
            let bytes: Vec<u8> = bytes.iter().filter_map(byte).collect();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            body.insert(Text::Static(MESSAGE), Value::from(text));
        }
        let (attributes, resource) = self.stamps.constant();
        let mut entry = Entry {
            timestamp: Some(micros.saturating_mul(1000)),
            observed: unix_now(),
            body: Value::Map(body),
            attributes,
            resource,
            origin: Origin {
                start: self.next,
                count: self.next,
                ..Origin::default()
            },
            ..Entry::default()
        };
        self.stamps.apply(&mut entry);
        Ok((entry, cursor))
    }

    /// Makes a batch of what was taken, and of what operators have held for long enough, or of all.
    pub(super) fn batch(&mut self, hold: Option<Reservation>, all: bool) -> Batch {
        let composer = &mut self.composer;
        let now = (!all).then(unix_now);
        self.chain.flush(now, &mut |entry| composer.entry(&entry));
        let held = self.chain.held(0).map_or(self.next, |(start, _)| start);
        let mut cursor = None;
        while self
            .places
            .front()
            .is_some_and(|(number, _)| *number < held)
        {
            cursor = self.places.pop_front().map(|(_, cursor)| cursor);
        }
        let payload = self.composer.finish(hold).unwrap_or_else(|error| {
            // Only a fault of ours could make it so.
            tracing::error!(%error, "entries of the journal cannot be passed on");
            Payload::empty(Signal::Logs)
        });
        Batch { payload, cursor }
    }
}

fn byte(value: &Value) -> Option<u8> {
    match value {
        Value::Int(value) => u8::try_from(*value).ok(),
        Value::Double(value) if (0.0..256.0).contains(value) => Some(*value as u8),
        _ => None,
    }
}
