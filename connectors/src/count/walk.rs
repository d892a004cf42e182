//! The walk over a payload that is counted. Nothing is edited on the way: what conditions look at is shown by editors.

use tidegate_ottl::{Context, ErrorMode, Faults, Room, Subject};
use tidegate_pdata::Signal;
use tidegate_pdata::compose::Request;
use tidegate_pdata::splice::{
    DataPointEditor, Edits, LogRecordEditor, MetricEditor, ResourceEditor, SpanEditor,
    SpanEventEditor, Verdict, Visit,
};
use tidegate_pdata::view::AnyValue;
use tidegate_pdata::wire::{Cursor, put_bytes};

use super::counter::Counter;
use crate::clock::Moment;

/// The name of the scope of all metrics, as users know it.
const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/connector/countconnector";

/// What a record has, and what it lies in.
trait Record {
    /// Shows an attribute of the record, or else of its scope or its resource; says whether there is one.
    fn look(&mut self, key: &str, show: &mut dyn FnMut(AnyValue<'_>)) -> bool;
}

macro_rules! records {
    ($($editor:ident)*) => {$(
        impl Record for $editor<'_> {
            fn look(&mut self, key: &str, show: &mut dyn FnMut(AnyValue<'_>)) -> bool {
                if let Some(value) = self.attributes().get(key) {
                    show(value);
                    return true;
                }
                if let Some(value) = self.scope().attributes().get(key) {
                    show(value);
                    return true;
                }
                match self.resource().attributes().get(key) {
                    Some(value) => show(value),
                    None => return false,
                }
                true
            }
        }
    )*};
}

records!(SpanEditor SpanEventEditor LogRecordEditor DataPointEditor);

/// Counts what a payload has.
pub(super) struct Walk {
    counters: Vec<Counter>,
    /// Whether anything about these is counted.
    has_events: bool,
    has_points: bool,
    pub(super) faults: Faults,
    room: Room,
    request: Request,
    /// The attributes of the resource, as fields of number 1.
    resource: Vec<u8>,
    /// The first and the last time of the records of the resource, by what they are.
    times: [Option<(u64, u64)>; 2],
}

/// Whose times they are: those of events and data points are kept apart.
const fn kept_in(context: Context) -> usize {
    matches!(context, Context::SpanEvent | Context::DataPoint) as usize
}

impl Walk {
    pub(super) fn new(counters: Vec<Counter>, faults: Faults) -> Self {
        let has = |context| {
            counters
                .iter()
                .any(|counter: &Counter| counter.context == context)
        };
        Self {
            has_events: has(Context::SpanEvent),
            has_points: has(Context::DataPoint),
            counters,
            faults,
            room: Room::default(),
            request: Request::new(Signal::Metrics),
            resource: Vec::new(),
            times: [None; 2],
        }
    }

    /// Takes what was counted.
    pub(super) fn finish(&mut self) -> Request {
        self.end_resource();
        std::mem::replace(&mut self.request, Request::new(Signal::Metrics))
    }

    /// Writes what was counted of a resource.
    fn end_resource(&mut self) {
        let times = std::mem::take(&mut self.times);
        if self.counters.iter().all(Counter::is_empty) {
            return;
        }
        let resource = &self.resource;
        self.request.resource(|out| out.raw(resource));
        self.request.scope(SCOPE, "");
        let now = || {
            let now = Moment::now().wall;
            (now, now)
        };
        for counter in &mut self.counters {
            let times = times[kept_in(counter.context)].unwrap_or_else(now);
            counter.write(times, &mut self.request);
        }
    }

    fn seen(&mut self, context: Context, time: u64) {
        if time != 0 {
            let (first, last) = self.times[kept_in(context)].get_or_insert((time, time));
            (*first, *last) = ((*first).min(time), (*last).max(time));
        }
    }

    /// Counts a record in every metric that is about its kind.
    fn count<'e, E>(
        &mut self,
        context: Context,
        editor: &mut E,
        look: impl Fn(&mut E, &str, &mut dyn FnMut(AnyValue<'_>)) -> bool,
        subject: impl for<'s> Fn(&'s mut E, &'s mut Room) -> Subject<'s>,
    ) where
        E: 'e,
    {
        for counter in self
            .counters
            .iter_mut()
            .filter(|counter| counter.context == context)
        {
            if !counter.read(|key, show| look(editor, key, show)) {
                continue;
            }
            let mut holds = counter.conditions.is_empty();
            for condition in &counter.conditions {
                match condition.holds(&subject(editor, &mut self.room)) {
                    Ok(it) => holds |= it,
                    Err(fault) => {
                        self.faults
                            .meet(condition.text(), &fault, ErrorMode::Propagate);
                    }
                }
                if holds {
                    break;
                }
            }
            if holds {
                counter.count();
            }
        }
    }
}

impl Edits for Walk {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        self.end_resource();
        self.resource.clear();
        for entry in resource.view().attributes().entries() {
            put_bytes(&mut self.resource, 1, entry.bytes());
        }
        Visit::Enter
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        let fields = span.view().fields();
        let (start, end) = (fields.start_time_unix_nano, fields.end_time_unix_nano);
        self.seen(Context::Span, start);
        self.seen(Context::Span, end);
        self.count(
            Context::Span,
            span,
            |span, key, show| span.look(key, show),
            |span, room| Subject::span(span, room),
        );
        if self.has_events {
            let mut index = 0;
            span.edit_events(|event| {
                let time = event.view().time_unix_nano();
                self.seen(Context::SpanEvent, time);
                self.count(
                    Context::SpanEvent,
                    event,
                    |event, key, show| event.look(key, show),
                    |event, room| Subject::span_event(event, index, room),
                );
                index += 1;
                Verdict::Keep
            });
        }
        Verdict::Keep
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        let time = record.view().time_unix_nano();
        self.seen(Context::Log, time);
        self.count(
            Context::Log,
            record,
            |record, key, show| record.look(key, show),
            |record, room| Subject::log(record, room),
        );
        Verdict::Keep
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        self.count(
            Context::Metric,
            metric,
            |_, _, _| false,
            |metric, room| Subject::metric(metric, room),
        );
        if self.has_points {
            Visit::Enter
        } else {
            Visit::Skip
        }
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        self.seen(Context::DataPoint, time_of(point));
        self.count(
            Context::DataPoint,
            point,
            |point, key, show| point.look(key, show),
            |point, room| Subject::data_point(point, room),
        );
        Verdict::Keep
    }
}

/// The time of a data point, which all kinds of them number alike.
fn time_of(point: &mut DataPointEditor<'_>) -> u64 {
    use tidegate_pdata::splice::DataPoint;
    let bytes = match point.view() {
        DataPoint::Number(point) => point.bytes(),
        DataPoint::Histogram(point) => point.bytes(),
        DataPoint::ExponentialHistogram(point) => point.bytes(),
        DataPoint::Summary(point) => point.bytes(),
    };
    let time = Cursor::new(bytes).find(|field| field.number == 3);
    time.map_or(0, |field| field.scalar)
}
