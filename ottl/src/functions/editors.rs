//! Editors: setting fields, and what is done to maps and lists as a whole.

use std::borrow::Cow;

use tidegate_pdata::splice::{AttributeEditor, NewValue};
use tidegate_pdata::view::{AnyValue, Attributes, Repeated, Text};

use super::Kind::{
    Any, ConstBool, ConstInt, ConstStr, ConstStrs, Each, EachStr, Int, Map as MapKind, Str, Target,
};
use super::args::{prepare_regex, text_of};
use super::parsing::DEEPEST;
use super::{Args, Function, Misuse, o, p};
use crate::fault::Fault;
use crate::paths::{Field, Path, entries};
use crate::plan::out_of_bounds;
use crate::subject::Subject;
use crate::tree::{self, Entries, Tree};
use crate::value::{Map, Value, put_any, put_entry_message};

pub(super) const ALL: &[Function] = &[
    Function::editor("set", &[p("target", Target), p("value", Any)], set),
    Function::editor(
        "delete_key",
        &[p("target", Target), p("key", Str)],
        delete_key,
    ),
    Function::editor(
        "keep_keys",
        &[p("target", Target), p("keys", EachStr)],
        keep_keys,
    ),
    Function::editor(
        "delete_matching_keys",
        &[p("target", Target), p("pattern", Str)],
        |args, subject| matching(args, subject, false),
    )
    .prepared(|args| prepare_regex(args, 1)),
    Function::editor(
        "keep_matching_keys",
        &[p("target", Target), p("pattern", Str)],
        |args, subject| matching(args, subject, true),
    )
    .prepared(|args| prepare_regex(args, 1)),
    Function::editor(
        "truncate_all",
        &[
            p("target", Target),
            p("limit", ConstInt),
            o("utf8_safe", ConstBool),
        ],
        truncate_all,
    )
    .prepared(check_limit),
    Function::editor(
        "limit",
        &[
            p("target", Target),
            p("limit", ConstInt),
            p("priority_keys", ConstStrs),
        ],
        limit,
    )
    .prepared(check_priorities),
    Function::editor(
        "merge_maps",
        &[
            p("target", Target),
            p("source", MapKind),
            p("strategy", ConstStr),
        ],
        merge_maps,
    )
    .prepared(check_strategy),
    Function::editor(
        "flatten",
        &[
            p("target", Target),
            o("prefix", ConstStr),
            o("depth", ConstInt),
            o("resolve_conflicts", ConstBool),
        ],
        flatten,
    )
    .prepared(check_depth),
    Function::editor(
        "append",
        &[p("target", Target), o("value", Any), o("values", Each)],
        append,
    )
    .prepared(check_values),
    Function::editor(
        "delete_index",
        &[
            p("target", Target),
            p("start_index", Int),
            o("end_index", Int),
        ],
        delete_index,
    ),
];

fn set(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    // A text of the record is carried over in room that is kept; most statements set one.
    let mut room = std::mem::take(&mut subject.room.bytes);
    room.clear();
    let taken = take(args, subject, &mut room);
    let result = match taken {
        Ok(Taken::Nothing) => Ok(()),
        Ok(Taken::Text) => path.set(subject, &Value::Str(Cow::Borrowed(&room))),
        Ok(Taken::Other(value)) => path.set(subject, &value),
        Err(fault) => Err(fault),
    };
    subject.room.bytes = room;
    result
}

