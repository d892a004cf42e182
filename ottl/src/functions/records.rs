//! What a whole record is.

use tidegate_pdata::splice::Part;
use tidegate_pdata::view::{AnyValue, Attributes, Repeated};
use tidegate_pdata::wire::Field;

use super::Kind::Str;
use super::{Args, Function, p};
use crate::context::Context;
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::value::Value;

pub(super) const ALL: &[Function] = &[
    Function::converter("IsRootSpan", &[], |_, subject| {
        let parent = subject.reading(Part::Record).field(4);
        let is_none = |field: Field<'_>| field.bytes.iter().all(|byte| *byte == 0);
        Ok(Value::Bool(parent.is_none_or(is_none)))
    })
    .only(&[Context::Span])
    .impure(),
    Function::converter(
        "HasAttrKeyOnDatapoint",
        &[p("key", Str)],
        |args, subject| {
            let key = args.text(0, subject)?;
            first_point(subject, &key, |_| true)
        },
    )
    .only(&[Context::Metric])
    .impure(),
    Function::converter(
        "HasAttrOnDatapoint",
        &[p("key", Str), p("value", Str)],
        has_attribute,
    )
    .only(&[Context::Metric])
    .impure(),
];

fn has_attribute<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let key = args.text(0, subject)?;
    let value = args.text(1, subject)?;
    first_point(subject, &key, |found| match found {
        AnyValue::String(text) => text.as_bytes() == &*value,
        _ => value.is_empty(),
    })
}

/// Whether the first point of the metric that has an attribute has it as it should be; the others are
/// not asked, as in the Collector.
fn first_point<'v>(
    subject: &Subject<'_>,
    key: &[u8],
    test: impl Fn(AnyValue<'_>) -> bool,
) -> Outcome<'v> {
    let reading = subject.reading(Part::Metric);
    for (number, attributes) in [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)] {
        if let Some(data) = reading.field(number) {
            let mut points = Repeated::<'_, &[u8]>::new(data.bytes, 1);
            let found = points.find_map(|point| Attributes::new(point, attributes).get(key));
            return Ok(Value::Bool(found.is_some_and(test)));
        }
    }
    Err(Fault::new("the metric has no type"))
}
