//! Lists.

use std::borrow::Cow;
use std::cmp::Ordering;

use tidegate_pdata::view::{AnyValue, Repeated};

use super::Kind::{Any, ConstStr, ConstStrs, List};
use super::{Args, Function, Misuse, o, p};
use crate::compare::compare;
use crate::fault::Fault;
use crate::lexer::Comparison;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::tree::{self, Tree};
use crate::value::{Map, Value};

pub(super) const ALL: &[Function] = &[
    Function::converter("Len", &[p("target", Any)], len),
    Function::converter("Index", &[p("target", Any), p("value", Any)], index),
    Function::converter(
        "ContainsValue",
        &[p("target", List), p("item", Any)],
        |args, subject| {
            let list = args.list(0, subject)?;
            Ok(Value::Bool(
                position(&list, &args.value(1, subject)?).is_some(),
            ))
        },
    ),
    Function::converter("Sort", &[p("target", Any), o("order", ConstStr)], sort)
        .prepared(check_order),
    Function::converter(
        "SliceToMap",
        &[
            p("target", List),
            o("key_path", ConstStrs),
            o("value_path", ConstStrs),
        ],
        slice_to_map,
    ),
];

fn len<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let length = match args.value(0, subject)? {
        Value::Str(bytes) | Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => Repeated::<'_, AnyValue<'_>>::new(&list, 1).count(),
        Value::Map(map) => map.len(),
        Value::Messages(messages) => messages.count(),
        other => return Err(Fault::with(format!("a {} has no length", other.kind()))),
    };
    Ok(Value::Int(length as i64))
}

fn position(list: &[u8], value: &Value<'_>) -> Option<usize> {
    Repeated::<'_, AnyValue<'_>>::new(list, 1)
        .position(|element| compare(&Value::of(element), Comparison::Eq, value))
}

fn index<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let value = args.value(1, subject)?;
    let found = match args.value(0, subject)? {
        Value::Str(text) => {
            let Value::Str(part) = value else {
                return Err(Fault::new("in a text only a text can be looked for"));
            };
            if part.is_empty() {
                Some(0)
            } else {
                text.windows(part.len()).position(|window| window == &*part)
            }
        }
        Value::List(list) => position(&list, &value),
        other => return Err(Fault::expected("list", other.kind())),
    };
    Ok(Value::Int(found.map_or(-1, |at| at as i64)))
}

fn check_order(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_str(1) {
        None | Some("asc" | "desc") => Ok(()),
        Some(_) => Err((1, "the orders are \"asc\" and \"desc\"".to_owned())),
    }
}

fn sort<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let list = args.list(0, subject)?;
    let mut values: Vec<Tree> = Repeated::<'_, AnyValue<'_>>::new(&list, 1)
        .map(Tree::of)
        .collect();
    let is = |test: fn(&Tree) -> bool| values.iter().all(test);
    let order: fn(&Tree, &Tree) -> Ordering =
        if is(|value| matches!(value, Tree::Int(_) | Tree::Double(_))) {
            |a, b| number(a).total_cmp(&number(b))
        } else if is(|value| !matches!(value, Tree::Map(_) | Tree::List(_) | Tree::Bytes(_))) {
            |a, b| text(a).cmp(&text(b))
        } else {
            return Ok(Value::List(list));
        };
    if is(|value| matches!(value, Tree::Int(_))) {
        values.sort_by_key(|value| match value {
            Tree::Int(value) => *value,
            _ => 0,
        });
    } else {
        values.sort_by(order);
    }
    if args.constant_str(1) == Some("desc") {
        values.reverse();
    }
    Ok(Value::List(Cow::Owned(tree::list(&values))))
}

fn number(value: &Tree) -> f64 {
    match value {
        Tree::Int(value) => *value as f64,
        Tree::Double(value) => *value,
        _ => 0.0,
    }
}

fn text(value: &Tree) -> Cow<'_, [u8]> {
    match value {
        Tree::Str(text) => Cow::Borrowed(text),
        other => {
            let mut message = Vec::new();
            other.put(&mut message);
            let mut out = String::new();
            let _ = AnyValue::of_bytes(&message).write_text(&mut out);
            Cow::Owned(out.into_bytes())
        }
    }
}

fn slice_to_map<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let list = args.list(0, subject)?;
    let mut entries = Vec::new();
    for (index, element) in Repeated::<'_, AnyValue<'_>>::new(&list, 1).enumerate() {
        let needs_map = args.has(1) || args.has(2);
        if needs_map && !matches!(element, AnyValue::KeyValues(_)) {
            return Err(Fault::with(format!("element {index} is no map")));
        }
        let key = if args.has(1) {
            match inside(element, args.constants(1))? {
                AnyValue::String(text) => text.as_bytes().to_vec(),
                _ => {
                    return Err(Fault::with(format!(
                        "the key of element {index} is no text"
                    )));
                }
            }
        } else {
            index.to_string().into_bytes()
        };
        let value = if args.has(2) {
            inside(element, args.constants(2))?
        } else {
            element
        };
        tree::put(&mut entries, &key, Tree::of(value));
    }
    Ok(Value::Map(Map::Encoded(Cow::Owned(tree::map(&entries)))))
}

fn inside<'a, 'p>(
    value: AnyValue<'a>,
    mut path: impl Iterator<Item = &'p [u8]>,
) -> Result<AnyValue<'a>, Fault> {
    path.try_fold(value, |value, key| match value {
        AnyValue::KeyValues(entries) => entries.get(key),
        _ => None,
    })
    .ok_or_else(|| Fault::new("an element does not have the path"))
}
