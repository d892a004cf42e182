//! What an expression comes to for one entry.

use std::borrow::Cow;

use super::Function;
use super::parse::{Node, Op, Part};
use crate::operators::entry::Entry;
use crate::operators::value::{Map, Value};

/// A value on the way: borrowed from the entry or the expression where it can be.
#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Map(&'a Map),
    Items(&'a [Value]),
    Bytes(&'a [u8]),
    List(Vec<Val<'a>>),
}

type Result<T> = std::result::Result<T, String>;

impl<'a> Val<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Double(value) => Self::Float(*value),
            Value::Str(text) => Self::Text(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Self::Bytes(bytes),
            Value::List(items) => Self::Items(items),
            Value::Map(map) => Self::Map(map),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Map(_) => "a map",
            Self::Items(_) | Self::List(_) => "a list",
            Self::Bytes(_) => "bytes",
        }
    }

    /// The value as one of an entry.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Nil => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Double(value),
            Self::Text(text) => text.into_owned().into(),
            Self::Map(map) => Value::Map(map.clone()),
            Self::Items(items) => Value::List(items.to_vec()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::List(items) => Value::List(items.into_iter().map(Self::into_value).collect()),
        }
    }

    pub(super) fn truth(&self) -> Result<bool> {
        match self {
            Self::Bool(value) => Ok(*value),
            other => Err(format!("{} is neither true nor false", other.kind())),
        }
    }

    const fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    fn items(&self) -> Option<Vec<Val<'a>>> {
        match self {
            Self::Items(items) => Some(items.iter().map(Val::of).collect()),
            Self::List(items) => Some(items.clone()),
            _ => None,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => match (self.number(), other.number(), self.items(), other.items()) {
                (Some(a), Some(b), ..) => a == b,
                (_, _, Some(a), Some(b)) => {
                    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.equals(b))
                }
                _ => false,
            },
        }
    }
}

/// Evaluates a part of an expression.
pub(super) fn eval<'a>(node: &'a Node, entry: &'a Entry) -> Result<Val<'a>> {
    Ok(match node {
        Node::Nil => Val::Nil,
        Node::Bool(value) => Val::Bool(*value),
        Node::Int(value) => Val::Int(*value),
        Node::Float(value) => Val::Float(*value),
        Node::Text(text) => Val::Text(Cow::Borrowed(text)),
        Node::List(nodes) => Val::List(
            nodes
                .iter()
                .map(|node| eval(node, entry))
                .collect::<Result<_>>()?,
        ),
        Node::Part(part) => match part {
            Part::Body => Val::of(&entry.body),
            Part::Attributes => Val::Map(&entry.attributes),
            Part::Resource => Val::Map(&entry.resource),
            Part::SeverityText => Val::Text(Cow::Borrowed(&entry.severity_text)),
            Part::SeverityNumber => Val::Int(entry.severity.into()),
        },
        Node::Member(of, key, optional) => member(eval(of, entry)?, &eval(key, entry)?, *optional)?,
        Node::Not(node) => Val::Bool(!eval(node, entry)?.truth()?),
        Node::Minus(node) => match eval(node, entry)? {
            Val::Int(value) => Val::Int(value.wrapping_neg()),
            Val::Float(value) => Val::Float(-value),
            other => return Err(format!("{} has no sign", other.kind())),
        },
        Node::Binary(op, left, right) => binary(*op, left, right, entry)?,
        Node::Matches(node, pattern) => match eval(node, entry)? {
            Val::Nil => Val::Bool(false),
            Val::Text(text) => Val::Bool(pattern.is_match(text.as_bytes())),
            Val::Bytes(bytes) => Val::Bool(pattern.is_match(bytes)),
            other => return Err(format!("{} cannot match a pattern", other.kind())),
        },
        Node::Choice(which, yes, no) => {
            let chosen = if eval(which, entry)?.truth()? {
                yes
            } else {
                no
            };
            eval(chosen, entry)?
        }
        Node::Call(function, arguments) => call(*function, arguments, entry)?,
    })
}

