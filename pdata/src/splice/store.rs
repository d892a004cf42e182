//! What edits leave behind: new bytes, and which old bytes they replace.

use crate::wire::{self, Cursor, Field};

/// Where bytes lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// In the segment that is being edited.
    #[default]
    Segment,
    /// Among the new bytes.
    Arena,
}

/// Bytes that stay where they are until the segment is done, whatever is edited meanwhile.
///
/// An attribute's value can be held and then written somewhere else in the same segment; held
/// past the segment it stands for bytes that mean nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub(super) place: Place,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Held {
    pub(super) const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// A field of a message that is being walked: positions alone, so that nothing is borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    pub(super) number: u32,
    /// The position of its tag.
    pub(super) start: usize,
    /// The position of its content.
    pub(super) body: usize,
    /// The position after it.
    pub(super) end: usize,
}

impl Node {
    pub(super) const fn of(field: &Field<'_>) -> Self {
        Self {
            number: field.number,
            start: field.start,
            body: field.body(),
            end: field.end,
        }
    }

    /// A field that is not there yet, to be inserted at a position.
    pub(super) const fn absent(number: u32, at: usize) -> Self {
        Self {
            number,
            start: at,
            body: at,
            end: at,
        }
    }
}

/// Old bytes, and the bytes of the arena that take their place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patch {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) new_start: usize,
    pub(super) new_end: usize,
}

impl Patch {
    /// The old bytes are left out.
    pub(super) const fn removal(start: usize, end: usize) -> Self {
        Self {
            start,
            end,
            new_start: 0,
            new_end: 0,
        }
    }

    const fn is_insertion(&self) -> bool {
        self.start == self.end
    }

    pub(super) const fn replacement(start: usize, end: usize, new: Held) -> Self {
        Self {
            start,
            end,
            new_start: new.start,
            new_end: new.end,
        }
    }
}

/// The new bytes of a segment, and the patches in the order of the bytes that they replace.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) arena: Vec<u8>,
    pub(super) patches: Vec<Patch>,
}

/// Bytes that are held.
#[inline]
pub(super) fn bytes<'m>(segment: &'m [u8], arena: &'m [u8], held: Held) -> &'m [u8] {
    let place = match held.place {
        Place::Segment => segment,
        Place::Arena => arena,
    };
    place.get(held.start..held.end).unwrap_or_default()
}

impl Store {
    pub(super) fn clear(&mut self) {
        self.arena.clear();
        self.patches.clear();
    }

    /// Writes to the arena.
    #[inline]
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Held {
        let start = self.arena.len();
        write(&mut self.arena);
        self.since(start)
    }

    /// What was written to the arena since its end was here.
    pub(super) fn since(&self, start: usize) -> Held {
        Held {
            place: Place::Arena,
            start,
            end: self.arena.len(),
        }
    }

    /// Copies held bytes to the end of the arena.
    #[inline]
    pub(super) fn copy(&mut self, segment: &[u8], held: Held) {
        match held.place {
            Place::Segment => self.arena.extend_from_slice(bytes(segment, &[], held)),
            Place::Arena if held.start <= held.end && held.end <= self.arena.len() => {
                self.arena.extend_from_within(held.start..held.end);
            }
            Place::Arena => {}
        }
    }

    /// The next field of a message after a position of it.
    #[inline]
    pub(super) fn next(&self, segment: &[u8], message: Held, at: usize) -> Option<Node> {
        let rest = Held {
            start: at,
            ..message
        };
        Cursor::at(bytes(segment, &self.arena, rest), at)
            .next()
            .map(|field| Node::of(&field))
    }

    /// Adds a patch after all others, as one with the last where the two touch in old and new.
    ///
    /// Patches below `floor` are left alone. An insertion is never one with a replacement: it
    /// would come before other insertions at its place.
    #[inline]
    pub(super) fn push(&mut self, floor: usize, patch: Patch) {
        if self.patches.len() > floor
            && let Some(last) = self.patches.last_mut()
            && last.end == patch.start
            && last.new_end == patch.new_start
            && last.is_insertion() == patch.is_insertion()
        {
            last.end = patch.end;
            last.new_end = patch.new_end;
            return;
        }
        self.patches.push(patch);
    }

    /// How much longer the patches from `mark` on make what they patch.
    pub(super) fn growth(&self, mark: usize) -> isize {
        let tail = self.patches.get(mark..).unwrap_or_default();
        tail.iter()
            .map(|patch| {
                (patch.new_end - patch.new_start) as isize - (patch.end - patch.start) as isize
            })
            .sum()
    }

    /// Puts the patches from `mark` on in order.
    pub(super) fn sort(&mut self, mark: usize) {
        let tail = self.patches.get_mut(mark..).unwrap_or_default();
        let key = |patch: &Patch| (patch.start, patch.end);
        if !tail.is_sorted_by_key(key) {
            tail.sort_by_key(key);
        }
    }

    /// Writes a message with its patches from `mark` on to the arena, and forgets the patches.
    pub(super) fn apply(&mut self, segment: &[u8], message: Held, mark: usize) -> Held {
        let start = self.arena.len();
        let mut at = message.start;
        for index in mark..self.patches.len() {
            let patch = self.patches[index];
            self.copy(
                segment,
                Held {
                    start: at,
                    end: patch.start,
                    ..message
                },
            );
            self.copy(
                segment,
                Held {
                    place: Place::Arena,
                    start: patch.new_start,
                    end: patch.new_end,
                },
            );
            at = patch.end;
        }
        self.copy(
            segment,
            Held {
                start: at,
                ..message
            },
        );
        self.patches.truncate(mark);
        self.since(start)
    }

    /// Writes the tag and length of a field for a content of `length` bytes, in place of the old ones.
    pub(super) fn head(&mut self, node: Node, length: usize) -> Patch {
        let head = self.write(|out| wire::put_head(out, node.number, length));
        Patch::replacement(node.start, node.body, head)
    }

    /// The segment with all patches, in a buffer of its exact size.
    pub(super) fn finish(&self, segment: &[u8]) -> Vec<u8> {
        let size = segment.len().saturating_add_signed(self.growth(0));
        let mut out = Vec::with_capacity(size);
        let mut at = 0;
        for patch in &self.patches {
            out.extend_from_slice(segment.get(at..patch.start).unwrap_or_default());
            let new = self.arena.get(patch.new_start..patch.new_end);
            out.extend_from_slice(new.unwrap_or_default());
            at = patch.end;
        }
        out.extend_from_slice(segment.get(at..).unwrap_or_default());
        out
    }
}
