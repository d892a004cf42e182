//! The record that statements are evaluated for.

use tidegate_pdata::splice::{
    DataPointEditor, Editor, LogRecordEditor, MetricEditor, Open, Part, Reading, ResourceEditor,
    ScopeEditor, SpanEditor, SpanEventEditor, Target, kind,
};

/// Room that is kept from record to record, so that evaluation allocates little.
#[derive(Debug, Default)]
pub struct Room {
    /// The statements' own map, empty at the start of each record: the content of a `KeyValueList`.
    pub(crate) cache: Vec<u8>,
    /// For values on their way from one place of a record to another.
    pub(crate) bytes: Vec<u8>,
}

/// The record at hand with what it lies in.
#[derive(Debug)]
pub struct Subject<'e> {
    pub(crate) open: Open<'e>,
    pub(crate) room: &'e mut Room,
    pub(crate) point: Option<kind::DataPoint>,
    pub(crate) event_index: i64,
}

impl<'e> Subject<'e> {
    fn of<T: Target>(editor: &'e mut Editor<'_, T>, room: &'e mut Room) -> Self {
        room.cache.clear();
        Self {
            open: editor.open(),
            room,
            point: None,
            event_index: 0,
        }
    }

    /// A resource.
    pub fn resource(editor: &'e mut ResourceEditor<'_>, room: &'e mut Room) -> Self {
        Self::of(editor, room)
    }

    /// A scope.
    pub fn scope(editor: &'e mut ScopeEditor<'_>, room: &'e mut Room) -> Self {
        Self::of(editor, room)
    }

    /// A metric.
    pub fn metric(editor: &'e mut MetricEditor<'_>, room: &'e mut Room) -> Self {
        Self::of(editor, room)
    }

    /// A data point.
    pub fn data_point(editor: &'e mut DataPointEditor<'_>, room: &'e mut Room) -> Self {
        let point = Some(editor.kind());
        Self {
            point,
            ..Self::of(editor, room)
        }
    }

    /// A span.
    pub fn span(editor: &'e mut SpanEditor<'_>, room: &'e mut Room) -> Self {
        Self::of(editor, room)
    }

    /// An event, with its position among those of its span.
    pub fn span_event(
        editor: &'e mut SpanEventEditor<'_>,
        index: usize,
        room: &'e mut Room,
    ) -> Self {
        Self {
            event_index: index as i64,
            ..Self::of(editor, room)
        }
    }

    /// A log record.
    pub fn log(editor: &'e mut LogRecordEditor<'_>, room: &'e mut Room) -> Self {
        Self::of(editor, room)
    }

    #[inline]
    pub(crate) fn reading(&self, part: Part) -> Reading<'_> {
        self.open.reading(part)
    }
}
