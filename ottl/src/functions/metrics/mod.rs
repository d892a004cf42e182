//! Metrics as a whole: their kind, their points, and metrics that are made of them.

mod aggregate;
mod convert;
mod extract;
mod scale;

use tidegate_pdata::splice::Part;
use tidegate_pdata::wire::{Field, put_bytes, put_uint};

use super::Kind::{ConstBool, ConstStr, ConstStrs, DoubleLike, Str};
use super::{Args, Function, Misuse, o, p};
use crate::context::Context;
use crate::fault::Fault;
use crate::subject::Subject;

const METRIC: &[Context] = &[Context::Metric];
const POINT: &[Context] = &[Context::DataPoint];

pub(super) const ALL: &[Function] = &[
    Function::editor("convert_sum_to_gauge", &[], convert::sum_to_gauge).only(METRIC),
    Function::editor(
        "convert_gauge_to_sum",
        &[
            p("aggregation_temporality", ConstStr),
            p("is_monotonic", ConstBool),
        ],
        convert::gauge_to_sum,
    )
    .prepared(check_temporality)
    .only(METRIC),
    Function::editor(
        "extract_count_metric",
        &[p("is_monotonic", ConstBool), o("suffix", ConstStr)],
        extract::count,
    )
    .only(METRIC),
    Function::editor(
        "extract_sum_metric",
        &[p("is_monotonic", ConstBool), o("suffix", ConstStr)],
        extract::sum,
    )
    .only(METRIC),
    Function::editor(
        "convert_summary_count_val_to_sum",
        &[
            p("aggregation_temporality", ConstStr),
            p("is_monotonic", ConstBool),
            o("suffix", ConstStr),
        ],
        extract::summary_count,
    )
    .prepared(check_temporality)
    .only(POINT),
    Function::editor(
        "convert_summary_sum_val_to_sum",
        &[
            p("aggregation_temporality", ConstStr),
            p("is_monotonic", ConstBool),
            o("suffix", ConstStr),
        ],
        extract::summary_sum,
    )
    .prepared(check_temporality)
    .only(POINT),
    Function::editor(
        "convert_summary_quantile_val_to_gauge",
        &[o("attribute_key", ConstStr), o("suffix", ConstStr)],
        extract::summary_quantiles,
    )
    .only(METRIC),
    Function::editor(
        "copy_metric",
        &[o("name", Str), o("description", Str), o("unit", Str)],
        extract::copy,
    )
    .only(METRIC),
    Function::editor(
        "scale_metric",
        &[p("multiplier", DoubleLike), o("unit", Str)],
        scale::scale,
    )
    .prepared(|args| match args.values.first() {
        Some(super::Arg::Expr(crate::plan::Expr::Literal(_))) => Ok(()),
        _ => Err((
            0,
            "the multiplier is a number that is written there".to_owned(),
        )),
    })
    .only(METRIC),
    Function::editor(
        "aggregate_on_attributes",
        &[p("function", ConstStr), o("attributes", ConstStrs)],
        aggregate::on_attributes,
    )
    .prepared(aggregate::check)
    .only(METRIC),
    Function::editor(
        "aggregate_on_attribute_value",
        &[
            p("function", ConstStr),
            p("attribute", ConstStr),
            p("values", ConstStrs),
            p("new_value", ConstStr),
        ],
        aggregate::on_attribute_value,
    )
    .prepared(aggregate::check)
    .only(METRIC),
];

fn check_temporality(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_str(0) {
        Some("delta" | "cumulative") => Ok(()),
        _ => Err((0, "it is \"delta\" or \"cumulative\"".to_owned())),
    }
}

/// The number of a temporality that was checked.
fn temporality(args: &Args) -> u64 {
    if args.constant_str(0) == Some("delta") {
        1
    } else {
        2
    }
}

/// The field that has the points of the metric at hand.
fn data<'v>(subject: &'v Subject<'_>) -> Option<Field<'v>> {
    let reading = subject.reading(Part::Metric);
    [5, 7, 9, 10, 11]
        .into_iter()
        .find_map(|number| reading.field(number))
}

fn text<'v>(subject: &'v Subject<'_>, number: u32) -> &'v [u8] {
    subject
        .reading(Part::Metric)
        .field(number)
        .map_or(&[], |field| field.bytes)
}

/// Adds a metric beside the one at hand.
fn add(subject: &mut Subject<'_>, message: &[u8]) -> Result<(), Fault> {
    if subject.open.add_metric(message) {
        return Ok(());
    }
    Err(Fault::new(
        "the metrics that are added take too much beside those that came",
    ))
}

/// Writes the name, the description and the unit of a metric.
fn put_names(out: &mut Vec<u8>, name: &[u8], description: &[u8], unit: &[u8]) {
    for (number, text) in [(1, name), (2, description), (3, unit)] {
        if !text.is_empty() {
            put_bytes(out, number, text);
        }
    }
}

/// Writes a sum of points that are encoded, each as a field of number 1.
fn put_sum(out: &mut Vec<u8>, points: &[u8], temporality: u64, monotonic: bool) {
    let mut sum = points.to_vec();
    if temporality != 0 {
        put_uint(&mut sum, 2, temporality);
    }
    if monotonic {
        put_uint(&mut sum, 3, 1);
    }
    put_bytes(out, 7, &sum);
}