/// A value that borrows nothing of the record any more.
enum Taken {
    Nothing,
    /// It is in the room.
    Text,
    Other(Value<'static>),
}

fn take(args: &Args, subject: &Subject<'_>, room: &mut Vec<u8>) -> Result<Taken, Fault> {
    Ok(match args.value(1, subject)? {
        Value::Nil => Taken::Nothing,
        Value::Str(text) => {
            room.extend_from_slice(&text);
            Taken::Text
        }
        other => {
            let other = other.into_owned();
            if other.as_any().is_some_and(|any| is_deep(any, DEEPEST)) {
                return Err(Fault::with(format!(
                    "the value is nested deeper than {DEEPEST} levels"
                )));
            }
            Taken::Other(other)
        }
    })
}

fn is_deep(value: AnyValue<'_>, depth: usize) -> bool {
    match value {
        AnyValue::Array(_) | AnyValue::KeyValues(_) if depth == 0 => true,
        AnyValue::Array(mut values) => values.any(|value| is_deep(value, depth - 1)),
        AnyValue::KeyValues(mut entries) => entries.any(|(_, value)| is_deep(value, depth - 1)),
        _ => false,
    }
}

/// What becomes of an entry of a map.
pub(super) enum Fate {
    Keep,
    Drop,
    /// It gets this `AnyValue` message.
    Value(Vec<u8>),
}

/// A map in an editor's hands: the attributes of a message where they lie, or a copy of any other.
pub(super) enum MapEdit<'m> {
    Attributes(AttributeEditor<'m>),
    /// The content of a `KeyValueList`.
    Copy(Vec<u8>),
}

impl MapEdit<'_> {
    pub(super) fn rewrite(&mut self, mut decide: impl FnMut(Text<'_>, AnyValue<'_>) -> Fate) {
        match self {
            Self::Attributes(attributes) => {
                for position in attributes.positions() {
                    let fate = match attributes.at(position) {
                        Some((key, value)) => decide(key, value),
                        None => Fate::Keep,
                    };
                    match fate {
                        Fate::Keep => {}
                        Fate::Drop => attributes.delete_at(position),
                        Fate::Value(message) => {
                            attributes.update_at(position, NewValue::Message(&message));
                        }
                    }
                }
            }
            Self::Copy(old) => {
                let mut new = Vec::with_capacity(old.len());
                let mut message = Vec::new();
                for (key, value) in Attributes::new(old, 1) {
                    message.clear();
                    match decide(key, value) {
                        Fate::Drop => continue,
                        Fate::Keep => put_any(&mut message, value),
                        Fate::Value(value) => message = value,
                    }
                    put_entry_message(&mut new, key.as_bytes(), &message);
                }
                *old = new;
            }
        }
    }

