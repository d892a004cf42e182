//! What a piece will consist of: ranges of its sources, and the containers opened anew round them.
//!
//! A piece is planned first and written once, into a buffer of its exact size. Ranges that lie
//! side by side become one, and a container that is taken whole becomes a range of its parent,
//! so what was not cut is copied, or shared, in one go.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::wire::{head_len, put_head};
use crate::{Payload, Segment, Signal};

/// A container of the source on the way to a record.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Tells it from all other containers of the payload; 0 in the outermost, the request.
    pub(super) id: usize,
    /// The field number that it has in its parent.
    pub(super) number: u32,
    /// The segment that it lies in.
    pub(super) source: usize,
    /// From its tag to its end.
    pub(super) whole: Range<usize>,
    /// Where its content begins.
    pub(super) body: usize,
    /// Its own fields before the first child: from `body` to here.
    pub(super) prefix: usize,
    /// Its own fields behind the first child.
    pub(super) suffix: SmallVec<[Range<usize>; 1]>,
}

impl Frame {
    fn suffix_len(&self) -> usize {
        self.suffix.iter().map(ExactSizeIterator::len).sum()
    }
}

#[derive(Debug)]
enum Node {
    /// Bytes of a source that hold so many whole items.
    Copy {
        source: usize,
        range: Range<usize>,
        items: usize,
    },
    /// The tag and length of a container; its content goes on to the node `until`.
    Open {
        number: u32,
        length: usize,
        until: usize,
    },
}

/// A container that the piece is in.
#[derive(Debug)]
struct Open {
    frame: Frame,
    /// Where its node is; the request has none.
    node: usize,
    /// Bytes of its content so far.
    length: usize,
    items: usize,
}

/// A piece in the making.
#[derive(Debug, Default)]
pub(super) struct Plan {
    nodes: Vec<Node>,
    /// The request and the containers in it that the last record went to, from the outside.
    open: SmallVec<[Open; 5]>,
    /// Bytes of what is closed.
    size: usize,
    items: usize,
}

