//! Composing requests, for those that make telemetry where others pass it on: scrapers, readers
//! of files, receivers of other protocols.
//!
//! A [`Request`] is written front to back into one growing buffer, without owned records: a
//! resource, its scopes, their records, each field by field through [`Fields`]. What it gives in
//! the end has passed the door like anything from outside.
//!
//! ```
//! use tidegate_pdata::compose::{Kind, Request};
//! use tidegate_pdata::{Signal, compose::number_point};
//!
//! let mut request = Request::new(Signal::Metrics);
//! request.resource(|resource| resource.attribute(1, "host.name", "web-1"));
//! request.scope("example", "1.0");
//! request.metric("system.cpu.time", "Seconds a CPU spent.", "s", Kind::COUNTER);
//! request.point(|point| {
//!     point.fixed64(number_point::TIME, 1_700_000_000_000_000_000);
//!     point.double(number_point::AS_DOUBLE, 12.5);
//!     point.attribute(number_point::ATTRIBUTES, "cpu", "cpu0");
//! });
//! assert_eq!(request.finish(None).map(|payload| payload.items()), Ok(1));
//! ```

mod fields;
mod request;
#[cfg(test)]
mod tests;

pub use fields::{Begun, Fields, Value};
pub use request::{Kind, Request, Temporality};

/// Fields of `Span`.
pub mod span {
    #![allow(missing_docs)]
    pub const TRACE_ID: u32 = 1;
    pub const SPAN_ID: u32 = 2;
    pub const TRACE_STATE: u32 = 3;
    pub const PARENT_SPAN_ID: u32 = 4;
    pub const NAME: u32 = 5;
    pub const KIND: u32 = 6;
    pub const START_TIME: u32 = 7;
    pub const END_TIME: u32 = 8;
    pub const ATTRIBUTES: u32 = 9;
    pub const DROPPED_ATTRIBUTES: u32 = 10;
    pub const EVENTS: u32 = 11;
    pub const DROPPED_EVENTS: u32 = 12;
    pub const LINKS: u32 = 13;
    pub const DROPPED_LINKS: u32 = 14;
    pub const STATUS: u32 = 15;
    pub const FLAGS: u32 = 16;
}

/// Fields of a span's `Event`.
pub mod event {
    #![allow(missing_docs)]
    pub const TIME: u32 = 1;
    pub const NAME: u32 = 2;
    pub const ATTRIBUTES: u32 = 3;
    pub const DROPPED_ATTRIBUTES: u32 = 4;
}

/// Fields of a span's `Link`.
pub mod link {
    #![allow(missing_docs)]
    pub const TRACE_ID: u32 = 1;
    pub const SPAN_ID: u32 = 2;
    pub const TRACE_STATE: u32 = 3;
    pub const ATTRIBUTES: u32 = 4;
    pub const DROPPED_ATTRIBUTES: u32 = 5;
    pub const FLAGS: u32 = 6;
}

/// Fields of a span's `Status`.
pub mod status {
    #![allow(missing_docs)]
    pub const MESSAGE: u32 = 2;
    pub const CODE: u32 = 3;
}

/// Fields of `LogRecord`.
pub mod log_record {
    #![allow(missing_docs)]
    pub const TIME: u32 = 1;
    pub const SEVERITY_NUMBER: u32 = 2;
    pub const SEVERITY_TEXT: u32 = 3;
    pub const BODY: u32 = 5;
    pub const ATTRIBUTES: u32 = 6;
    pub const DROPPED_ATTRIBUTES: u32 = 7;
    pub const FLAGS: u32 = 8;
    pub const TRACE_ID: u32 = 9;
    pub const SPAN_ID: u32 = 10;
    pub const OBSERVED_TIME: u32 = 11;
    pub const EVENT_NAME: u32 = 12;
}

/// Fields of `NumberDataPoint`.
pub mod number_point {
    #![allow(missing_docs)]
    pub const START_TIME: u32 = 2;
    pub const TIME: u32 = 3;
    pub const AS_DOUBLE: u32 = 4;
    pub const EXEMPLARS: u32 = 5;
    pub const AS_INT: u32 = 6;
    pub const ATTRIBUTES: u32 = 7;
    pub const FLAGS: u32 = 8;
}

/// Fields of `HistogramDataPoint`.
pub mod histogram_point {
    #![allow(missing_docs)]
    pub const START_TIME: u32 = 2;
    pub const TIME: u32 = 3;
    pub const COUNT: u32 = 4;
    pub const SUM: u32 = 5;
    pub const BUCKET_COUNTS: u32 = 6;
    pub const EXPLICIT_BOUNDS: u32 = 7;
    pub const EXEMPLARS: u32 = 8;
    pub const ATTRIBUTES: u32 = 9;
    pub const FLAGS: u32 = 10;
    pub const MIN: u32 = 11;
    pub const MAX: u32 = 12;
}

/// Fields of `ExponentialHistogramDataPoint`.
pub mod exponential_point {
    #![allow(missing_docs)]
    pub const ATTRIBUTES: u32 = 1;
    pub const START_TIME: u32 = 2;
    pub const TIME: u32 = 3;
    pub const COUNT: u32 = 4;
    pub const SUM: u32 = 5;
    /// Zigzag.
    pub const SCALE: u32 = 6;
    pub const ZERO_COUNT: u32 = 7;
    pub const POSITIVE: u32 = 8;
    pub const NEGATIVE: u32 = 9;
    pub const FLAGS: u32 = 10;
    pub const EXEMPLARS: u32 = 11;
    pub const MIN: u32 = 12;
    pub const MAX: u32 = 13;
    pub const ZERO_THRESHOLD: u32 = 14;
    /// Of the buckets: zigzag.
    pub const OFFSET: u32 = 1;
    /// Of the buckets: packed varints.
    pub const BUCKET_COUNTS: u32 = 2;
}

/// Fields of `SummaryDataPoint`.
pub mod summary_point {
    #![allow(missing_docs)]
    pub const START_TIME: u32 = 2;
    pub const TIME: u32 = 3;
    pub const COUNT: u32 = 4;
    pub const SUM: u32 = 5;
    pub const QUANTILES: u32 = 6;
    pub const ATTRIBUTES: u32 = 7;
    pub const FLAGS: u32 = 8;
    /// Of a quantile.
    pub const QUANTILE: u32 = 1;
    /// Of a quantile.
    pub const VALUE: u32 = 2;
}

/// Fields of `Exemplar`.
pub mod exemplar {
    #![allow(missing_docs)]
    pub const TIME: u32 = 2;
    pub const AS_DOUBLE: u32 = 3;
    pub const SPAN_ID: u32 = 4;
    pub const TRACE_ID: u32 = 5;
    pub const AS_INT: u32 = 6;
    pub const FILTERED_ATTRIBUTES: u32 = 7;
}

/// The flag of a data point that says that there is no value any more.
pub const NO_RECORDED_VALUE: u64 = 1;
