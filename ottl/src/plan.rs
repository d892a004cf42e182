//! What statements are compiled to, and its evaluation.

use std::borrow::Cow;

use tidegate_pdata::view::{AnyValue, Repeated};
use tidegate_pdata::wire::put_bytes;

use crate::compare::compare;
use crate::fault::Fault;
use crate::functions::{Args, Converter};
use crate::lexer::{Comparison, Operation};
use crate::paths::Path;
use crate::subject::Subject;
use crate::value::{Map, Value, put_entry_message};

pub(crate) type Outcome<'v> = Result<Value<'v>, Fault>;

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr {
    Literal(Value<'static>),
    Path(Path),
    Call(Box<Call>),
    Index(Box<Expr>, Box<[Key]>),
    List(Box<[Expr]>),
    Map(Box<[(Box<[u8]>, Expr)]>),
    Negative(Box<Expr>),
    Math(Box<Expr>, Operation, Box<Expr>),
}

/// A converter with its arguments.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) run: Converter,
    pub(crate) args: Args,
}

/// One step into a list or map.
#[derive(Debug)]
pub(crate) enum Key {
    Str(Box<[u8]>),
    Int(i64),
    Expr(Expr),
}

/// A condition.
#[derive(Debug)]
pub(crate) enum Test {
    Const(bool),
    Call(Expr),
    Compare(Expr, Comparison, Expr),
    Not(Box<Test>),
    And(Box<[Test]>),
    Or(Box<[Test]>),
}

impl Test {
    pub(crate) fn eval(&self, subject: &Subject<'_>) -> Result<bool, Fault> {
        match self {
            Self::Const(value) => Ok(*value),
            Self::Call(expr) => match expr.eval(subject)? {
                Value::Bool(value) => Ok(value),
                other => Err(Fault::expected("bool", other.kind())),
            },
            Self::Compare(left, operator, right) => {
                let left = left.eval(subject)?;
                Ok(compare(&left, *operator, &right.eval(subject)?))
            }
            Self::Not(inner) => inner.eval(subject).map(|value| !value),
            Self::And(all) => {
                for test in all {
                    if !test.eval(subject)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(all) => {
                for test in all {
                    if test.eval(subject)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

impl Expr {
    /// The value, where it is known beforehand.
    pub(crate) const fn literal(&self) -> Option<&Value<'static>> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn eval<'v>(&'v self, subject: &'v Subject<'_>) -> Outcome<'v> {
        match self {
            Self::Literal(value) => Ok(value.borrow()),
            Self::Path(path) => path.get(subject),
            Self::Call(call) => (call.run)(&call.args, subject),
            Self::Index(inner, keys) => index_result(inner.eval(subject)?, keys, subject),
            Self::List(values) => list(values, subject),
            Self::Map(entries) => map(entries, subject),
            Self::Negative(inner) => match inner.eval(subject)? {
                Value::Int(value) => Ok(Value::Int(value.wrapping_neg())),
                Value::Double(value) => Ok(Value::Double(-value)),
                other => Err(Fault::with(format!("{} has no negative", other.kind()))),
            },
            Self::Math(left, operation, right) => {
                let left = left.eval(subject)?;
                calculate(left, *operation, right.eval(subject)?)
            }
        }
    }
}

fn list<'v>(values: &'v [Expr], subject: &'v Subject<'_>) -> Outcome<'v> {
    let mut out = Vec::new();
    let mut message = Vec::new();
    for expr in values {
        let value = expr.eval(subject)?;
        message.clear();
        if !value.put(&mut message) {
            return Err(Fault::with(format!(
                "a list cannot hold a {}",
                value.kind()
            )));
        }
        put_bytes(&mut out, 1, &message);
    }
    Ok(Value::List(Cow::Owned(out)))
}

fn map<'v>(entries: &'v [(Box<[u8]>, Expr)], subject: &'v Subject<'_>) -> Outcome<'v> {
    let mut out = Vec::new();
    let mut message = Vec::new();
    for (key, expr) in entries {
        let value = expr.eval(subject)?;
        message.clear();
        if !value.put(&mut message) {
            return Err(Fault::with(format!("a map cannot hold a {}", value.kind())));
        }
        put_entry_message(&mut out, key, &message);
    }
    Ok(Value::Map(Map::Encoded(Cow::Owned(out))))
}

/// Steps into what a converter gave: a key that is missing is a fault there.
fn index_result<'v>(value: Value<'v>, keys: &'v [Key], subject: &'v Subject<'_>) -> Outcome<'v> {
    let mut value = value;
    for key in keys {
        value = match (&value, key.resolve(subject)?) {
            (Value::Map(map), Resolved::Str(key)) => match map.get(&key) {
                Some(found) => found,
                None => return Err(Fault::new("key not found in map")),
            },
            (Value::Bytes(bytes), Resolved::Int(index)) => usize::try_from(index)
                .ok()
                .and_then(|index| bytes.get(index))
                .map(|byte| Value::Int(i64::from(*byte)))
                .ok_or_else(|| out_of_bounds(index))?,
            _ => step(value, key, subject)?,
        };
    }
    Ok(value)
}

/// Steps into a value by all keys; nothing where a map does not have one of them.
pub(crate) fn index<'v>(
    value: Value<'v>,
    keys: &'v [Key],
    subject: &'v Subject<'_>,
) -> Outcome<'v> {
    let mut value = value;
    for key in keys {
        if let (Value::Map(map), Resolved::Str(key)) = (&value, key.resolve(subject)?) {
            match map.get(&key) {
                Some(found) => value = found,
                None => return Ok(Value::Nil),
            }
            continue;
        }
        value = step(value, key, subject)?;
    }
    Ok(value)
}

fn step<'v>(value: Value<'v>, key: &'v Key, subject: &'v Subject<'_>) -> Outcome<'v> {
    match (value, key.resolve(subject)?) {
        (Value::List(list), Resolved::Int(position)) => {
            let found = |bytes: &[u8]| {
                usize::try_from(position).ok().is_some_and(|at| {
                    Repeated::<'_, AnyValue<'_>>::new(bytes, 1)
                        .nth(at)
                        .is_some()
                })
            };
            if !found(&list) {
                return Err(out_of_bounds(position));
            }
            let at = position as usize;
            Ok(match list {
                Cow::Borrowed(bytes) => {
                    Value::of(Repeated::new(bytes, 1).nth(at).unwrap_or_default())
                }
                Cow::Owned(bytes) => {
                    Value::of(Repeated::new(&bytes, 1).nth(at).unwrap_or_default()).into_owned()
                }
            })
        }
        (Value::List(_), Resolved::Str(_)) => {
            Err(Fault::new("a list is indexed by a whole number"))
        }
        (Value::Map(_), Resolved::Int(_)) => Err(Fault::new("a map is indexed by a text")),
        (other, _) => Err(Fault::with(format!(
            "{} does not support indexing",
            other.kind()
        ))),
    }
}

pub(crate) fn out_of_bounds(index: i64) -> Fault {
    Fault::with(format!("index {index} out of bounds"))
}

/// What a key is for the record at hand.
pub(crate) enum Resolved<'v> {
    Str(Cow<'v, [u8]>),
    Int(i64),
}

impl Key {
    pub(crate) fn resolve<'v>(&'v self, subject: &'v Subject<'_>) -> Result<Resolved<'v>, Fault> {
        match self {
            Self::Str(text) => Ok(Resolved::Str(Cow::Borrowed(text))),
            Self::Int(number) => Ok(Resolved::Int(*number)),
            Self::Expr(expr) => match expr.eval(subject)? {
                Value::Str(text) => Ok(Resolved::Str(text)),
                Value::Int(number) => Ok(Resolved::Int(number)),
                other => Err(Fault::with(format!(
                    "an index must be a string or an int, not a {}",
                    other.kind()
                ))),
            },
        }
    }
}

