//! Places in files: how far each has been read, and how far what was read is kept.

use serde_json::{Value, json};

use super::fingerprint::Fingerprint;

/// How far one file has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) fingerprint: Fingerprint,
    /// The device and the number by which its file system knows it.
    pub(crate) id: (u64, u64),
    /// Bytes that have been read as entries.
    pub(crate) offset: u64,
    /// Entries that have been read.
    pub(crate) entries: u64,
    /// Bytes whose entries are kept by those behind the door.
    pub(crate) kept: u64,
    /// Entries that are.
    pub(crate) kept_entries: u64,
}

impl Place {
    /// A file of which nothing before `offset` is to be read.
    pub(crate) const fn at(fingerprint: Fingerprint, id: (u64, u64), offset: u64) -> Self {
        Self {
            fingerprint,
            id,
            offset,
            entries: 0,
            kept: offset,
            kept_entries: 0,
        }
    }

    /// The place for the next process: what is kept.
    pub(crate) fn note(&self, path: &str) -> Vec<u8> {
        let head: String = self
            .fingerprint
            .head()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let note = json!({
            "length": self.fingerprint.length,
            "hash": format!("{:032x}", self.fingerprint.hash),
            "head": head,
            "device": self.id.0,
            "inode": self.id.1,
            "offset": self.kept,
            "entries": self.kept_entries,
            "path": path,
        });
        note.to_string().into_bytes()
    }

    /// The place that a note tells; none where it is none.
    pub(crate) fn of_note(note: &[u8]) -> Option<Self> {
        let note: Value = serde_json::from_slice(note).ok()?;
        let number = |key: &str| note.get(key).and_then(Value::as_u64);
        let text = |key: &str| note.get(key).and_then(Value::as_str);
        let digits = text("head")?;
        let mut head = [0; 32];
        if digits.len() != 2 * head.len() || !digits.is_ascii() {
            return None;
        }
        for (byte, at) in head.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        let hash = u128::from_str_radix(text("hash")?, 16).ok()?;
        let length = u32::try_from(number("length")?).ok()?;
        let offset = number("offset")?;
        let entries = number("entries")?;
        Some(Self {
            fingerprint: Fingerprint::restored(length, hash, head),
            id: (number("device")?, number("inode")?),
            offset,
            entries,
            kept: offset,
            kept_entries: entries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_tells_the_place_that_is_kept() {
        let mut place = Place::at(Fingerprint::of(b"first line\n"), (u64::MAX, 7), 5);
        (place.offset, place.entries) = (90, 9);
        (place.kept, place.kept_entries) = (50, 4);
        let read = Place::of_note(&place.note("/var/log/\"a\".log")).unwrap();
        assert_eq!((read.offset, read.kept, read.entries), (50, 50, 4));
        assert_eq!((read.fingerprint, read.id), (place.fingerprint, place.id));
        for faulty in ["", "{}", "[1]", r#"{"length": 1, "head": "zz"}"#] {
            assert_eq!(Place::of_note(faulty.as_bytes()), None);
        }
    }
}
