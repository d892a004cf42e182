//! The walk over a segment that shows everything to a processor.

use super::editor::{Editor, Level, Scratch, Target, kind};
use super::records::SCHEMA_URL;
use super::store::{Held, Node, Patch, Place, Store, bytes};
use super::{Edits, Verdict, Visit};
use crate::Signal;
use crate::view::{ByResource, ByScope, Metric, MetricData, Repeated, View};
use crate::wire;

/// The resource of a group of scopes, and the scope of a group of records.
const HEADER: u32 = 1;
/// The scopes of a resource, and the records of a scope.
const CHILDREN: u32 = 2;

pub(super) struct Walk<'w, E> {
    segment: &'w [u8],
    signal: Signal,
    scratch: &'w mut Scratch,
    edits: &'w mut E,
    /// Where the patches begin that those of the next record may be one with.
    floor: usize,
    /// Records and other things kept so far.
    kept: usize,
    /// Items dropped so far.
    dropped: usize,
    /// Items that other edits added; below 0, took.
    added: isize,
}

impl<'w, E: Edits> Walk<'w, E> {
    pub(super) const fn new(
        segment: &'w [u8],
        signal: Signal,
        scratch: &'w mut Scratch,
        edits: &'w mut E,
    ) -> Self {
        Self {
            segment,
            signal,
            scratch,
            edits,
            floor: 0,
            kept: 0,
            dropped: 0,
            added: 0,
        }
    }

    /// Shows the whole segment; says by how many the items grew.
    pub(super) fn run(mut self) -> isize {
        let whole = Held {
            place: Place::Segment,
            start: 0,
            end: self.segment.len(),
        };
        let mut at = 0;
        while let Some(node) = self.next(whole, at) {
            at = node.end;
            if node.number == 1 {
                self.group(Level::Resource, node);
            }
        }
        self.added - self.dropped as isize
    }

    fn next(&self, message: Held, at: usize) -> Option<Node> {
        self.scratch.store.next(self.segment, message, at)
    }

    fn editor<T>(&mut self, target: T) -> (Editor<'_, T>, &mut E) {
        let editor = Editor {
            segment: self.segment,
            scratch: self.scratch,
            target,
        };
        (editor, self.edits)
    }

    /// Shows a resource with its scopes, or a scope with its records.
    fn group(&mut self, level: Level, node: Node) {
        let message = content(node, Place::Segment);
        let header = self.header(message);
        let mark = self.scratch.store.patches.len();
        // Kept free for the group's length and its header, whose patches come last but lie first.
        for at in [node.start, header.start] {
            self.scratch.store.patches.push(Patch::removal(at, at));
        }
        let group = self.scratch.group(level);
        group.message = message;
        group.schema_url = None;
        let outer_floor = std::mem::replace(&mut self.floor, mark + 2);
        let before = (self.kept, self.dropped);

        let mut visit = self.show_header(level, header);
        match visit {
            Visit::Drop => self.dropped += self.items_in(level, node),
            Visit::Skip => self.kept += 1,
            Visit::Enter => {
                self.children(level, message);
                if matches!(level, Level::Scope) {
                    self.added_metrics(message);
                }
                if self.dropped > before.1 && self.kept == before.0 {
                    visit = Visit::Drop;
                }
            }
        }
        self.floor = outer_floor;
        if visit == Visit::Drop {
            self.leave_out(mark, node);
        } else {
            self.close_group(level, node, mark);
        }
    }

    fn show_header(&mut self, level: Level, header: Node) -> Visit {
        let (draft, _) = self.scratch.draft(level);
        match level {
            Level::Resource => {
                draft.open(header, Place::Segment, kind::Resource.attributes(), None);
                let (mut editor, edits) = self.editor(kind::Resource);
                edits.resource(&mut editor)
            }
            _ => {
                draft.open(header, Place::Segment, kind::Scope.attributes(), None);
                let (mut editor, edits) = self.editor(kind::Scope);
                edits.scope(&mut editor)
            }
        }
    }

    /// The resource or scope of a group, which lies before the rest, or the place for it.
    fn header(&self, message: Held) -> Node {
        let mut at = message.start;
        while let Some(node) = self.next(message, at) {
            match node.number {
                HEADER => return node,
                CHILDREN => break,
                _ => at = node.end,
            }
        }
        Node::absent(HEADER, message.start)
    }