fn member<'a>(of: Val<'a>, key: &Val<'a>, optional: bool) -> Result<Val<'a>> {
    match (of, key) {
        (Val::Map(map), Val::Text(key)) => Ok(map.get(key).map_or(Val::Nil, Val::of)),
        (Val::Items(items), Val::Int(at)) => index(items.len(), *at).map(|at| Val::of(&items[at])),
        (Val::List(mut items), Val::Int(at)) => {
            index(items.len(), *at).map(|at| items.swap_remove(at))
        }
        (Val::Nil, _) if optional => Ok(Val::Nil),
        (of, Val::Text(key)) => Err(format!("{} has no key `{key}`", of.kind())),
        (of, key) => Err(format!("{} is no key of {}", key.kind(), of.kind())),
    }
}

/// Where an index leads that may count from the end.
fn index(length: usize, at: i64) -> Result<usize> {
    let from_end = || length.checked_sub(usize::try_from(at.unsigned_abs()).ok()?);
    let at_front = usize::try_from(at).ok().or_else(from_end);
    let found = at_front.filter(|at| *at < length);
    found.ok_or_else(|| format!("there is no item {at} in a list of {length}"))
}

fn binary<'a>(op: Op, left: &'a Node, right: &'a Node, entry: &'a Entry) -> Result<Val<'a>> {
    let left = eval(left, entry)?;
    // These may do without their right side.
    match op {
        Op::Or => return Ok(Val::Bool(left.truth()? || eval(right, entry)?.truth()?)),
        Op::And => return Ok(Val::Bool(left.truth()? && eval(right, entry)?.truth()?)),
        Op::Else if !matches!(left, Val::Nil) => return Ok(left),
        Op::Else => return eval(right, entry),
        _ => {}
    }
    let right = eval(right, entry)?;
    match op {
        Op::Equal => Ok(Val::Bool(left.equals(&right))),
        Op::Unequal => Ok(Val::Bool(!left.equals(&right))),
        Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => compare(op, &left, &right),
        Op::In => contained(&left, &right),
        Op::Contains | Op::StartsWith | Op::EndsWith => texts(op, &left, &right),
        _ => arithmetic(op, &left, &right),
    }
}

fn compare<'a>(op: Op, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
    let order = match (left, right) {
        (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
        (Val::Text(a), Val::Text(b)) => Some(a.cmp(b)),
        _ => match (left.number(), right.number()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => {
                let kinds = (left.kind(), right.kind());
                return Err(format!("{} and {} have no order", kinds.0, kinds.1));
            }
        },
    };
    Ok(Val::Bool(order.is_some_and(|order| match op {
        Op::Less => order.is_lt(),
        Op::LessEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        _ => order.is_ge(),
    })))
}

fn contained<'a>(left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
    let found = match (left, right) {
        (_, Val::Nil) => false,
        (Val::Text(key), Val::Map(map)) => map.get(key).is_some(),
        (_, Val::Map(_)) => false,
        _ => match right.items() {
            Some(items) => items.iter().any(|item| item.equals(left)),
            None => return Err(format!("nothing is in {}", right.kind())),
        },
    };
    Ok(Val::Bool(found))
}

fn texts<'a>(op: Op, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
    let (left, right) = match (left, right) {
        (Val::Nil, _) | (_, Val::Nil) => return Ok(Val::Bool(false)),
        (Val::Text(left), Val::Text(right)) => (left, right),
        (Val::Text(_), other) | (other, _) => {
            return Err(format!("{} is no text to look at", other.kind()));
        }
    };
    Ok(Val::Bool(match op {
        Op::Contains => left.contains(&**right),
        Op::StartsWith => left.starts_with(&**right),
        _ => left.ends_with(&**right),
    }))
}

fn arithmetic<'a>(op: Op, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>> {
    match (op, left, right) {
        (Op::Add, Val::Text(a), Val::Text(b)) => return Ok(Val::Text(format!("{a}{b}").into())),
        (Op::Add, Val::Int(a), Val::Int(b)) => return Ok(Val::Int(a.wrapping_add(*b))),
        (Op::Subtract, Val::Int(a), Val::Int(b)) => return Ok(Val::Int(a.wrapping_sub(*b))),
        (Op::Multiply, Val::Int(a), Val::Int(b)) => return Ok(Val::Int(a.wrapping_mul(*b))),
        (Op::Remainder, Val::Int(_), Val::Int(0)) => return Err("division by zero".to_owned()),
        (Op::Remainder, Val::Int(a), Val::Int(b)) => return Ok(Val::Int(a.wrapping_rem(*b))),
        _ => {}
    }
    let (Some(a), Some(b)) = (left.number(), right.number()) else {
        let kinds = (left.kind(), right.kind());
        return Err(format!(
            "{} and {} cannot be reckoned with",
            kinds.0, kinds.1
        ));
    };
    Ok(Val::Float(match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        Op::Power => a.powf(b),
        _ => return Err("the remainder of a division is for whole numbers".to_owned()),
    }))
}

