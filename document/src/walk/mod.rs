//! The walk of a schema over a tree: it finds everything that is wrong, and leaves a tree on which serde succeeds.
//!
//! The tree it leaves differs from the one it was given: unknown keys are gone, keys have their newest spelling, a
//! null is gone (so that the default holds) or is an empty section, a string where a list of strings is wanted is
//! split at its commas as in the Collector, and a value that an expansion brought in is text where text is wanted.

mod object;
mod scalar;

use serde_json::Value as Json;

use crate::diagnostic::join;
use crate::schema::{branches, choices, flag, resolve, without_null};
use crate::{Diagnostic, Diagnostics, Kind, Node, Value};

/// Checks `node` against `schema`, adding what is wrong to `found`.
pub(crate) fn walk(
    root: &Json,
    schema: &Json,
    node: &Node,
    also_known: &[String],
    found: &mut Diagnostics,
) -> Node {
    Walker {
        root,
        also_known,
        found,
    }
    .value(schema, node, "")
}

struct Walker<'s, 'f> {
    root: &'s Json,
    /// Keys of the outermost mapping that somebody else reads; they serve for suggestions.
    also_known: &'s [String],
    found: &'f mut Diagnostics,
}

impl<'s> Walker<'s, '_> {
    fn value(&mut self, schema: &'s Json, node: &Node, path: &str) -> Node {
        let before = self.found.len();
        let clean = self.bare(schema, node, path);
        if flag(self.root, schema, "x-secret") {
            self.found.conceal_from(before);
        }
        clean
    }

    fn bare(&mut self, schema: &'s Json, node: &Node, path: &str) -> Node {
        let outer = schema;
        let schema = resolve(self.root, schema);
        if node.is_null() && path.is_empty() && crate::schema::is_section(self.root, schema) {
            return self.bare(schema, &Node::empty_map(node.span), path);
        }
        if let Some(list) = schema.get("allOf").and_then(Json::as_array) {
            return list
                .iter()
                .fold(node.clone(), |node, part| self.value(part, &node, path));
        }
        if let Some(known) = choices(self.root, schema) {
            let any_case = flag(self.root, outer, "x-ignore-case");
            return self.choice(&known, any_case, node, path);
        }
        if branches(schema).is_some() {
            return self.branch(schema, node, path);
        }
        let kinds = kinds(schema);
        if kinds.is_empty() {
            return node.clone();
        }
        if let Some(clean) = self.scalar(schema, &kinds, node, path) {
            return clean;
        }
        match &node.value {
            Value::Map(map) if kinds.contains(&"object") => self.object(schema, node, map, path),
            Value::Seq(list) if kinds.contains(&"array") => self.list(schema, node, list, path),
            _ => {
                self.wrong_type(&kinds, node, path);
                node.clone()
            }
        }
    }

    fn list(&mut self, schema: &'s Json, node: &Node, list: &[Node], path: &str) -> Node {
        let bound = |name| schema.get(name).and_then(Json::as_u64).unwrap_or(u64::MAX);
        let length = list.len() as u64;
        if schema.get("minItems").is_some() && length < bound("minItems") {
            let message = format!(
                "the list has {length} entries; at least {} are needed",
                bound("minItems")
            );
            self.invalid(node, path, message);
        } else if length > bound("maxItems") {
            let message = format!(
                "the list has {length} entries; at most {} are taken",
                bound("maxItems")
            );
            self.invalid(node, path, message);
        }
        let prefix = schema.get("prefixItems").and_then(Json::as_array);
        let items = list
            .iter()
            .enumerate()
            .map(|(i, item)| {
                let step = join(path, &i.to_string());
                let schema = prefix
                    .and_then(|prefix| prefix.get(i))
                    .or_else(|| schema.get("items"));
                match schema {
                    Some(schema) if item.is_null() => self.null_within(schema, item, &step),
                    Some(schema) => self.value(schema, item, &step),
                    None => item.clone(),
                }
            })
            .collect();
        self.same_place(node, Value::Seq(items))
    }

    /// Follows the branch of an `anyOf` or `oneOf` that fits best.
    fn branch(&mut self, schema: &'s Json, node: &Node, path: &str) -> Node {
        let only = without_null(self.root, schema);
        if !std::ptr::eq(only, schema) {
            return match node.is_null() {
                true => node.clone(),
                false => self.value(only, node, path),
            };
        }
        let all = branches(schema).map(Vec::as_slice).unwrap_or_default();
        let fitting: Vec<&Json> = all.iter().filter(|b| self.takes(b, node)).collect();
        match fitting.as_slice() {
            [] => {
                let mut known: Vec<&str> = all.iter().flat_map(|b| self.kinds_of(b)).collect();
                known.dedup();
                self.wrong_type(&known, node, path);
                node.clone()
            }
            [only] => self.value(only, node, path),
            several => self.best(several, node, path),
        }
    }

    fn best(&mut self, several: &[&'s Json], node: &Node, path: &str) -> Node {
        let mut best: Option<(usize, Node, Diagnostics)> = None;
        for schema in several {
            let mut scratch = Diagnostics::default();
            let clean = Walker {
                root: self.root,
                also_known: self.also_known,
                found: &mut scratch,
            }
            .value(schema, node, path);
            let errors = scratch.iter().filter(|d| d.is_error()).count();
            let faults = errors + 100 * self.wrong_tags(schema, node);
            if best.as_ref().is_none_or(|(least, ..)| faults < *least) {
                best = Some((faults, clean, scratch));
            }
        }
        if let Some((faults, clean, scratch)) = best {
            if faults > 0 && self.unknown_tag(several, node, path) {
                return node.clone();
            }
            if faults > 0 && self.unknown_variant(several, node, path) {
                return node.clone();
            }
            self.found.extend(scratch);
            return clean;
        }
        node.clone()
    }

    /// Counts the properties with a fixed value, by which a branch is told from the others, that do not match.
    fn wrong_tags(&self, schema: &Json, node: &Node) -> usize {
        let properties = resolve(self.root, schema)
            .get("properties")
            .and_then(Json::as_object);
        properties.into_iter().flatten().filter(|(name, property)| {
            let fixed = choices(self.root, property);
            let given = node.get(name).and_then(Node::as_str);
            matches!((fixed, given), (Some(fixed), Some(given)) if fixed.len() == 1 && fixed[0] != given)
        }).count()
    }

    /// Reports a tag that names no variant, where each branch has a property with one value of its own.
    fn unknown_tag(&mut self, several: &[&'s Json], node: &Node, path: &str) -> bool {
        let tags = |branch: &'s Json| {
            let properties = resolve(self.root, branch).get("properties");
            let properties = properties.and_then(Json::as_object).into_iter().flatten();
            properties.filter_map(|(name, property)| match choices(self.root, property)?[..] {
                [only] => Some((name.as_str(), only)),
                _ => None,
            })
        };
        let Some((name, _)) = several.first().and_then(|branch| tags(branch).next()) else {
            return false;
        };
        let known: Option<Vec<&str>> = several
            .iter()
            .map(|branch| {
                let mut own = tags(branch).filter(|(tag, _)| *tag == name);
                own.next().map(|(_, value)| value)
            })
            .collect();
        let (Some(known), Some(given)) = (known, node.get(name)) else {
            return false;
        };
        let Some(text) = given.as_str().filter(|text| !known.contains(text)) else {
            return false;
        };
        let help = crate::did_you_mean(text, known.iter().copied())
            .unwrap_or_else(|| format!("write one of: {}", known.join(", ")));
        self.found.push(
            Diagnostic::error(Kind::InvalidValue, format!("there is no {name} `{text}`"))
                .path(join(path, name))
                .at(given.span)
                .help(help),
        );
        true
    }

    /// Reports a key that names no variant, where each branch is a mapping of one required key.
    fn unknown_variant(&mut self, several: &[&Json], node: &Node, path: &str) -> bool {
        let names: Option<Vec<&str>> = several
            .iter()
            .map(|branch| {
                let branch = resolve(self.root, branch);
                match branch.get("required")?.as_array()?.as_slice() {
                    [only] if branch.get("properties")?.as_object()?.len() == 1 => only.as_str(),
                    _ => None,
                }
            })
            .collect();
        let (Some(names), Some(map)) = (names, node.as_map()) else {
            return false;
        };
        let Some((key, entry)) = map.iter().find(|(key, _)| !names.contains(&key.as_str())) else {
            return false;
        };
        self.found.push(
            Diagnostic::error(Kind::UnknownKey, format!("unknown key `{key}`"))
                .path(path)
                .at(entry.key_span())
                .maybe_help(crate::did_you_mean(key, names)),
        );
        true
    }

    /// Says whether a schema takes values of this kind at all.
    fn takes(&self, schema: &Json, node: &Node) -> bool {
        let kinds = self.kinds_of(schema);
        let value = |node: &Node| match &node.value {
            Value::Null => kinds.contains(&"null"),
            Value::Bool(_) => kinds.contains(&"boolean"),
            Value::Int(_) => kinds.contains(&"integer") || kinds.contains(&"number"),
            Value::Float(f) => {
                kinds.contains(&"number") || f.fract() == 0.0 && kinds.contains(&"integer")
            }
            Value::String(_) => kinds.contains(&"string"),
            Value::Seq(_) => kinds.contains(&"array"),
            Value::Map(_) => kinds.contains(&"object"),
        };
        kinds.is_empty() || value(node) || node.text.is_some() && kinds.contains(&"string")
    }

    fn kinds_of<'a>(&self, schema: &'a Json) -> Vec<&'a str>
    where
        's: 'a,
    {
        let schema = resolve_in(self.root, schema);
        if let Some(list) = branches(schema) {
            return list.iter().flat_map(|b| self.kinds_of(b)).collect();
        }
        match choices(self.root, schema) {
            Some(_) => vec!["string"],
            None => kinds(schema),
        }
    }

    fn same_place(&self, node: &Node, value: Value) -> Node {
        Node {
            value,
            span: node.span,
            text: node.text.clone(),
        }
    }

    fn invalid(&mut self, node: &Node, path: &str, message: impl Into<String>) {
        let message: String = message.into();
        let (fault, remedy) = match message.split_once("; ") {
            Some((fault, remedy)) => (fault.to_owned(), Some(remedy.to_owned())),
            None => (message, None),
        };
        self.found.push(
            Diagnostic::error(Kind::InvalidValue, fault)
                .path(path)
                .at(node.span)
                .maybe_help(remedy),
        );
    }

    fn wrong_type(&mut self, kinds: &[&str], node: &Node, path: &str) {
        let wanted = one_of(kinds);
        let found = node.value.kind();
        let help = match (&node.value, kinds) {
            (Value::Int(_) | Value::Float(_) | Value::Bool(_), k) if k.contains(&"string") => {
                Some("put the value in quotes".to_owned())
            }
            (Value::String(text), _) if node.text.is_none() => unquoted(text, kinds),
            (_, ["object", ..]) => Some("write `key: value`, one a line below".to_owned()),
            (_, ["array", ..]) => Some("write `[…]`, or one entry a line behind `- `".to_owned()),
            _ => None,
        };
        let found = match node.text {
            Some(_) => format!("{found} from the expansion"),
            None => found.to_owned(),
        };
        self.found.push(
            Diagnostic::error(Kind::WrongType, format!("expected {wanted}, found {found}"))
                .path(path)
                .at(node.span)
                .maybe_help(help),
        );
    }
}

