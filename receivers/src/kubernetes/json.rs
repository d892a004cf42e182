//! JSON as OTLP has it.

use serde_json::Value as Json;
use tidegate_pdata::compose::{Fields, Value};

/// Writes a JSON value as the content of an `AnyValue`.
///
/// Its depth is bounded by the parser, which gives up at 128.
pub(crate) fn write_json(value: &Json, out: &mut Fields) {
    match value {
        Json::Null => {}
        Json::Bool(value) => out.any(Value::Bool(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => out.any(Value::Int(whole)),
            None => out.any(Value::Double(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(text) => out.any(Value::Str(text)),
        Json::Array(values) => out.any_array(|array| {
            for value in values {
                array.element_with(|element| write_json(value, element));
            }
        }),
        Json::Object(entries) => out.any_map(|map| {
            for (key, value) in entries {
                map.attribute_with(1, key, |entry| write_json(value, entry));
            }
        }),
    }
}
