//! Log records.

use super::attributes::Attributes;
use super::text::Text;
use super::value::AnyValue;

message! {
    /// One entry of a log, or one event.
    LogRecord, LogRecordFields<'a> {
        /// When it happened, in nanoseconds since 1970; 0 where nobody knows.
        time_unix_nano: u64 = 1,
        /// Its `SeverityNumber`.
        severity_number: i32 = 2,
        /// The severity as its source names it.
        severity_text: Text<'a> = 3,
        /// What it says; `None` where it has no body.
        body: Option<AnyValue<'a>> = 5,
        /// Its attributes.
        attributes: Attributes<'a> = 6,
        /// Attributes that its sender left out.
        dropped_attributes_count: u32 = 7,
        /// W3C trace flags in the low byte.
        flags: u32 = 8,
        /// The trace during which it was written: 16 bytes, or none.
        trace_id: &'a [u8] = 9,
        /// The span during which it was written: 8 bytes, or none.
        span_id: &'a [u8] = 10,
        /// When it was seen, in nanoseconds since 1970.
        observed_time_unix_nano: u64 = 11,
        /// The kind of event that it is, if it is one.
        event_name: Text<'a> = 12,
    }
}
