//! The table of log records.

use arrow_array::builder::{StringBuilder, UInt32Builder};
use tidegate_pdata::view::{LogRecord, View};

use super::Settings;
use super::attributes::{AttributeColumns, Kind, put_value};
use super::columns::{Columns, Ids, Times, put_name, put_text_or_null};
use super::promoted::Promoted;
use super::rows::Place;
use super::table::RecordColumns;

/// The names of `SeverityNumber`.
pub(super) const SEVERITIES: &[&str] = &[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

/// The columns of a log record's own fields.
pub(super) struct Logs {
    time: Times,
    observed_time: Times,
    trace_id: Ids,
    span_id: Ids,
    flags: UInt32Builder,
    severity_number: arrow_array::builder::Int32Builder,
    severity: StringBuilder,
    severity_text: StringBuilder,
    event_name: StringBuilder,
    body: StringBuilder,
    body_type: StringBuilder,
    attributes: AttributeColumns,
    dropped_attributes: UInt32Builder,
}

impl Logs {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            time: Times::default(),
            observed_time: Times::default(),
            trace_id: Ids::new(settings.ids),
            span_id: Ids::new(settings.ids),
            flags: UInt32Builder::new(),
            severity_number: arrow_array::builder::Int32Builder::new(),
            severity: StringBuilder::new(),
            severity_text: StringBuilder::new(),
            event_name: StringBuilder::new(),
            body: StringBuilder::new(),
            body_type: StringBuilder::new(),
            attributes: AttributeColumns::default(),
            dropped_attributes: UInt32Builder::new(),
        }
    }
}

impl RecordColumns for Logs {
    fn put(&mut self, place: &Place<'_>, promoted: &mut Promoted, exact: &mut bool) {
        let log = LogRecord::of(place.record).fields();
        self.time.put(log.time_unix_nano, exact);
        self.observed_time.put(log.observed_time_unix_nano, exact);
        self.trace_id.put(log.trace_id);
        self.span_id.put(log.span_id);
        self.flags.append_value(log.flags);
        self.severity_number.append_value(log.severity_number);
        put_name(&mut self.severity, SEVERITIES, log.severity_number);
        put_text_or_null(&mut self.severity_text, log.severity_text, exact);
        put_text_or_null(&mut self.event_name, log.event_name, exact);
        if let Some(body) = log.body {
            match put_value(&mut self.body, body, exact) {
                Kind::String => self.body_type.append_null(),
                kind => kind.put(&mut self.body_type, body),
            }
        } else {
            self.body.append_null();
            self.body_type.append_null();
        }
        self.attributes
            .put_promoting(log.attributes, Some(promoted), exact);
        self.dropped_attributes
            .append_value(log.dropped_attributes_count);
    }

    fn finish(&mut self, columns: &mut Columns) {
        columns.maybe("time", self.time.finish());
        columns.maybe("observed_time", self.observed_time.finish());
        columns.push("trace_id", true, self.trace_id.finish());
        columns.push("span_id", true, self.span_id.finish());
        columns.always("flags", self.flags.finish());
        columns.always("severity_number", self.severity_number.finish());
        columns.always("severity", self.severity.finish());
        columns.maybe("severity_text", self.severity_text.finish());
        columns.maybe("event_name", self.event_name.finish());
        columns.maybe("body", self.body.finish());
        columns.maybe("body_type", self.body_type.finish());
        self.attributes.finish("log_attribute", columns);
        columns.always("dropped_attributes_count", self.dropped_attributes.finish());
    }
}
