//! The tree itself.

use indexmap::IndexMap;

use crate::Span;

/// A value and the place where it was written.
///
/// Two nodes are equal when their values are, wherever they were written: a reload keeps a component whose
/// configuration only moved within the file.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value as YAML reads it.
    pub value: Value,
    /// Where it was written. A value that an expansion made has the place of its `${…}`.
    pub span: Span,
    /// The text that a whole-value expansion gave, which a string field reads in place of the parsed value:
    /// `${env:X}` with `X=0123` is the integer 83 to a number and `0123` to a string.
    pub text: Option<Box<str>>,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any integer of 64 bits, signed or not.
    Int(i128),
    /// A number with a fraction, an exponent, or not finite.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order written.
    Map(Map),
}

/// A mapping in the order written.
pub type Map = IndexMap<String, Entry>;

/// The value under a key, and where the key was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The value.
    pub node: Node,
    /// Where the key was written.
    pub key: KeySpan,
}

/// The place of a key; equal to any other, as places do not count when values are compared.
#[derive(Clone, Copy, Debug)]
pub struct KeySpan(pub Span);

impl PartialEq for KeySpan {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.text == other.text
    }
}

impl Entry {
    /// Pairs a value with the place of its key.
    pub fn new(key: Span, node: Node) -> Self {
        Self {
            node,
            key: KeySpan(key),
        }
    }

    /// Gives the place of the key.
    pub fn key_span(&self) -> Span {
        self.key.0
    }
}

impl Value {
    /// Names the kind of value in a sentence, with its article: "an integer".
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Seq(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// Makes a node of a value and its place.
    pub fn new(value: Value, span: Span) -> Self {
        Self {
            value,
            span,
            text: None,
        }
    }

    /// Makes a null.
    pub fn null(span: Span) -> Self {
        Self::new(Value::Null, span)
    }

    /// Makes an empty mapping.
    pub fn empty_map(span: Span) -> Self {
        Self::new(Value::Map(Map::new()), span)
    }

    /// Says whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Gives the mapping, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Gives the list, if it is one.
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(list) => Some(list),
            _ => None,
        }
    }

    /// Gives what a string field reads here: the text of an expansion, or the string.
    pub fn as_str(&self) -> Option<&str> {
        match (&self.text, &self.value) {
            (Some(text), _) => Some(text),
            (None, Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Gives the value under a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.as_map()?.get(key)?.node)
    }

    /// Gives the value at a path such as `protocols::grpc::endpoint`; a list is entered by index.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split("::")
            .filter(|step| !step.is_empty())
            .try_fold(self, |node, step| match &node.value {
                Value::Map(map) => map.get(step).map(|entry| &entry.node),
                Value::Seq(list) => list.get(step.parse::<usize>().ok()?),
                _ => None,
            })
    }

    /// Gives the place of the deepest step of a path that exists, so that a message about a value nobody wrote
    /// still points near it.
    pub fn nearest_span(&self, path: &str) -> Span {
        let mut node = self;
        for step in path.split("::").filter(|step| !step.is_empty()) {
            match node.at(step) {
                Some(next) => node = next,
                None => break,
            }
        }
        node.span
    }
}

impl From<&Node> for serde_json::Value {
    /// Gives the parsed value as JSON; a number that is not finite becomes null, as JSON has none.
    fn from(node: &Node) -> Self {
        match &node.value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Int(i) => match (i64::try_from(*i), u64::try_from(*i)) {
                (Ok(i), _) => i.into(),
                (_, Ok(u)) => u.into(),
                _ => Self::Null,
            },
            Value::Float(f) => (*f).into(),
            Value::String(s) => Self::String(s.clone()),
            Value::Seq(list) => Self::Array(list.iter().map(Self::from).collect()),
            Value::Map(map) => Self::Object(
                map.iter()
                    .map(|(key, entry)| (key.clone(), Self::from(&entry.node)))
                    .collect(),
            ),
        }
    }
}
