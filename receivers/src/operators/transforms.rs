//! Operators that move values about within an entry.

use tidegate_component::BuildError;

use super::chain::Transform;
use super::config::{AddKeys, AssignKeysKeys, FieldKey, FromTo, RetainKeys};
use super::entry::Entry;
use super::expr::Expression;
use super::field::{Field, Root};
use super::value::{Map, Text, Value};

type Built = Result<Box<dyn Transform>, BuildError>;

fn field(text: &str, path: &str, key: &str) -> Result<Field, BuildError> {
    Field::parse(text).map_err(|why| BuildError::at(format!("{path}::{key}"), why))
}

/// A transform of one function.
struct Each<F>(F);

impl<F: FnMut(&mut Entry) -> Result<(), String> + Send> Transform for Each<F> {
    fn apply(&mut self, entry: &mut Entry) -> Result<(), String> {
        (self.0)(entry)
    }
}

fn each(apply: impl FnMut(&mut Entry) -> Result<(), String> + Send + 'static) -> Built {
    Ok(Box::new(Each(apply)))
}

fn missing(field: &Field) -> String {
    format!("there is no {field}")
}

/// `add`.
pub(crate) fn add(keys: &AddKeys, path: &str) -> Built {
    let field = field(&keys.field, path, "field")?;
    let inner = keys.value.as_str().and_then(|text| {
        let inner = text.strip_prefix("EXPR(")?;
        inner.strip_suffix(')')
    });
    if let Some(inner) = inner {
        let fault =
            |fault: super::expr::Fault| BuildError::at(format!("{path}::value"), fault.to_string());
        let expression = Expression::parse(inner).map_err(fault)?;
        return each(move |entry| field.set(entry, expression.value(entry)?));
    }
    let value = keys.value.clone();
    if !field.is_root() || field.root == Root::Body || value.as_map().is_some() {
        return each(move |entry| field.set(entry, value.clone()));
    }
    let message = format!("{field} takes a map, not {}", value.kind());
    Err(BuildError::at(format!("{path}::value"), message))
}

/// `copy`.
pub(crate) fn copy(keys: &FromTo, path: &str) -> Built {
    let (from, to) = (
        field(&keys.from, path, "from")?,
        field(&keys.to, path, "to")?,
    );
    each(move |entry| {
        let value = from.read(entry).ok_or_else(|| missing(&from))?;
        to.set(entry, value)
    })
}

/// `move`.
pub(crate) fn move_(keys: &FromTo, path: &str) -> Built {
    let (from, to) = (
        field(&keys.from, path, "from")?,
        field(&keys.to, path, "to")?,
    );
    each(move |entry| {
        let value = from.take(entry).ok_or_else(|| missing(&from))?;
        to.set(entry, value)
    })
}

/// `remove`.
pub(crate) fn remove(keys: &FieldKey, path: &str) -> Built {
    let field = field(&keys.field, path, "field")?;
    each(move |entry| {
        let removed = field.take(entry);
        removed.map(drop).ok_or_else(|| missing(&field))
    })
}

/// `retain`.
pub(crate) fn retain(keys: &RetainKeys, path: &str) -> Built {
    let mut fields = Vec::new();
    for (at, text) in keys.fields.iter().enumerate() {
        fields.push(field(text, path, &format!("fields::{at}"))?);
    }
    each(move |entry| {
        let kept: Vec<Option<Value>> = fields.iter().map(|field| field.read(entry)).collect();
        for root in [Root::Body, Root::Attributes, Root::Resource] {
            if fields.iter().any(|field| field.root == root) {
                Field::root(root).take(entry);
            }
        }
        for (field, value) in fields.iter().zip(kept) {
            if let Some(value) = value {
                field.set(entry, value)?;
            }
        }
        Ok(())
    })
}