    fn has(&self, key: &[u8]) -> bool {
        match self {
            Self::Attributes(attributes) => attributes.position(key).is_some(),
            Self::Copy(bytes) => Attributes::new(bytes, 1).get(key).is_some(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Attributes(attributes) => attributes.len(),
            Self::Copy(bytes) => Attributes::new(bytes, 1).count(),
        }
    }

    fn delete(&mut self, key: &[u8]) {
        if let Self::Attributes(attributes) = self {
            attributes.delete(key);
            return;
        }
        let mut found = false;
        self.rewrite(|name, _| {
            if !found && name.as_bytes() == key {
                found = true;
                return Fate::Drop;
            }
            Fate::Keep
        });
    }

    fn put(&mut self, key: &[u8], value: AnyValue<'_>) {
        match self {
            Self::Attributes(attributes) => attributes.upsert(key, value),
            Self::Copy(bytes) => {
                let mut all = entries(bytes);
                tree::put(&mut all, key, Tree::of(value));
                *bytes = tree::map(&all);
            }
        }
    }
}

/// Edits the map that a path names.
pub(super) fn edit_map(
    path: &Path,
    subject: &mut Subject<'_>,
    edit: impl FnOnce(&mut MapEdit<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if path.field == Field::Attributes && path.keys.is_empty() {
        let attributes = subject.open.attributes(path.part);
        return edit(&mut MapEdit::Attributes(attributes));
    }
    let copy = map_at(path, subject)?;
    let mut map = MapEdit::Copy(copy);
    edit(&mut map)?;
    match map {
        MapEdit::Copy(bytes) => path.set(subject, &Value::Map(Map::Encoded(Cow::Owned(bytes)))),
        MapEdit::Attributes(_) => Ok(()),
    }
}

/// The content of the map that a path names.
pub(super) fn map_at(path: &Path, subject: &Subject<'_>) -> Result<Vec<u8>, Fault> {
    match path.get(subject)? {
        Value::Map(map) => Ok(map.encoded().into_owned()),
        other => Err(Fault::expected("map", other.kind())),
    }
}

fn delete_key(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    if let Some(key) = args.constant(1) {
        return edit_map(args.path(0)?, subject, |map| {
            map.delete(key);
            Ok(())
        });
    }
    let key = args.text(1, subject)?.into_owned();
    edit_map(args.path(0)?, subject, |map| {
        map.delete(&key);
        Ok(())
    })
}

fn keep_keys(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    // Keys that are written there are not copied.
    let mut computed: Vec<Vec<u8>> = Vec::new();
    for expr in args
        .list_of(1)
        .iter()
        .filter(|expr| expr.literal().is_none())
    {
        computed.push(text_of(expr.eval(subject)?)?.into_owned());
    }
    edit_map(args.path(0)?, subject, |map| {
        map.rewrite(|key, _| {
            let key = key.as_bytes();
            let is_kept = args.constants(1).any(|kept| kept == key)
                || computed.iter().any(|kept| kept == key);
            if is_kept { Fate::Keep } else { Fate::Drop }
        });
        Ok(())
    })
}

fn matching(args: &Args, subject: &mut Subject<'_>, keep: bool) -> Result<(), Fault> {
    let regex = args.regex(1, subject)?;
    edit_map(args.path(0)?, subject, |map| {
        map.rewrite(|key, _| {
            if regex.is_match(key.as_bytes()) == keep {
                Fate::Keep
            } else {
                Fate::Drop
            }
        });
        Ok(())
    })
}

fn check_limit(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_int(1) {
        Some(0..) => Ok(()),
        _ => Err((1, "the limit cannot be negative".to_owned())),
    }
}

fn truncate_all(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let limit = usize::try_from(args.constant_int(1).unwrap_or(0)).unwrap_or(usize::MAX);
    let is_safe = args.constant_bool(2).unwrap_or(true);
    edit_map(args.path(0)?, subject, |map| {
        map.rewrite(|_, value| {
            let AnyValue::String(text) = value else {
                return Fate::Keep;
            };
            let bytes = text.as_bytes();
            if bytes.len() <= limit {
                return Fate::Keep;
            }
            let mut end = limit;
            // A character is not cut in two: those bytes continue one.
            while is_safe && end > 0 && bytes[end] & 0xc0 == 0x80 {
                end -= 1;
            }
            let mut message = Vec::new();
            put_any(&mut message, AnyValue::String(Text::new(&bytes[..end])));
            Fate::Value(message)
        });
        Ok(())
    })
}

fn check_priorities(args: &mut Args) -> Result<(), Misuse> {
    check_limit(args)?;
    let keys = args.list_of(2).len() as i64;
    if args.constant_int(1).is_some_and(|limit| limit < keys) {
        return Err((
            1,
            "the limit is below the number of priority keys".to_owned(),
        ));
    }
    Ok(())
}

fn limit(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let limit = usize::try_from(args.constant_int(1).unwrap_or(0)).unwrap_or(usize::MAX);
    edit_map(args.path(0)?, subject, |map| {
        if map.len() <= limit {
            return Ok(());
        }
        let mut kept = args.constants(2).filter(|key| map.has(key)).count();
        map.rewrite(|key, _| {
            if args.constants(2).any(|priority| priority == key.as_bytes()) {
                return Fate::Keep;
            }
            if kept < limit {
                kept += 1;
                return Fate::Keep;
            }
            Fate::Drop
        });
        Ok(())
    })
}

fn check_strategy(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_str(2) {
        Some("insert" | "update" | "upsert") => Ok(()),
        _ => Err((
            2,
            "the strategies are \"insert\", \"update\" and \"upsert\"".to_owned(),
        )),
    }
}

fn merge_maps(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let source = args.map(1, subject)?.encoded().into_owned();
    let (insert, update) = match args.constant_str(2) {
        Some("insert") => (true, false),
        Some("update") => (false, true),
        _ => (true, true),
    };
    edit_map(args.path(0)?, subject, |map| {
        for (key, value) in Attributes::new(&source, 1) {
            let is_there = map.has(key.as_bytes());
            if is_there && update || !is_there && insert {
                map.put(key.as_bytes(), value);
            }
        }
        Ok(())
    })
}

fn check_depth(args: &mut Args) -> Result<(), Misuse> {
    match args.constant_int(2) {
        None | Some(1..) => Ok(()),
        Some(_) => Err((2, "the depth must be above 0".to_owned())),
    }
}

fn flatten(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    let old = entries(&map_at(path, subject)?);
    let mut flat = Flat {
        result: Vec::new(),
        conflicts: args.constant_bool(3).unwrap_or(false).then(Vec::new),
        depth: args.constant_int(2).unwrap_or(i64::MAX),
    };
    let prefix = match args.constant(1) {
        None | Some([]) => Vec::new(),
        Some(prefix) => [prefix, b"."].concat(),
    };
    flat.map(old, &prefix, 0);
    let new = tree::map(&flat.result);
    path.set(subject, &Value::Map(Map::Encoded(Cow::Owned(new))))
}

struct Flat {
    result: Entries,
    /// Where conflicts are resolved: how many times a key that came again was numbered.
    conflicts: Option<Vec<(Vec<u8>, usize)>>,
    depth: i64,
}

impl Flat {
    fn map(&mut self, entries: Entries, prefix: &[u8], depth: i64) {
        for (key, value) in entries {
            self.value([prefix, &key].concat(), value, depth);
        }
    }

    fn value(&mut self, key: Vec<u8>, value: Tree, depth: i64) {
        match value {
            Tree::Map(entries) if depth < self.depth => {
                self.map(entries, &[&*key, b"."].concat(), depth + 1);
            }
            Tree::List(values) if depth < self.depth => {
                for (index, value) in values.into_iter().enumerate() {
                    let numbered = [&*key, format!(".{index}").as_bytes()].concat();
                    match value {
                        Tree::Map(entries) if depth + 1 < self.depth => {
                            self.map(entries, &[&*numbered, b"."].concat(), depth + 2);
                        }
                        // Elements of lists in lists lose their separator, as in the Collector.
                        Tree::List(values) if depth + 1 < self.depth => {
                            for (index, value) in values.into_iter().enumerate() {
                                let inner = [&*numbered, index.to_string().as_bytes()].concat();
                                self.value(inner, value, depth + 3);
                            }
                        }
                        value if self.conflicts.is_some() => self.put(key.clone(), value),
                        value => self.put(numbered, value),
                    }
                }
            }
            value => self.put(key, value),
        }
    }

    fn put(&mut self, key: Vec<u8>, value: Tree) {
        let Some(conflicts) = &mut self.conflicts else {
            tree::put(&mut self.result, &key, value);
            return;
        };
        if !self.result.iter().any(|(known, _)| *known == key) {
            conflicts.push((key.clone(), 0));
            self.result.push((key, value));
            return;
        }
        let mut number = 0;
        match conflicts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, count)) => {
                number = *count;
                *count += 1;
            }
            None => conflicts.push((key.clone(), 1)),
        }
        let key = [&*key, format!(".{number}").as_bytes()].concat();
        tree::put(&mut self.result, &key, value);
    }
}