    fn children(&mut self, level: Level, message: Held) {
        let mut at = message.start;
        while let Some(node) = self.next(message, at) {
            at = node.end;
            if node.number == CHILDREN {
                match (level, self.signal) {
                    (Level::Resource, _) => self.group(Level::Scope, node),
                    (_, Signal::Traces) => self.span(node),
                    (_, Signal::Logs) => self.log_record(node),
                    (_, Signal::Metrics) => self.metric(node),
                }
            }
        }
    }

    fn close_group(&mut self, level: Level, node: Node, mark: usize) {
        let segment = self.segment;
        let group = *self.scratch.group(level);
        let (draft, store) = self.scratch.draft(level);
        let header_changed = draft.is_changed(store);
        if header_changed {
            let body = draft.settled(segment, store);
            let old = draft.node();
            let start = store.arena.len();
            wire::put_head(&mut store.arena, HEADER, body.len());
            store.copy(segment, body);
            store.patches[mark + 1] = Patch::replacement(old.start, old.end, store.since(start));
        }
        if let Some(new) = group.schema_url {
            let old = schema_url(segment, store, group.message);
            store
                .patches
                .push(Patch::replacement(old.start, old.end, new));
            store.sort(mark + 2);
        }
        if store.patches.len() == mark + 2 && !header_changed {
            store.patches.truncate(mark);
            return;
        }
        let growth = store.growth(mark);
        if growth != 0 {
            let length = group.message.len().saturating_add_signed(growth);
            store.patches[mark] = store.head(node, length);
        }
    }

    fn span(&mut self, node: Node) {
        let mark = self.open_record(node, Place::Segment, kind::Span.attributes());
        let (mut editor, edits) = self.editor(kind::Span);
        let verdict = edits.span(&mut editor);
        self.close_record(node, mark, verdict);
    }

    fn log_record(&mut self, node: Node) {
        let mark = self.open_record(node, Place::Segment, kind::LogRecord.attributes());
        let (mut editor, edits) = self.editor(kind::LogRecord);
        let verdict = edits.log_record(&mut editor);
        self.close_record(node, mark, verdict);
    }

    #[inline]
    fn open_record(&mut self, node: Node, place: Place, attributes: u32) -> usize {
        let (draft, store) = self.scratch.draft(Level::Record);
        let mark = store.patches.len();
        draft.open(node, place, attributes, Some(mark));
        mark
    }

    #[inline]
    fn close_record(&mut self, node: Node, mark: usize, verdict: Verdict) {
        match verdict {
            Verdict::Keep => {
                self.kept += 1;
                let (draft, store) = self.scratch.draft(Level::Record);
                draft.close(self.segment, store);
            }
            Verdict::Drop => {
                self.dropped += 1;
                self.leave_out(mark, node);
            }
        }
    }

    fn leave_out(&mut self, mark: usize, node: Node) {
        self.scratch.store.patches.truncate(mark);
        let removal = Patch::removal(node.start, node.end);
        self.scratch.store.push(self.floor, removal);
    }

    fn metric(&mut self, node: Node) {
        let (draft, store) = self.scratch.draft(Level::Metric);
        let mark = store.patches.len();
        draft.open(node, Place::Segment, kind::Metric.attributes(), Some(mark));
        let (mut editor, edits) = self.editor(kind::Metric);
        let mut visit = edits.metric(&mut editor);
        let before = (self.kept, self.dropped);
        match visit {
            Visit::Drop => self.dropped += self.items_in(Level::Metric, node),
            Visit::Skip => {
                self.kept += 1;
                self.recount(node);
            }
            Visit::Enter => {
                self.recount(node);
                self.data_points();
                if self.dropped > before.1 && self.kept == before.0 {
                    visit = Visit::Drop;
                }
            }
        }
        if visit == Visit::Drop {
            self.leave_out(mark, node);
        } else {
            let (draft, store) = self.scratch.draft(Level::Metric);
            draft.close(self.segment, store);
        }
    }

