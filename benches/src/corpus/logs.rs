//! Log records with a sentence as their body and six attributes.

use std::ops::Range;

use super::record::{PatchKind, Record};
use super::values::Values;

/// A `ScopeLogs` with one record per index.
pub(super) fn scope_logs(items: Range<u32>, values: &mut Values) -> Record {
    let mut scope = Record::default();
    scope.nest(1, values.scope());
    for _ in items {
        scope.nest(2, log_record(values));
    }
    scope
}

fn log_record(values: &mut Values) -> Record {
    let (number, text) =
        [(9, "INFO"), (9, "INFO"), (13, "WARN"), (17, "ERROR")][values.below(4) as usize];
    let mut body = Record::default();
    body.str(1, &values.text(96));
    let mut record = Record::default();
    record.time(1, -1_000);
    record.uint(2, number);
    record.str(3, text);
    record.nest(5, body);
    record.attribute(6, "code.function.name", "shop::cart::reserve");
    record.int_attribute(6, "code.line.number", values.below(900));
    record.attribute(6, "http.route", &values.route());
    record.attribute(6, "server.address", &values.host());
    record.attribute(6, "customer", &values.random_text(12));
    record.attribute(6, "thread.name", "tokio-worker");
    record.id::<16>(9, PatchKind::NewTrace);
    record.id::<8>(10, PatchKind::Span);
    record.time(11, 0);
    record
}
