//! What the log of seals holds, byte by byte; `docs/disk-queue.md` describes it.

use bytes::Bytes;
use tidegate_component::{Items, Part, Position, Sealed};

/// The version of the entries.
const VERSION: u8 = 1;

const SEAL: u8 = 1;
const ENDED: u8 = 2;

/// An entry of the log of seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An object is about to be committed.
    Seal(Sealed),
    /// What became of the object whose seal has this number.
    Ended { seal: u64, fate: Fate },
}

/// How the commit of an object ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Fate {
    /// It is visible.
    Committed,
    /// It was given up for the reason of this name; its items are counted as dropped.
    GivenUp(String),
    /// It was never visible and never will be: its items go to other objects.
    Void,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Unreadable {
    #[error("a later version wrote it ({0})")]
    Version(u8),
    #[error("its bytes make no sense")]
    Malformed,
}

impl Entry {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        match self {
            Self::Seal(sealed) => {
                out.push(SEAL);
                put(&mut out, sealed.ordinal);
                put_bytes(&mut out, sealed.name.as_bytes());
                put_bytes(&mut out, &sealed.recipe);
                put(&mut out, sealed.parts.len() as u64);
                let mut before = 0_u64;
                for part in &sealed.parts {
                    // Mostly the next one: the difference is small, and may be negative.
                    let step = part.position.0.wrapping_sub(before).cast_signed();
                    put(&mut out, (step << 1 ^ step >> 63).cast_unsigned());
                    before = part.position.0;
                    put_items(&mut out, &part.items);
                }
            }
            Self::Ended { seal, fate } => {
                out.push(ENDED);
                put(&mut out, *seal);
                match fate {
                    Fate::Committed => put(&mut out, 0),
                    Fate::GivenUp(why) => {
                        put(&mut out, 1);
                        put_bytes(&mut out, why.as_bytes());
                    }
                    Fate::Void => put(&mut out, 2),
                }
            }
        }
        out.into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes {
            [VERSION, kind, rest @ ..] => Reader(rest)
                .entry(*kind)
                .filter(|(_, rest)| rest.is_empty())
                .map(|(entry, _)| entry)
                .ok_or(Unreadable::Malformed),
            [version, ..] => Err(Unreadable::Version(*version)),
            [] => Err(Unreadable::Malformed),
        }
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_items(out: &mut Vec<u8>, items: &Items) {
    put(out, items.ranges().count() as u64);
    let mut at = 0;
    for range in items.ranges() {
        put(out, (range.start - at) as u64);
        put(out, range.len() as u64);
        at = range.end;
    }
}

/// Reads what is left of an entry.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn entry(mut self, kind: u8) -> Option<(Entry, &'a [u8])> {
        let entry = match kind {
            SEAL => Entry::Seal(self.seal()?),
            ENDED => Entry::Ended {
                seal: self.number()?,
                fate: match self.number()? {
                    0 => Fate::Committed,
                    1 => Fate::GivenUp(self.text()?),
                    2 => Fate::Void,
                    _ => return None,
                },
            },
            _ => return None,
        };
        Some((entry, self.0))
    }

    fn seal(&mut self) -> Option<Sealed> {
        let (ordinal, name) = (self.number()?, self.text()?);
        let recipe = Bytes::copy_from_slice(self.bytes()?);
        let count = self.number()?;
        let mut parts = Vec::new();
        let mut before = 0_u64;
        // Each takes bytes, so a count that lies ends with them.
        for _ in 0..count {
            let step = self.number()?;
            let step = (step >> 1).cast_signed() ^ -((step & 1).cast_signed());
            before = before.wrapping_add(step.cast_unsigned());
            parts.push(Part {
                position: Position(before),
                items: self.items()?,
            });
        }
        Some(Sealed {
            ordinal,
            name,
            parts,
            recipe,
        })
    }

    fn items(&mut self) -> Option<Items> {
        let mut items = Items::default();
        let mut at = 0_usize;
        for _ in 0..self.number()? {
            let start = at.checked_add(self.size()?)?;
            at = start.checked_add(self.size()?)?;
            items.push(start..at);
        }
        Some(items)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return None;
            }
            value |= part << shift;
            if *byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.size()?;
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arbitrary_items() -> impl Strategy<Value = Items> {
        prop::collection::vec((0_usize..300, 1_usize..300), 0..5).prop_map(|runs| {
            let (mut items, mut at) = (Items::default(), 0);
            for (skip, take) in runs {
                items.push(at + skip..at + skip + take);
                at += skip + take;
            }
            items
        })
    }

    fn arbitrary_entry() -> impl Strategy<Value = Entry> {
        let part = (any::<u64>(), arbitrary_items()).prop_map(|(position, items)| Part {
            position: Position(position),
            items,
        });
        let parts = prop::collection::vec(part, 0..6);
        let seal = (any::<u64>(), ".{0,40}", any::<Vec<u8>>(), parts).prop_map(
            |(ordinal, name, recipe, parts)| {
                Entry::Seal(Sealed {
                    ordinal,
                    name,
                    parts,
                    recipe: recipe.into(),
                })
            },
        );
        let fate = prop_oneof![
            Just(Fate::Committed),
            Just(Fate::Void),
            "[a-z_]{0,20}".prop_map(Fate::GivenUp),
        ];
        let ended = (any::<u64>(), fate).prop_map(|(seal, fate)| Entry::Ended { seal, fate });
        prop_oneof![seal, ended]
    }

    proptest! {
        #[test]
        fn entry_comes_back_as_it_was(entry in arbitrary_entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }

        #[test]
        fn other_bytes_are_refused_or_read_without_harm(mut bytes in any::<Vec<u8>>(), cut in any::<prop::sample::Index>(), entry in arbitrary_entry()) {
            let _ = Entry::decode(&bytes);
            bytes.splice(0..0, [VERSION, SEAL]);
            let _ = Entry::decode(&bytes);
            let whole = entry.encode();
            let part = &whole[..cut.index(whole.len())];
            prop_assert!(Entry::decode(part).is_err());
        }
    }

    #[test]
    fn later_version_is_told() {
        assert_eq!(Entry::decode(&[7, 1]), Err(Unreadable::Version(7)));
        assert_eq!(Entry::decode(&[]), Err(Unreadable::Malformed));
    }
}