    /// Shows the metrics that were added to a scope, and puts them at its end.
    fn added_metrics(&mut self, scope: Held) {
        while let Some(metric) = self.scratch.added.pop_front() {
            let node = Node {
                number: CHILDREN,
                start: metric.start,
                body: metric.start,
                end: metric.end,
            };
            let (draft, store) = self.scratch.draft(Level::Metric);
            let mark = store.patches.len();
            draft.open(node, Place::Arena, kind::Metric.attributes(), Some(mark));
            let (mut editor, edits) = self.editor(kind::Metric);
            let visit = edits.metric(&mut editor);
            let before = (self.kept, self.dropped);
            if visit == Visit::Enter {
                self.data_points();
            }
            let emptied = self.dropped > before.1 && self.kept == before.0;
            // Its points never were among those of the segment.
            self.dropped = before.1;
            if visit == Visit::Drop || emptied {
                self.scratch.store.patches.truncate(mark);
                continue;
            }
            self.kept = before.0 + 1;
            let (draft, store) = self.scratch.draft(Level::Metric);
            let body = draft.settled(self.segment, store);
            let points = data_points(Metric::of(bytes(self.segment, &store.arena, body)));
            self.added += points as isize;
            let start = store.arena.len();
            wire::put_head(&mut store.arena, CHILDREN, body.len());
            store.copy(self.segment, body);
            let new = store.since(start);
            store
                .patches
                .push(Patch::replacement(scope.end, scope.end, new));
        }
    }

    /// Counts the points of a metric that may have other ones now.
    fn recount(&mut self, node: Node) {
        let (draft, store) = self.scratch.draft(Level::Metric);
        if draft.is_changed(store) {
            let after = data_points(Metric::of(draft.content(self.segment, store)));
            let before = self.items_in(Level::Metric, node);
            self.added += after as isize - before as isize;
        }
    }

    /// Shows the points of the metric, wherever it lies after its own edits.
    fn data_points(&mut self) {
        let (draft, store) = self.scratch.draft(Level::Metric);
        let metric = draft.settled(self.segment, store);
        let outer_floor = self.floor;
        let mut at = metric.start;
        while let Some(data) = self.next(metric, at) {
            at = data.end;
            let Some(target) = kind::DataPoint::in_field(data.number) else {
                continue;
            };
            let mark = self.scratch.store.patches.len();
            self.floor = mark;
            self.points_of(content(data, metric.place), target);
            let store = &mut self.scratch.store;
            let growth = store.growth(mark);
            if growth != 0 {
                let length = (data.end - data.body).saturating_add_signed(growth);
                let head = store.head(data, length);
                store.patches.insert(mark, head);
            }
        }
        self.floor = outer_floor;
    }

    fn points_of(&mut self, data: Held, target: kind::DataPoint) {
        let mut at = data.start;
        while let Some(node) = self.next(data, at) {
            at = node.end;
            if node.number != 1 {
                continue;
            }
            let mark = self.open_record(node, data.place, target.attributes());
            let (mut editor, edits) = self.editor(target);
            let verdict = edits.data_point(&mut editor);
            self.close_record(node, mark, verdict);
        }
    }

    /// The items in something that lies in the segment.
    fn items_in(&self, level: Level, node: Node) -> usize {
        let message = bytes(self.segment, &[], content(node, Place::Segment));
        match (level, self.signal) {
            (Level::Resource, Signal::Metrics) => ByResource::<Metric<'_>>::of(message)
                .scopes()
                .flat_map(|scope| scope.metrics())
                .map(data_points)
                .sum(),
            (Level::Resource, _) => ByResource::<&[u8]>::of(message)
                .scopes()
                .map(|scope| scope.records().count())
                .sum(),
            (Level::Scope, Signal::Metrics) => ByScope::<Metric<'_>>::of(message)
                .metrics()
                .map(data_points)
                .sum(),
            (Level::Scope, _) => ByScope::<&[u8]>::of(message).records().count(),
            _ => data_points(Metric::of(message)),
        }
    }
}

const fn content(node: Node, place: Place) -> Held {
    Held {
        place,
        start: node.body,
        end: node.end,
    }
}

/// The schema URL of a group, or the place for it.
fn schema_url(segment: &[u8], store: &Store, group: Held) -> Node {
    let mut at = group.start;
    while let Some(node) = store.next(segment, group, at) {
        if node.number == SCHEMA_URL {
            return node;
        }
        at = node.end;
    }
    Node::absent(SCHEMA_URL, group.end)
}

fn data_points(metric: Metric<'_>) -> usize {
    fn count<'a>(bytes: &'a [u8]) -> usize {
        Repeated::<'a, &'a [u8]>::new(bytes, 1).count()
    }
    match metric.data() {
        MetricData::Empty => 0,
        MetricData::Gauge(data) => count(data.bytes()),
        MetricData::Sum(data) => count(data.bytes()),
        MetricData::Histogram(data) => count(data.bytes()),
        MetricData::ExponentialHistogram(data) => count(data.bytes()),
        MetricData::Summary(data) => count(data.bytes()),
    }
}
