//! Objects that a former life sealed and whose end nobody knows: they are made again from the
//! same records and committed under the same name, before anything else is added.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_component::{BulkExporter, ExportError, Position, Sealed};
use tidegate_journal::{Log, Position as Record};
use tidegate_pdata::{Payload, Signal};

use super::driver::Object;
use super::seals::{record_of, signal_of};
use super::work::Work;
use crate::delivery::attempt::{Failure, caught, chain};

/// What became of an attempt to make an object again.
enum Made {
    /// It waits to be committed.
    Ready,
    /// None of its records is there: its end was known, and with it the last mark.
    Gone,
    /// It cannot be made.
    Impossible(String),
}

impl Work {
    /// Makes the next object again; false where there is none, or enough are under way.
    pub(super) async fn make_again(&mut self) -> bool {
        if self.running + self.waiting.len() >= self.driver.settings.consumers {
            return false;
        }
        let Some((seal, sealed)) = self.left.pop_front() else {
            return false;
        };
        let first = sealed.parts.first().map(|part| part.position);
        let signal = first.and_then(signal_of);
        let records = signal.and_then(|signal| self.seals.as_ref()?.records(signal));
        let (Some(signal), Some(records)) = (signal, records.cloned()) else {
            self.again -= 1;
            return true;
        };
        let exporter = Arc::clone(&self.driver.exporter);
        let making = tokio::task::spawn_blocking(move || {
            let made = make(&*exporter, &records, signal, &sealed);
            (sealed, made)
        });
        // A thread that is torn down ends with the process.
        let Ok((sealed, made)) = making.await else {
            return false;
        };
        let object = Object {
            sealed: Arc::new(sealed),
            seal: Some(seal),
            is_again: true,
        };
        match made {
            Made::Ready => self.waiting.push_back(object),
            Made::Gone => {
                self.again -= 1;
                if let Some(seals) = &mut self.seals {
                    seals.drop_seal(seal);
                }
            }
            Made::Impossible(reason) => {
                tracing::warn!(
                    exporter = %self.driver.name,
                    object = object.sealed.name,
                    reason,
                    "an object that was sealed cannot be made again; asking whether it is there"
                );
                self.driver.start_asking(object);
            }
        }
        true
    }
}

fn make(exporter: &dyn BulkExporter, log: &Log, signal: Signal, sealed: &Sealed) -> Made {
    let numbers = || sealed.parts.iter().map(|part| record_of(part.position));
    let mut found: HashMap<u64, Option<Record>> = numbers().map(|number| (number, None)).collect();
    let (first, last) = (numbers().min(), numbers().max());
    let (Some(first), Some(last)) = (first, last) else {
        return Made::Gone;
    };
    for record in log.scan(first, last + 1).flatten() {
        if let Some(slot) = found.get_mut(&record.position.number()) {
            *slot = Some(record.position);
        }
    }
    let missing = found.values().filter(|record| record.is_none()).count();
    if missing == found.len() {
        return Made::Gone;
    }
    if missing > 0 {
        return Made::Impossible(format!("{missing} of its batches are not on disk any more"));
    }
    let mut fetch = |position: Position| {
        let record = found.get(&record_of(position)).copied().flatten();
        let record = record.ok_or_else(|| gone("it is not on disk".to_owned()))?;
        let record = log.read(record).map_err(|fault| gone(chain(&fault)))?;
        let admitted = Payload::admit(signal, record.payload, None);
        let payload = admitted.map_err(|fault| gone(fault.to_string()))?.payload;
        Ok(payload)
    };
    match caught(|| exporter.rebuild(sealed, &mut fetch)) {
        Ok(()) => Made::Ready,
        Err(Failure::Export(error)) => Made::Impossible(chain(&error)),
        Err(Failure::Panic(said)) => Made::Impossible(format!("the exporter panicked: {said}")),
    }
}

fn gone(reason: String) -> ExportError {
    ExportError::Permanent {
        endpoint: "the queue".into(),
        reason,
        divisible: false,
    }
}
