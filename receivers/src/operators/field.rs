//! Fields: the names by which configurations refer to parts of an entry.
//!
//! `body`, `attributes` and `resource` are the roots; `.key` and `["key"]` go down into maps. A name
//! that begins with none of them belongs to the body.

use std::fmt;

use super::entry::Entry;
use super::value::{Map, Value};

/// What a field is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    Body,
    Attributes,
    Resource,
}

/// A reference to a value in an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) root: Root,
    pub(crate) keys: Vec<String>,
}

impl Field {
    /// The whole of a part.
    pub(crate) const fn root(root: Root) -> Self {
        Self {
            root,
            keys: Vec::new(),
        }
    }

    /// A key of the attributes.
    pub(crate) fn attribute(key: &str) -> Self {
        Self {
            root: Root::Attributes,
            keys: vec![key.to_owned()],
        }
    }

    /// Reads a field; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut keys = split(text)?;
        let root = match keys.first().map(String::as_str) {
            Some("body" | "$body") => Some(Root::Body),
            Some("attributes" | "$attributes") => Some(Root::Attributes),
            Some("resource" | "$resource") => Some(Root::Resource),
            _ => None,
        };
        if root.is_some() {
            keys.remove(0);
        }
        Ok(Self {
            root: root.unwrap_or(Root::Body),
            keys,
        })
    }

    /// Whether it is the whole of a part.
    pub(crate) const fn is_root(&self) -> bool {
        self.keys.is_empty()
    }

    /// The value; none where there is none, and for the whole of the attributes or the resource.
    pub(crate) fn get<'e>(&self, entry: &'e Entry) -> Option<&'e Value> {
        let (mut value, keys) = match (self.root, self.keys.split_first()) {
            (Root::Body, _) => (&entry.body, &self.keys[..]),
            (_, None) => return None,
            (Root::Attributes, Some((first, rest))) => (entry.attributes.get(first)?, rest),
            (Root::Resource, Some((first, rest))) => (entry.resource.get(first)?, rest),
        };
        for key in keys {
            value = value.as_map()?.get(key)?;
        }
        Some(value)
    }

    /// A copy of the value, also of the whole of the attributes or the resource.
    pub(crate) fn read(&self, entry: &Entry) -> Option<Value> {
        match (self.root, self.is_root()) {
            (Root::Attributes, true) => Some(Value::Map(entry.attributes.clone())),
            (Root::Resource, true) => Some(Value::Map(entry.resource.clone())),
            (Root::Body, true) if entry.body == Value::Null => None,
            _ => self.get(entry).cloned(),
        }
    }

    /// Takes the value out of the entry.
    pub(crate) fn take(&self, entry: &mut Entry) -> Option<Value> {
        let Some((last, above)) = self.keys.split_last() else {
            return match self.root {
                Root::Body if entry.body == Value::Null => None,
                Root::Body => Some(std::mem::take(&mut entry.body)),
                Root::Attributes => Some(Value::Map(std::mem::take(&mut entry.attributes))),
                Root::Resource => Some(Value::Map(std::mem::take(&mut entry.resource))),
            };
        };
        let mut map = match self.root {
            Root::Attributes => &mut entry.attributes,
            Root::Resource => &mut entry.resource,
            Root::Body => match &mut entry.body {
                Value::Map(map) => map,
                _ => return None,
            },
        };
        for key in above {
            map = match map.get_mut(key)? {
                Value::Map(inner) => inner,
                _ => return None,
            };
        }
        map.remove(last)
    }

    /// Sets the value. A map is added to what is there; whatever is in the way of a key becomes a map.
    pub(crate) fn set(&self, entry: &mut Entry, value: Value) -> Result<(), String> {
        if let Value::Map(new) = value {
            self.map(entry).merge(new);
            return Ok(());
        }
        let Some((last, above)) = self.keys.split_last() else {
            return match self.root {
                Root::Body => {
                    entry.body = value;
                    Ok(())
                }
                _ => Err(format!("{self} takes a map, not {}", value.kind())),
            };
        };
        down(self.part(entry), above).insert(last.as_str(), value);
        Ok(())
    }

    /// The map at this field, made where there is none.
    pub(crate) fn map<'e>(&self, entry: &'e mut Entry) -> &'e mut Map {
        down(self.part(entry), &self.keys)
    }

    fn part<'e>(&self, entry: &'e mut Entry) -> &'e mut Map {
        match self.root {
            Root::Body => entry.body.make_map(),
            Root::Attributes => &mut entry.attributes,
            Root::Resource => &mut entry.resource,
        }
    }
}

