//! Values of one type as another, as the Collector converts them.

use tidegate_pdata::splice::NewValue;
use tidegate_pdata::view::AnyValue;

use super::config::Converted;
use crate::number::parsed;

/// What a value is in another type; `None` where it stays as it is. Text is written to `text`.
pub(super) fn converted<'t>(
    value: AnyValue<'_>,
    to: Converted,
    text: &'t mut String,
) -> Option<NewValue<'t>> {
    match to {
        Converted::String => string(value, text),
        Converted::Int => int(value).map(NewValue::Int),
        Converted::Double => double(value).map(NewValue::Double),
    }
}

fn string<'t>(value: AnyValue<'_>, text: &'t mut String) -> Option<NewValue<'t>> {
    if matches!(value, AnyValue::String(_)) {
        return None;
    }
    text.clear();
    value.write_text(text).ok()?;
    Some(NewValue::Str(text))
}

fn int(value: AnyValue<'_>) -> Option<i64> {
    match value {
        AnyValue::Double(value) => Some(truncated(value)),
        AnyValue::Bool(value) => Some(i64::from(value)),
        AnyValue::String(text) => text.as_str()?.parse().ok(),
        _ => None,
    }
}

/// The whole part; what does not fit becomes the least number, as on the processors that the
/// Collector mostly runs on.
fn truncated(value: f64) -> i64 {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if (-BEYOND..BEYOND).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

fn double(value: AnyValue<'_>) -> Option<f64> {
    match value {
        AnyValue::Int(value) => Some(value as f64),
        AnyValue::Bool(value) => Some(f64::from(u8::from(value))),
        AnyValue::String(text) => parsed(text.as_str()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_pdata::view::Text;

    fn text(text: &str) -> AnyValue<'_> {
        AnyValue::String(Text::new(text.as_bytes()))
    }

    #[test]
    fn reads_numbers_as_go_does() {
        assert_eq!(double(text("0.5")), Some(0.5));
        assert_eq!(double(text("+Inf")), Some(f64::INFINITY));
        assert_eq!(double(text("1e999")), None);
        assert_eq!(double(text("-nan")), None);
        assert!(double(text("NaN")).is_some_and(f64::is_nan));
        assert_eq!(double(text("")), None);
        assert_eq!(int(text("+5")), Some(5));
        assert_eq!(int(text("5.0")), None);
        assert_eq!(int(text("9223372036854775808")), None);
    }

    #[test]
    fn numbers_that_do_not_fit_become_the_least() {
        assert_eq!(int(AnyValue::Double(-1.9)), Some(-1));
        assert_eq!(int(AnyValue::Double(1e300)), Some(i64::MIN));
        assert_eq!(int(AnyValue::Double(f64::NAN)), Some(i64::MIN));
    }

    #[test]
    fn leaves_what_has_no_equal() {
        assert_eq!(int(AnyValue::Bytes(&[1])), None);
        assert_eq!(double(AnyValue::Empty), None);
        assert_eq!(int(AnyValue::Int(1)), None);
    }
}
