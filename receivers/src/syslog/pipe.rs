//! From messages to requests: parsed, through the operators, and written.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_pdata::{Payload, Reservation, Signal};

use crate::operators::{Chain, Composer, Entry, Map, Stamps, Value};

/// The way of messages, for one socket at a time.
pub(super) struct Pipe(Mutex<Parts>);

struct Parts {
    parser: Chain,
    chain: Chain,
    stamps: Stamps,
    composer: Composer,
}

impl Pipe {
    pub(super) fn new(parser: Chain, chain: Chain, stamps: Stamps) -> Self {
        Self(Mutex::new(Parts {
            parser,
            chain,
            stamps,
            composer: Composer::default(),
        }))
    }

    /// Makes a request of the messages that `each` gives, which all have these attributes.
    pub(super) fn request(
        &self,
        attributes: &Map,
        hold: Reservation,
        each: impl FnOnce(&mut dyn FnMut(&[u8])),
    ) -> Payload {
        let mut parts = self.parts();
        let now = now();
        each(&mut |text| parts.take(text, attributes, now));
        parts.finish(Some(hold))
    }

    /// What operators have held for long enough, if that is something.
    pub(super) fn due(&self) -> Option<Payload> {
        let mut parts = self.parts();
        let now = now();
        let is_due = parts.chain.deadline().is_some_and(|due| due <= now);
        is_due.then(|| parts.flush(Some(now)))
    }

    /// What operators hold, if that is something.
    pub(super) fn rest(&self) -> Option<Payload> {
        let mut parts = self.parts();
        parts.chain.deadline().is_some().then(|| parts.flush(None))
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        // A panic elsewhere costs the records at hand and leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn take(&mut self, text: &[u8], attributes: &Map, now: u64) {
        let body = match std::str::from_utf8(text) {
            Ok(text) => Value::from(text),
            // Only what is passed on raw need not be UTF-8; the parser wants text.
            Err(_) => Value::from(String::from_utf8_lossy(text).into_owned()),
        };
        let (mut all, resource) = self.stamps.constant();
        for (key, value) in attributes.iter() {
            all.insert(key.to_owned(), value.clone());
        }
        let mut entry = Entry {
            observed: now,
            body,
            attributes: all,
            resource,
            ..Entry::default()
        };
        self.stamps.apply(&mut entry);
        let (chain, composer) = (&mut self.chain, &mut self.composer);
        self.parser.push(entry, &mut |entry| {
            chain.push(entry, &mut |entry| composer.entry(&entry));
        });
    }

    fn flush(&mut self, now: Option<u64>) -> Payload {
        let composer = &mut self.composer;
        self.chain.flush(now, &mut |entry| composer.entry(&entry));
        self.finish(None)
    }

    fn finish(&mut self, hold: Option<Reservation>) -> Payload {
        self.composer.finish(hold).unwrap_or_else(|error| {
            // Only a fault of ours could make it so.
            tracing::error!(%error, "messages cannot be passed on");
            Payload::empty(Signal::Logs)
        })
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