fn call<'a>(function: Function, arguments: &'a [Node], entry: &'a Entry) -> Result<Val<'a>> {
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(eval(argument, entry)?);
    }
    let text = |at: usize| match values.get(at) {
        Some(Val::Text(text)) => Ok(&**text),
        Some(other) => Err(format!(
            "`{}` takes a text, not {}",
            function.name(),
            other.kind()
        )),
        None => Ok(""),
    };
    let made = |text: String| Val::Text(Cow::Owned(text));
    Ok(match function {
        Function::Env => made(std::env::var(text(0)?).unwrap_or_default()),
        Function::Len => Val::Int(length(&values[0])?),
        Function::Lower => made(text(0)?.to_lowercase()),
        Function::Upper => made(text(0)?.to_uppercase()),
        Function::Trim if values.len() == 1 => made(text(0)?.trim().to_owned()),
        Function::Trim => {
            let cut: Vec<char> = text(1)?.chars().collect();
            made(text(0)?.trim_matches(&cut[..]).to_owned())
        }
        Function::TrimPrefix => {
            let (whole, cut) = (text(0)?, text(1)?);
            made(whole.strip_prefix(cut).unwrap_or(whole).to_owned())
        }
        Function::TrimSuffix => {
            let (whole, cut) = (text(0)?, text(1)?);
            made(whole.strip_suffix(cut).unwrap_or(whole).to_owned())
        }
        Function::HasPrefix => Val::Bool(text(0)?.starts_with(text(1)?)),
        Function::HasSuffix => Val::Bool(text(0)?.ends_with(text(1)?)),
        Function::IndexOf => {
            let at = text(0)?.find(text(1)?);
            Val::Int(at.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
        }
        Function::Replace => made(text(0)?.replace(text(1)?, text(2)?)),
        Function::Split => {
            let parts = text(0)?.split(text(1)?);
            Val::List(parts.map(|part| made(part.to_owned())).collect())
        }
        Function::Join => {
            let items = values[0].items().unwrap_or_default();
            let texts: Vec<String> = items.iter().map(shown).collect();
            made(texts.join(text(1)?))
        }
        Function::Int => match &values[0] {
            Val::Float(value) => Val::Int(*value as i64),
            Val::Int(value) => Val::Int(*value),
            _ => Val::Int(parsed(text(0)?)?),
        },
        Function::Float => match values[0].number() {
            Some(value) => Val::Float(value),
            None => Val::Float(parsed(text(0)?)?),
        },
        Function::String => made(shown(&values[0])),
        Function::Type => Val::Text(Cow::Borrowed(match &values[0] {
            Val::Nil => "nil",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Float(_) => "float",
            Val::Text(_) => "string",
            Val::Map(_) => "map",
            Val::Items(_) | Val::List(_) | Val::Bytes(_) => "array",
        })),
    })
}

fn length(value: &Val<'_>) -> Result<i64> {
    let length = match value {
        Val::Text(text) => text.chars().count(),
        Val::Map(map) => map.len(),
        Val::Items(items) => items.len(),
        Val::List(items) => items.len(),
        Val::Bytes(bytes) => bytes.len(),
        other => return Err(format!("{} has no length", other.kind())),
    };
    Ok(i64::try_from(length).unwrap_or(i64::MAX))
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T> {
    let parsed = text.trim().parse();
    parsed.map_err(|_| format!("{text:?} is no number"))
}

fn shown(value: &Val<'_>) -> String {
    match value {
        Val::Nil => "<nil>".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => value.to_string(),
        Val::Float(value) => value.to_string(),
        Val::Text(text) => text.to_string(),
        other => other.kind().to_owned(),
    }
}
