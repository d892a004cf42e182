//! Maps.

use std::borrow::Cow;

use super::Kind::{ConstBool, ConstStr, Map as MapKind};
use super::parsing::{check_delimiters, delimiters};
use super::{Args, Function, o, p};
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::tree::{self, Tree};
use crate::value::Value;

pub(super) const ALL: &[Function] = &[
    Function::converter("Keys", &[p("target", MapKind)], |args, subject| {
        let mut keys = Vec::new();
        args.map(0, subject)?.each(|key, _| {
            keys.push(Tree::Str(key.as_bytes().to_vec()));
            true
        });
        Ok(Value::List(Cow::Owned(tree::list(&keys))))
    }),
    Function::converter("Values", &[p("target", MapKind)], |args, subject| {
        let mut values = Vec::new();
        args.map(0, subject)?.each(|_, value| {
            values.push(Tree::of(value));
            true
        });
        Ok(Value::List(Cow::Owned(tree::list(&values))))
    }),
    Function::converter(
        "ToKeyValueString",
        &[
            p("target", MapKind),
            o("delimiter", ConstStr),
            o("pair_delimiter", ConstStr),
            o("sort_output", ConstBool),
        ],
        to_key_value,
    )
    .prepared(check_delimiters),
];

fn to_key_value<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let (delimiter, pairs) = delimiters(args);
    let delimiter = String::from_utf8_lossy(delimiter);
    let pairs = String::from_utf8_lossy(pairs);
    let mut all: Vec<(String, String)> = Vec::new();
    args.map(0, subject)?.each(|key, value| {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = value.write_text(&mut text);
        all.push((key.to_str().into_owned(), text));
        true
    });
    if args.constant_bool(3) == Some(true) {
        all.sort();
    }
    let quoted = |text: String| {
        let text = text.replace('"', "\\\"");
        if text.contains(&*pairs) || text.contains(&*delimiter) {
            format!("\"{text}\"")
        } else {
            text
        }
    };
    let all: Vec<String> = all
        .into_iter()
        .map(|(key, value)| format!("{}{delimiter}{}", quoted(key), quoted(value)))
        .collect();
    Ok(Value::text(all.join(&pairs)))
}
