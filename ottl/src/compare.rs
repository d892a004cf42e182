//! Comparing values of any two types.

use std::cmp::Ordering;

use tidegate_pdata::view::{AnyValue, Attributes, Repeated};

use crate::lexer::Comparison;
use crate::value::{Map, Value};

/// Compares two values as the Collector does: numbers with numbers, everything else only with its
/// own type. What cannot be compared is unequal, and neither less nor greater.
pub(crate) fn compare(left: &Value<'_>, operator: Comparison, right: &Value<'_>) -> bool {
    let order = match (left, right) {
        (Value::Nil, Value::Nil) => Some(Ordering::Equal),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) | (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Double(b)) => return doubles(*a as f64, operator, *b),
        (Value::Double(a), Value::Int(b)) => return doubles(*a, operator, *b as f64),
        (Value::Double(a), Value::Double(b)) => return doubles(*a, operator, *b),
        (Value::Str(a), Value::Str(b)) | (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.timestamp().cmp(&b.timestamp())),
        (Value::List(a), Value::List(b)) => {
            return equality(operator, lists(Repeated::new(a, 1), Repeated::new(b, 1)));
        }
        (Value::Map(a), Value::Map(b)) => return equality(operator, maps(a, b)),
        (Value::TraceId(a), Value::TraceId(b)) => return equality(operator, a == b),
        (Value::SpanId(a), Value::SpanId(b)) => return equality(operator, a == b),
        (Value::Messages(a), Value::Messages(b)) => return equality(operator, a.eq(*b)),
        _ => None,
    };
    match (operator, order) {
        (Comparison::Ne, order) => order != Some(Ordering::Equal),
        (_, None) => false,
        (Comparison::Eq, Some(order)) => order.is_eq(),
        (Comparison::Lt, Some(order)) => order.is_lt(),
        (Comparison::Le, Some(order)) => order.is_le(),
        (Comparison::Gt, Some(order)) => order.is_gt(),
        (Comparison::Ge, Some(order)) => order.is_ge(),
    }
}

fn doubles(left: f64, operator: Comparison, right: f64) -> bool {
    match operator {
        Comparison::Eq => left == right,
        Comparison::Ne => left != right,
        Comparison::Lt => left < right,
        Comparison::Le => left <= right,
        Comparison::Gt => left > right,
        Comparison::Ge => left >= right,
    }
}

const fn equality(operator: Comparison, equal: bool) -> bool {
    match operator {
        Comparison::Eq => equal,
        Comparison::Ne => !equal,
        _ => false,
    }
}

fn lists<'a, 'b>(left: Repeated<'a, AnyValue<'a>>, mut right: Repeated<'b, AnyValue<'b>>) -> bool {
    for value in left {
        match right.next() {
            Some(other) if values(value, other) => {}
            _ => return false,
        }
    }
    right.next().is_none()
}

/// Whether two values have the same type and are equal.
pub(crate) fn values(left: AnyValue<'_>, right: AnyValue<'_>) -> bool {
    match (left, right) {
        (AnyValue::Empty, AnyValue::Empty) => true,
        (AnyValue::String(a), AnyValue::String(b)) => a == b,
        (AnyValue::Bool(a), AnyValue::Bool(b)) => a == b,
        (AnyValue::Int(a), AnyValue::Int(b)) => a == b,
        (AnyValue::Double(a), AnyValue::Double(b)) => a == b,
        (AnyValue::Bytes(a), AnyValue::Bytes(b)) => a == b,
        (AnyValue::Array(a), AnyValue::Array(b)) => lists(a, b),
        (AnyValue::KeyValues(a), AnyValue::KeyValues(b)) => entries(a, b),
        _ => false,
    }
}

/// Whether two maps have the same entries, in any order.
fn entries(mut left: Attributes<'_>, right: Attributes<'_>) -> bool {
    left.count() == right.count()
        && left.all(|(key, value)| {
            right
                .get(key.as_bytes())
                .is_some_and(|other| values(value, other))
        })
}

fn maps(left: &Map<'_>, right: &Map<'_>) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut equal = true;
    left.each(|key, value| {
        equal = right
            .get(key.as_bytes())
            .is_some_and(|other| match other.as_any() {
                Some(other) => values(value, other),
                None => false,
            });
        equal
    });
    equal
}