/// `flatten`.
pub(crate) fn flatten(keys: &FieldKey, path: &str) -> Built {
    let field = field(&keys.field, path, "field")?;
    let Some((_, above)) = field.keys.split_last() else {
        let message = format!("{field} is in no map that it could be flattened into");
        return Err(BuildError::at(format!("{path}::field"), message));
    };
    let parent = Field {
        root: field.root,
        keys: above.to_vec(),
    };
    each(move |entry| match field.get(entry) {
        None => Err(missing(&field)),
        Some(Value::Map(_)) => {
            if let Some(Value::Map(inner)) = field.take(entry) {
                parent.map(entry).merge(inner);
            }
            Ok(())
        }
        Some(other) => Err(format!("{field} is {}, not a map", other.kind())),
    })
}

/// `assign_keys`.
pub(crate) fn assign_keys(keys: &AssignKeysKeys, path: &str) -> Built {
    let field = field(&keys.field, path, "field")?;
    let names: Vec<Text> = keys
        .keys
        .iter()
        .map(|key| Text::Shared(key.as_str().into()))
        .collect();
    each(move |entry| {
        let values = match field.get(entry) {
            None => return Err(missing(&field)),
            Some(Value::List(values)) if values.len() == names.len() => values.clone(),
            Some(Value::List(values)) => {
                let (found, wanted) = (values.len(), names.len());
                return Err(format!("{field} has {found} values for {wanted} keys"));
            }
            Some(other) => return Err(format!("{field} is {}, not a list", other.kind())),
        };
        field.take(entry);
        let entries = names.iter().cloned().zip(values);
        field.set(entry, Value::Map(Map::of(entries.collect())))
    })
}

/// `unquote`.
pub(crate) fn unquote(keys: &FieldKey, path: &str) -> Built {
    let field = field(&keys.field, path, "field")?;
    each(move |entry| {
        let text = match field.get(entry) {
            None => return Err(missing(&field)),
            Some(Value::Str(text)) => unquoted(text),
            Some(other) => return Err(format!("{field} is {}, not a text", other.kind())),
        };
        let text =
            text.ok_or_else(|| format!("{field} does not stand in quotes as Go writes them"))?;
        field.set(entry, text.into())
    })
}

/// The text that stands in quotes as Go writes them; none where it does not.
fn unquoted(text: &str) -> Option<String> {
    if let Some(raw) = text.strip_prefix('`') {
        let raw = raw.strip_suffix('`')?;
        return (!raw.contains('`')).then(|| raw.replace('\r', ""));
    }
    let quote = text
        .chars()
        .next()
        .filter(|quote| matches!(quote, '"' | '\''))?;
    let inner = text.get(1..)?.strip_suffix(quote)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\n' => return None,
            '\\' => escape(&mut chars, &mut bytes)?,
            char if char == quote => return None,
            char => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    let one =
        quote == '"' || std::str::from_utf8(&bytes).is_ok_and(|text| text.chars().count() == 1);
    String::from_utf8(bytes).ok().filter(|_| one)
}

/// Reads what follows a backslash.
fn escape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let first = chars.next()?;
    let (digits, radix) = match first {
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        '0'..='7' => (2, 8),
        _ => (0, 0),
    };
    if digits > 0 {
        let mut text: String = chars.by_ref().take(digits).collect();
        if text.len() != digits {
            return None;
        }
        if radix == 8 {
            text.insert(0, first);
        }
        let code = u32::from_str_radix(&text, radix).ok()?;
        match first {
            'u' | 'U' => {
                let char = char::from_u32(code)?;
                bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => bytes.push(u8::try_from(code).ok()?),
        }
        return Some(());
    }
    bytes.push(match first {
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'v' => 11,
        '\\' | '"' | '\'' => u8::try_from(first).ok()?,
        _ => return None,
    });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_read_as_go_writes_them() {
        for (text, expected) in [
            (r#""a \"b\" \n\x41\u00fc\101""#, Some("a \"b\" \nA\u{fc}A")),
            ("`raw \\n`", Some("raw \\n")),
            ("'x'", Some("x")),
            ("'xy'", None),
            ("plain", None),
            ("\"open", None),
            ("\"a\"b\"", None),
            (r#""\q""#, None),
            (r#""\x4""#, None),
            (r#""\xff""#, None),
            ("", None),
            ("\"", None),
        ] {
            assert_eq!(unquoted(text).as_deref(), expected, "{text}");
        }
    }
}