fn down<'m>(mut map: &'m mut Map, keys: &[String]) -> &'m mut Map {
    for key in keys {
        if map.get(key).is_none() {
            map.insert(key.as_str(), Value::Null);
        }
        map = match map.get_mut(key) {
            Some(value) => value.make_map(),
            None => unreachable!("the key has just been put in"),
        };
    }
    map
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.root {
            Root::Body => "body",
            Root::Attributes => "attributes",
            Root::Resource => "resource",
        })?;
        for key in &self.keys {
            if key.contains('.') {
                write!(f, "[{key:?}]")?;
            } else {
                write!(f, ".{key}")?;
            }
        }
        Ok(())
    }
}

/// Splits a field at its dots and brackets.
fn split(text: &str) -> Result<Vec<String>, String> {
    let fault = |why: &str| {
        Err(format!(
            "{text:?} is no field: {why}; write for example `attributes.user` or `body[\"a.b\"]`"
        ))
    };
    if text.is_empty() {
        return fault("it is empty");
    }
    let mut keys = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let Some(quote) = inner.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
                return fault("a key in brackets stands in quotes");
            };
            let inner = &inner[1..];
            let close = format!("{quote}]");
            let Some(end) = inner.find(&close) else {
                return fault("a bracket is not closed");
            };
            keys.push(inner[..end].to_owned());
            rest = &inner[end + 2..];
            if !rest.is_empty() && !rest.starts_with(['.', '[']) {
                return fault("`.` or `[` must follow a bracket");
            }
            continue;
        }
        let name = if keys.is_empty() {
            rest
        } else {
            rest.strip_prefix('.').unwrap_or(rest)
        };
        let end = name.find(['.', '[']).unwrap_or(name.len());
        if end == 0 {
            return fault("a key is empty");
        }
        keys.push(name[..end].to_owned());
        rest = &name[end..];
        if rest == "." {
            return fault("it ends in a dot");
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> Field {
        Field::parse(text).unwrap()
    }

    #[test]
    fn reads_roots_dots_and_brackets() {
        let parts = |text: &str| {
            let field = field(text);
            (field.root, field.keys.join("|"))
        };
        assert_eq!(parts("body"), (Root::Body, String::new()));
        assert_eq!(parts("attributes.a.b"), (Root::Attributes, "a|b".into()));
        assert_eq!(parts("message"), (Root::Body, "message".into()));
        assert_eq!(
            parts(r#"resource["k8s.pod.name"].x['y.z']"#),
            (Root::Resource, "k8s.pod.name|x|y.z".into())
        );
        assert_eq!(field(r#"body["a.b"].c"#).to_string(), r#"body["a.b"].c"#);
        for faulty in [
            "",
            "a..b",
            "body.",
            "body[",
            "body[a]",
            "body['a'",
            "body['a']b",
        ] {
            assert!(Field::parse(faulty).is_err(), "{faulty}");
        }
    }

    #[test]
    fn sets_gets_and_takes_at_any_depth() {
        let mut entry = Entry::with_body("text");
        field("attributes.a.b")
            .set(&mut entry, Value::Int(1))
            .unwrap();
        assert_eq!(field("attributes.a.b").get(&entry), Some(&Value::Int(1)));
        field("attributes.a.b.c")
            .set(&mut entry, Value::Int(2))
            .unwrap();
        assert_eq!(field("attributes.a.b.c").get(&entry), Some(&Value::Int(2)));
        assert_eq!(
            field("attributes.a.b.c").take(&mut entry),
            Some(Value::Int(2))
        );
        assert_eq!(field("attributes.a.b.c").take(&mut entry), None);
        assert_eq!(field("body.x").take(&mut entry), None);
        assert_eq!(field("body").take(&mut entry), Some("text".into()));
        assert!(field("resource").set(&mut entry, Value::Int(1)).is_err());
    }

    #[test]
    fn a_map_is_added_to_what_is_there() {
        let mut entry = Entry::with_body("text");
        let map = |key: &str| Value::Map(Map::from([(key, Value::Bool(true))]));
        field("body").set(&mut entry, map("a")).unwrap();
        field("body").set(&mut entry, map("b")).unwrap();
        assert_eq!(entry.body.as_map().map(Map::len), Some(2));
        field("attributes").set(&mut entry, map("c")).unwrap();
        assert!(entry.attributes.get("c").is_some());
        assert_eq!(field("attributes").read(&entry), Some(map("c")));
    }
}
