//! The persistent queue of one of the Collector's exporters and a signal.
//!
//! Items lie under their numbers. Those from the read index up to the write index wait; those that were
//! being sent are listed beside them, and are sent again. The indexes are one value (`qmv0`), or three in
//! older versions (`ri`, `wi`, `di`).

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use tidegate_pdata::wire::{Cursor, WireType};
use tidegate_pdata::{Payload, Signal};

use super::bolt::Bucket;

/// What a request with the context of its sender begins with: the version of that form.
const FRAMED: &[u8] = &[0x0d, 1, 0, 0, 0];

/// What waits in a queue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    /// The numbers of items, in the order in which they are to be sent.
    pub(super) items: Vec<u64>,
    /// Items that should be there and are not.
    pub(super) missing: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Indexes {
    waiting: Range<u64>,
    sent: BTreeSet<u64>,
}

/// Finds what waits in a queue.
pub(super) fn read(bucket: &Bucket<'_>) -> anyhow::Result<Queue> {
    let mut numbers = BTreeSet::new();
    bucket.each(|key, _| {
        let number = std::str::from_utf8(key)
            .ok()
            .and_then(|key| key.parse().ok());
        numbers.extend(number.filter(|number: &u64| number.to_string().as_bytes() == key));
        Ok(())
    })?;
    let indexes = indexes(bucket).context("the indexes of the queue are damaged")?;
    let is_sent = |number: &u64| indexes.sent.contains(number);
    let sent = numbers.iter().copied().filter(is_sent);
    let waiting = numbers.range(indexes.waiting.clone()).copied();
    let waiting = waiting.filter(|number| !is_sent(number));
    let items: Vec<u64> = sent.chain(waiting).collect();
    let waiting = &indexes.waiting;
    let listed = indexes.sent.iter().filter(|sent| !waiting.contains(sent));
    let expected = (waiting.end - waiting.start).saturating_add(listed.count() as u64);
    Ok(Queue {
        missing: expected - items.len() as u64,
        items,
    })
}

fn indexes(bucket: &Bucket<'_>) -> anyhow::Result<Indexes> {
    let indexes = match bucket.get(b"qmv0")? {
        Some(value) if !value.is_empty() => from_one(&value)?,
        _ => {
            let index = |key: &str| -> anyhow::Result<u64> {
                let value = bucket.get(key.as_bytes())?;
                let value = value.as_deref().map(|value| {
                    let number = value.first_chunk().copied().map(u64::from_le_bytes);
                    number.with_context(|| format!("the value of {key:?} is cut off"))
                });
                Ok(value.transpose()?.unwrap_or_default())
            };
            Indexes {
                waiting: index("ri")?..index("wi")?,
                sent: list(&bucket.get(b"di")?.unwrap_or_default())?,
            }
        }
    };
    ensure!(
        indexes.waiting.start <= indexes.waiting.end,
        "it is read at {} and written at {}",
        indexes.waiting.start,
        indexes.waiting.end
    );
    Ok(indexes)
}

/// Reads the indexes of newer versions: a message of protobuf.
fn from_one(value: &[u8]) -> anyhow::Result<Indexes> {
    let mut indexes = Indexes::default();
    let mut cursor = Cursor::new(value);
    while let Some(field) = cursor.field()? {
        match (field.number, field.wire) {
            (3, WireType::Fixed64) => indexes.waiting.start = field.scalar,
            (4, WireType::Fixed64) => indexes.waiting.end = field.scalar,
            (5, WireType::Fixed64) => _ = indexes.sent.insert(field.scalar),
            (5, WireType::Len) => {
                let (numbers, rest) = field.bytes.as_chunks();
                ensure!(
                    rest.is_empty(),
                    "the list of what was being sent is cut off"
                );
                indexes
                    .sent
                    .extend(numbers.iter().copied().map(u64::from_le_bytes));
            }
            (3..=5, _) => bail!("index {} is of another type", field.number),
            _ => {}
        }
    }
    Ok(indexes)
}

/// Reads the list of older versions: a count and as many numbers.
fn list(value: &[u8]) -> anyhow::Result<BTreeSet<u64>> {
    let Some((count, numbers)) = value.split_first_chunk() else {
        ensure!(
            value.is_empty(),
            "the list of what was being sent is cut off"
        );
        return Ok(BTreeSet::new());
    };
    let count = u32::from_le_bytes(*count) as usize;
    let (numbers, _) = numbers.as_chunks();
    ensure!(
        count <= numbers.len(),
        "the list of what was being sent is cut off"
    );
    let numbers = numbers[..count].iter().copied();
    Ok(numbers.map(u64::from_le_bytes).collect())
}

/// An item as a request of ours.
pub(super) fn payload(signal: Signal, item: Vec<u8>) -> anyhow::Result<Payload> {
    let request = match item.starts_with(FRAMED) {
        true => unframed(&item)?,
        false => item,
    };
    let admitted = Payload::admit(signal, Bytes::from(request), None)?;
    Ok(admitted.payload)
}

/// Takes a request out of what it is kept with: its version, and what its sender said of itself.
fn unframed(item: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut cursor = Cursor::new(item);
    while let Some(field) = cursor.field()? {
        if field.number == 3 {
            ensure!(field.wire == WireType::Len, "its telemetry is no message");
            request.extend_from_slice(field.bytes);
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_that_are_damaged_are_told() {
        let told = |error: anyhow::Error| format!("{error:#}");
        assert!(told(list(&[1, 0, 0]).unwrap_err()).contains("cut off"));
        assert!(told(list(&[2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap_err()).contains("cut off"));
        assert!(told(from_one(&[0x2a, 1, 0]).unwrap_err()).contains("cut off"));
        assert!(told(from_one(&[0x18, 1]).unwrap_err()).contains("another type"));
        assert!(from_one(&[0x19, 1]).is_err());
        assert_eq!(list(&[]).unwrap(), BTreeSet::new());
    }

    #[test]
    fn a_request_comes_with_or_without_its_sender() {
        // A resource with a scope with a log record.
        let request = vec![0x0a, 4, 0x12, 2, 0x12, 0];
        let framed = [FRAMED, &[0x12, 0, 0x1a, 6], &request].concat();
        for item in [request.clone(), framed] {
            let payload = payload(Signal::Logs, item).unwrap();
            assert_eq!(payload.items(), 1);
            assert_eq!(&payload.segments()[0].bytes()[..], request);
        }
        assert!(payload(Signal::Logs, vec![0x0a, 9, 1]).is_err());
        assert!(payload(Signal::Logs, [FRAMED, &[0x1d, 0, 0, 0, 0]].concat()).is_err());
    }
}