/// Calculates with numbers, times and durations.
pub(crate) fn calculate<'v>(
    left: Value<'_>,
    operation: Operation,
    right: Value<'_>,
) -> Outcome<'v> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => ints(a, operation, b).map(Value::Int),
        (Value::Int(a), Value::Double(b)) => doubles(a as f64, operation, b).map(Value::Double),
        (Value::Double(a), Value::Int(b)) => doubles(a, operation, b as f64).map(Value::Double),
        (Value::Double(a), Value::Double(b)) => doubles(a, operation, b).map(Value::Double),
        (Value::Time(a), Value::Time(b)) if operation == Operation::Sub => {
            let nanos = a.timestamp().as_nanosecond() - b.timestamp().as_nanosecond();
            Ok(Value::Duration(
                nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            ))
        }
        (Value::Time(time), Value::Duration(nanos))
        | (Value::Duration(nanos), Value::Time(time))
            if operation == Operation::Add =>
        {
            moved(time, nanos)
        }
        (Value::Time(time), Value::Duration(nanos)) if operation == Operation::Sub => {
            moved(time, nanos.saturating_neg())
        }
        (Value::Duration(a), Value::Duration(b)) => match operation {
            Operation::Add => Ok(Value::Duration(a.wrapping_add(b))),
            Operation::Sub => Ok(Value::Duration(a.wrapping_sub(b))),
            _ => Err(Fault::new("durations can only be added and subtracted")),
        },
        (left, right) => Err(Fault::with(format!(
            "{} and {} cannot be calculated with so",
            left.kind(),
            right.kind()
        ))),
    }
}

fn ints(left: i64, operation: Operation, right: i64) -> Result<i64, Fault> {
    Ok(match operation {
        Operation::Add => left.wrapping_add(right),
        Operation::Sub => left.wrapping_sub(right),
        Operation::Mul => left.wrapping_mul(right),
        Operation::Div if right == 0 => return Err(Fault::new("attempted to divide by 0")),
        Operation::Div => left.wrapping_div(right),
    })
}

fn doubles(left: f64, operation: Operation, right: f64) -> Result<f64, Fault> {
    Ok(match operation {
        Operation::Add => left + right,
        Operation::Sub => left - right,
        Operation::Mul => left * right,
        Operation::Div if right == 0.0 => return Err(Fault::new("attempted to divide by 0")),
        Operation::Div => left / right,
    })
}

fn moved<'v>(time: jiff::Zoned, nanos: i64) -> Outcome<'v> {
    time.checked_add(jiff::SignedDuration::from_nanos(nanos))
        .map(Value::Time)
        .map_err(|_| Fault::new("the time is out of range"))
}
