//! Numbers in text.

/// Reads a decimal number as Go does, which has no sign before `nan` and does not round to infinity.
pub(crate) fn parsed(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let is_word = text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'n'));
    let is_number = match value {
        value if value.is_nan() => !text.starts_with(['+', '-']),
        value => value.is_finite() || is_word,
    };
    is_number.then_some(value)
}