fn check_values(args: &mut Args) -> Result<(), Misuse> {
    if args.has(1) || args.has(2) {
        return Ok(());
    }
    Err((
        0,
        "`append` lacks what it appends: `value` or `values`".to_owned(),
    ))
}

fn append(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    let mut list = match path.get(subject)? {
        Value::Nil => Vec::new(),
        Value::List(list) => Repeated::<'_, AnyValue<'_>>::new(&list, 1)
            .map(Tree::of)
            .collect(),
        other => vec![element(&other)?],
    };
    if args.has(1) {
        list.push(element(&args.value(1, subject)?)?);
    }
    for expr in args.list_of(2) {
        list.push(element(&expr.eval(subject)?)?);
    }
    path.set(subject, &Value::List(Cow::Owned(tree::list(&list))))
}

fn element(value: &Value<'_>) -> Result<Tree, Fault> {
    if let Value::Map(map) = value {
        return Ok(Tree::Map(entries(&map.encoded())));
    }
    value
        .as_any()
        .map(Tree::of)
        .ok_or_else(|| Fault::with(format!("a list cannot hold a {}", value.kind())))
}

fn delete_index(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let path = args.path(0)?;
    let mut list: Vec<Tree> = match path.get(subject)? {
        Value::List(list) => Repeated::<'_, AnyValue<'_>>::new(&list, 1)
            .map(Tree::of)
            .collect(),
        other => return Err(Fault::expected("list", other.kind())),
    };
    let start = args.int(1, subject)?;
    let end = if args.has(2) {
        args.int(2, subject)?
    } else {
        start.saturating_add(1)
    };
    let length = list.len() as i64;
    if start == 0 && end == length {
        list.clear();
    } else {
        if !(0..length).contains(&start) {
            return Err(out_of_bounds(start));
        }
        if end < start || end > length {
            return Err(Fault::with(format!(
                "the range from {start} to {end} is none of a list of {length}"
            )));
        }
        list.drain(start as usize..end as usize);
    }
    path.set(subject, &Value::List(Cow::Owned(tree::list(&list))))
}
