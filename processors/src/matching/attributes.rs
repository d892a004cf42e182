//! Attributes that must all be there.

use tidegate_component::BuildError;
use tidegate_pdata::view::{AnyValue, Attributes};

use super::config::{AttributeMatch, MatchType};
use super::strings::Strings;
use crate::literal::Literal;

/// Attributes that must all be there.
pub(super) struct AttributeMatcher(Vec<Wanted>);

struct Wanted {
    key: Box<str>,
    value: WantedValue,
}

enum WantedValue {
    Any,
    Same(Literal),
    Like(Strings),
}

impl AttributeMatcher {
    /// Compiles the attributes that stand at `path`.
    pub(super) fn new(
        list: &[AttributeMatch],
        kind: Option<MatchType>,
        path: &str,
    ) -> Result<Self, BuildError> {
        let wanted = list.iter().enumerate().map(|(index, attribute)| {
            let path = format!("{path}::{index}");
            if attribute.key.is_empty() {
                return Err(BuildError::at(path, "the key of the attribute is empty")
                    .remedy("name the attribute"));
            }
            Ok(Wanted {
                key: attribute.key.as_str().into(),
                value: WantedValue::new(attribute.value.as_ref(), kind, &path)?,
            })
        });
        wanted.collect::<Result<_, _>>().map(Self)
    }

    /// Whether none is asked for.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all are among these.
    pub(super) fn matches(&self, attributes: Attributes<'_>, room: &mut String) -> bool {
        self.0.iter().all(|wanted| {
            let value = attributes.get(&*wanted.key);
            value.is_some_and(|value| wanted.value.matches(value, room))
        })
    }
}

impl WantedValue {
    fn new(
        value: Option<&Literal>,
        kind: Option<MatchType>,
        path: &str,
    ) -> Result<Self, BuildError> {
        match (value, kind) {
            (None, _) => Ok(Self::Any),
            (Some(value), Some(MatchType::Strict)) => Ok(Self::Same(value.clone())),
            (Some(value), _) => match value.view() {
                AnyValue::String(text) => {
                    Strings::of(&[text.to_str().into_owned()], kind, path).map(Self::Like)
                }
                _ => Err(
                    BuildError::at(format!("{path}::value"), "a pattern must be text")
                        .remedy("put it in quotes, or write `match_type: strict`"),
                ),
            },
        }
    }

    fn matches(&self, value: AnyValue<'_>, room: &mut String) -> bool {
        match self {
            Self::Any => true,
            Self::Same(literal) => same(literal.view(), value),
            Self::Like(strings) => strings.matches_scalar(value, room),
        }
    }
}

/// Whether two values have the same type and content; the order of a map's entries means nothing.
fn same(wanted: AnyValue<'_>, value: AnyValue<'_>) -> bool {
    match (wanted, value) {
        (AnyValue::Empty, AnyValue::Empty) => true,
        (AnyValue::String(a), AnyValue::String(b)) => a == b,
        (AnyValue::Bool(a), AnyValue::Bool(b)) => a == b,
        (AnyValue::Int(a), AnyValue::Int(b)) => a == b,
        (AnyValue::Double(a), AnyValue::Double(b)) => a == b,
        (AnyValue::Bytes(a), AnyValue::Bytes(b)) => a == b,
        (AnyValue::Array(mut a), AnyValue::Array(mut b)) => loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if same(a, b) => {}
                _ => return false,
            }
        },
        (AnyValue::KeyValues(mut a), AnyValue::KeyValues(b)) => {
            a.count() == b.count()
                && a.all(|(key, wanted)| {
                    let value = b.get(key.as_bytes());
                    value.is_some_and(|value| same(wanted, value))
                })
        }
        _ => false,
    }
}
