//! The walk over a segment that hands its records out one by one.

use std::ops::Range;

use smallvec::SmallVec;

use super::plan::Frame;
use crate::door::schema::{Message, Role};
use crate::wire::{Cursor, Field};
use crate::{Segment, Signal};

/// A record on its way out, with the messages round it.
pub(super) struct Found<'f, 'a> {
    /// The containers round it, the request first.
    pub(super) frames: &'f [Frame],
    /// Their fields, without the request.
    pub(super) path: &'f [Field<'a>],
    /// The record, or a container that holds no record.
    pub(super) field: Field<'a>,
    /// 1 for a record, 0 for a container without one.
    pub(super) items: usize,
}

impl Found<'_, '_> {
    pub(super) const fn range(&self) -> Range<usize> {
        self.field.start..self.field.end
    }
}

/// Hands out every record of a segment in order, and the containers that hold none.
pub(super) fn walk<'a>(
    signal: Signal,
    source: usize,
    segment: &'a Segment,
    each: &mut dyn FnMut(Found<'_, 'a>),
) {
    let mut walk = Walk {
        source,
        frames: SmallVec::new(),
        path: SmallVec::new(),
        ids: 0,
        each,
    };
    let bytes = segment.bytes();
    walk.container(
        Message::request(signal),
        0,
        0..bytes.len(),
        Cursor::new(bytes),
    );
}

struct Walk<'w, 'a> {
    source: usize,
    frames: SmallVec<[Frame; 5]>,
    path: SmallVec<[Field<'a>; 5]>,
    ids: usize,
    each: &'w mut dyn FnMut(Found<'_, 'a>),
}

impl<'a> Walk<'_, 'a> {
    /// Hands out the records of a container; false where there are none and no containers.
    fn container(
        &mut self,
        message: &'static Message,
        number: u32,
        whole: Range<usize>,
        content: Cursor<'a>,
    ) -> bool {
        let frame = self.frame(message, number, whole, content);
        self.frames.push(frame);
        let mut has_children = false;
        for field in content {
            let rule = message.rule(field.number);
            match (rule.role, rule.kind.message()) {
                (Role::Item, _) => self.hand_out(field, 1),
                (Role::Container, Some(inner)) => {
                    self.path.push(field);
                    let whole = field.start..field.end;
                    let is_barren = !self.container(inner, field.number, whole, field.message());
                    self.path.pop();
                    if is_barren {
                        self.hand_out(field, 0);
                    }
                }
                _ => continue,
            }
            has_children = true;
        }
        self.frames.pop();
        has_children
    }

    fn hand_out(&mut self, field: Field<'a>, items: usize) {
        (self.each)(Found {
            frames: &self.frames,
            path: &self.path,
            field,
            items,
        });
    }

    /// Looks for a container's own fields, stepping over its children.
    fn frame(
        &mut self,
        message: &'static Message,
        number: u32,
        whole: Range<usize>,
        content: Cursor<'a>,
    ) -> Frame {
        let body = content.offset();
        let mut frame = Frame {
            id: self.ids,
            number,
            source: self.source,
            whole,
            body,
            prefix: body,
            suffix: SmallVec::new(),
        };
        self.ids += 1;
        let mut has_children = false;
        for field in content {
            if message.rule(field.number).role != Role::Own {
                has_children = true;
            } else if !has_children {
                frame.prefix = field.end;
            } else {
                match frame.suffix.last_mut() {
                    Some(last) if last.end == field.start => last.end = field.end,
                    _ => frame.suffix.push(field.start..field.end),
                }
            }
        }
        frame
    }
}