/// Says what to write for a string that looks like what was wanted.
fn unquoted(text: &str, kinds: &[&str]) -> Option<String> {
    let truth = match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "t" | "true" => Some("true"),
        "no" | "off" | "n" | "f" | "false" => Some("false"),
        _ => None,
    };
    if let Some(truth) = truth
        && kinds.contains(&"boolean")
    {
        return Some(format!("write `{truth}`"));
    }
    let fits = match crate::yaml::plain(text) {
        Value::Int(_) => kinds.contains(&"integer") || kinds.contains(&"number"),
        Value::Float(_) => kinds.contains(&"number"),
        _ => false,
    };
    fits.then(|| "write it without quotes".to_owned())
}

fn resolve_in<'a>(root: &'a Json, schema: &'a Json) -> &'a Json {
    resolve(root, schema)
}

/// Gives the types a schema names, inferred where it has only properties or items.
fn kinds(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ if schema.get("items").is_some() => vec!["array"],
        _ => Vec::new(),
    }
}

fn one_of(kinds: &[&str]) -> String {
    let mut names: Vec<&str> = kinds
        .iter()
        .filter(|kind| **kind != "null")
        .map(|kind| match *kind {
            "object" => "a mapping",
            "array" => "a list",
            "string" => "a string",
            "integer" => "an integer",
            "number" => "a number",
            "boolean" => "true or false",
            other => other,
        })
        .collect();
    names.dedup();
    names.join(" or ")
}