impl Plan {
    pub(super) const fn items(&self) -> usize {
        self.items
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a whole segment.
    pub(super) fn take(&mut self, source: usize, segment: &Segment) {
        self.close_to(0);
        self.items += segment.items();
        self.copy(source, 0..segment.bytes().len(), segment.items());
    }

    /// Adds a range that lies within these containers, opening those that are not open.
    pub(super) fn put(&mut self, frames: &[Frame], range: Range<usize>, items: usize) {
        let shared = self.shared(frames);
        if shared < frames.len() || shared < self.open.len() {
            self.close_to(shared);
            for frame in &frames[shared..] {
                self.open(frame);
            }
        }
        let Some(innermost) = frames.last() else {
            return;
        };
        self.items += items;
        self.copy(innermost.source, range, items);
    }

    /// The bytes of the piece if it were closed now.
    pub(super) fn closed_size(&self) -> usize {
        self.size + self.open_size(0, 0)
    }

    /// The bytes of the piece if it took a range of this length and were closed then.
    pub(super) fn size_with(&self, frames: &[Frame], length: usize) -> usize {
        let shared = self.shared(frames);
        let fresh = frames[shared..].iter().rev().fold(length, |inner, frame| {
            let body = frame.prefix - frame.body + inner + frame.suffix_len();
            body + if frame.id == 0 {
                0
            } else {
                head_len(frame.number, body)
            }
        });
        // What is open beyond the shared containers closes before the new ones open.
        self.size + self.open_size(shared, fresh)
    }

    /// The bytes of what is open, with `fresh` more bytes in the container at this level.
    fn open_size(&self, level: usize, fresh: usize) -> usize {
        let mut inner = 0;
        for (index, open) in self.open.iter().enumerate().rev() {
            if index + 1 == level {
                inner += fresh;
            }
            inner += open.length + open.frame.suffix_len();
            if open.frame.id != 0 {
                inner += head_len(open.frame.number, inner);
            }
        }
        if level == 0 { inner + fresh } else { inner }
    }

    /// How many of these containers are open.
    fn shared(&self, frames: &[Frame]) -> usize {
        let is_same = |open: &Open, frame: &Frame| {
            open.frame.id == frame.id && open.frame.source == frame.source
        };
        if let (Some(open), Some(frame)) = (self.open.last(), frames.last())
            && self.open.len() == frames.len()
            && is_same(open, frame)
        {
            return frames.len();
        }
        let pairs = self.open.iter().zip(frames);
        pairs
            .take_while(|(open, frame)| is_same(open, frame))
            .count()
    }

    fn open(&mut self, frame: &Frame) {
        let node = self.nodes.len();
        if frame.id != 0 {
            self.nodes.push(Node::Open {
                number: frame.number,
                length: 0,
                until: 0,
            });
        }
        self.open.push(Open {
            frame: frame.clone(),
            node,
            length: 0,
            items: 0,
        });
        self.copy(frame.source, frame.body..frame.prefix, 0);
    }

    /// Closes the innermost containers until so many are open.
    fn close_to(&mut self, level: usize) {
        while self.open.len() > level {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.last() else {
            return;
        };
        let (source, suffix) = (open.frame.source, open.frame.suffix.clone());
        for range in suffix {
            self.copy(source, range, 0);
        }
        let Some(Open {
            frame,
            node,
            length,
            items,
        }) = self.open.pop()
        else {
            return;
        };
        if frame.id == 0 {
            self.size += length;
            return;
        }
        let head = head_len(frame.number, length);
        // A container without a field cut out is a range of its parent; not where its head is
        // padded, as the sizes foreseen would not hold.
        let is_whole = length == frame.whole.end - frame.body
            && matches!(&self.nodes[node + 1..], [Node::Copy { .. }])
            && frame.body - frame.whole.start <= head;
        if is_whole {
            self.nodes.truncate(node);
            self.copy(source, frame.whole, items);
            return;
        }
        let until = self.nodes.len();
        self.nodes[node] = Node::Open {
            number: frame.number,
            length,
            until,
        };
        if let Some(parent) = self.open.last_mut() {
            parent.length += head + length;
            parent.items += items;
        }
    }

    /// Adds a range to the innermost container.
    fn copy(&mut self, source: usize, range: Range<usize>, items: usize) {
        if range.is_empty() {
            return;
        }
        match self.open.last_mut() {
            Some(open) => {
                open.length += range.len();
                open.items += items;
            }
            None => self.size += range.len(),
        }
        match self.nodes.last_mut() {
            Some(Node::Copy {
                source: last,
                range: before,
                items: held,
            }) if *last == source && before.end == range.start => {
                before.end = range.end;
                *held += items;
            }
            _ => self.nodes.push(Node::Copy {
                source,
                range,
                items,
            }),
        }
    }

    /// Makes the piece: segments that it has whole are shared, ranges that are requests of
    /// their own and the greater part of a segment too; everything else is copied.
    pub(super) fn finish(mut self, signal: Signal, sources: &[Segment]) -> Payload {
        self.close_to(0);
        let mut payload = Payload::empty(signal);
        let mut pending = 0;
        let mut index = 0;
        while index < self.nodes.len() {
            index = match &self.nodes[index] {
                Node::Open { until, .. } => *until,
                Node::Copy {
                    source,
                    range,
                    items,
                } => {
                    let segment = &sources[*source];
                    if range.len() * 2 >= segment.bytes().len() {
                        self.write(pending..index, sources, &mut payload);
                        pending = index + 1;
                        payload.push(share(segment, range.clone(), *items));
                    }
                    index + 1
                }
            };
        }
        self.write(pending..self.nodes.len(), sources, &mut payload);
        payload
    }

    /// Writes these nodes as one segment.
    fn write(&self, nodes: Range<usize>, sources: &[Segment], payload: &mut Payload) {
        let (size, items, origin) = self.measure(nodes.clone());
        let Some(origin) = origin else {
            return;
        };
        let mut out = Vec::with_capacity(size);
        for node in &self.nodes[nodes] {
            match node {
                Node::Copy { source, range, .. } => {
                    out.extend_from_slice(&sources[*source].bytes()[range.clone()]);
                }
                Node::Open { number, length, .. } => put_head(&mut out, *number, *length),
            }
        }
        debug_assert_eq!(out.len(), size, "the size of a piece is as planned");
        let hold = sources[origin].hold();
        let hold = hold.map(|hold| Arc::new(hold.overdraw(size)));
        payload.push(Segment::new(out.into(), items, hold));
    }

    /// The bytes and the items of these nodes, and the first source that they copy from.
    fn measure(&self, nodes: Range<usize>) -> (usize, usize, Option<usize>) {
        let (mut size, mut items, mut origin) = (0, 0, None);
        for node in &self.nodes[nodes] {
            match node {
                Node::Copy {
                    source,
                    range,
                    items: held,
                } => {
                    size += range.len();
                    items += held;
                    origin = origin.or(Some(*source));
                }
                Node::Open { number, length, .. } => size += head_len(*number, *length),
            }
        }
        (size, items, origin)
    }
}

/// A range of a segment as a segment of its own, on the same buffer.
fn share(segment: &Segment, range: Range<usize>, items: usize) -> Segment {
    if range.len() == segment.bytes().len() {
        return segment.clone();
    }
    let bytes = segment.bytes().slice(range);
    Segment::new(bytes, items, segment.hold().cloned())
}
