//! Mappings: known and unknown keys, older spellings, what is missing, and what an empty value means.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::Walker;
use crate::diagnostic::join;
use crate::schema::{flag, has_own_keys, is_section, takes_null, without_null};
use crate::{Diagnostic, Entry, Kind, Map, Node, Value, did_you_mean, nearest};

/// What a key turned out to be.
enum Known<'s> {
    /// A property, under its newest name.
    Property(&'s str, &'s Json),
    /// Any key is taken, and its values look like this.
    Additional(&'s Json),
    /// Any key is taken with any value.
    Anything,
    /// Nothing reads it.
    Unknown,
}

impl<'s> Walker<'s, '_> {
    pub(super) fn object(&mut self, schema: &'s Json, node: &Node, map: &Map, path: &str) -> Node {
        let mut clean = Map::new();
        let mut reported = HashSet::new();
        for (key, entry) in map {
            let step = join(path, key);
            match known(schema, key) {
                Known::Property(name, property) => {
                    if name != key && map.contains_key(name) {
                        self.twice(name, key, entry, &map[name], path);
                        continue;
                    }
                    self.remark(property, key, entry, path);
                    let errors = self.found.len();
                    if let Some(value) = self.property(property, &entry.node, &step) {
                        clean.insert(name.to_owned(), Entry::new(entry.key_span(), value));
                    }
                    if self.found.len() > errors {
                        reported.insert(name);
                    }
                }
                Known::Additional(values) => {
                    let value = match entry.node.is_null() {
                        true => self.null_within(values, &entry.node, &step),
                        false => self.value(values, &entry.node, &step),
                    };
                    clean.insert(key.clone(), Entry::new(entry.key_span(), value));
                }
                Known::Anything => {
                    clean.insert(key.clone(), entry.clone());
                }
                Known::Unknown => self.unknown(schema, key, entry, path),
            }
        }
        self.required(schema, node, &clean, &reported, path);
        self.same_place(node, Value::Map(clean))
    }

    /// Checks the value of a property; none means that the default holds.
    fn property(&mut self, schema: &'s Json, node: &Node, path: &str) -> Option<Node> {
        if !node.is_null() {
            return Some(self.value(schema, node, path));
        }
        let unset = node.text.is_some();
        match without_null(self.root, schema) {
            // What takes anything keeps the null.
            any if any.as_object().is_none_or(serde_json::Map::is_empty) => Some(node.clone()),
            // Writing the key of a section turns it on, with its defaults.
            section if has_own_keys(section) && !unset => {
                Some(self.value(section, &Node::empty_map(node.span), path))
            }
            // An expansion of nothing is the empty text, to a plain string field.
            text if unset
                && text.get("type").and_then(Json::as_str) == Some("string")
                && text.get("format").is_none()
                && !takes_null(self.root, schema) =>
            {
                Some(Node::new(Value::String(String::new()), node.span))
            }
            _ => None,
        }
    }

    /// Gives what a null stands for in a list or in a mapping of any keys.
    pub(super) fn null_within(&mut self, schema: &'s Json, node: &Node, path: &str) -> Node {
        if is_section(self.root, schema) {
            let section = without_null(self.root, schema);
            return self.value(section, &Node::empty_map(node.span), path);
        }
        let plain = without_null(self.root, schema);
        if plain.get("type").and_then(Json::as_str) == Some("string")
            && !takes_null(self.root, schema)
            && plain.get("enum").is_none()
        {
            return Node::new(Value::String(String::new()), node.span);
        }
        match takes_null(self.root, schema) {
            true => node.clone(),
            false => self.value(schema, node, path),
        }
    }

    fn remark(&mut self, property: &Json, key: &str, entry: &Entry, path: &str) {
        let text = |name| property.get(name).and_then(Json::as_str);
        if let Some(why) = text("x-no-effect") {
            self.found.push(
                Diagnostic::warning(
                    Kind::NoEffect,
                    format!("`{key}` is accepted and does nothing"),
                )
                .path(path)
                .at(entry.key_span())
                .help(why),
            );
        }
        if let Some(instead) = text("x-deprecated") {
            self.found.push(
                Diagnostic::warning(Kind::Deprecated, format!("`{key}` is an older setting"))
                    .path(path)
                    .at(entry.key_span())
                    .help(instead),
            );
        }
    }

    fn twice(&mut self, name: &str, alias: &str, entry: &Entry, first: &Entry, path: &str) {
        self.found.push(
            Diagnostic::error(
                Kind::DuplicateKey,
                format!("`{alias}` and `{name}` are two spellings of one setting"),
            )
            .path(path)
            .at(entry.key_span())
            .related(first.key_span(), "the other one")
            .help(format!("keep `{name}`")),
        );
    }

    fn unknown(&mut self, schema: &Json, key: &str, entry: &Entry, path: &str) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let mut names: Vec<&str> = properties
            .into_iter()
            .flatten()
            .map(|(k, _)| &**k)
            .collect();
        if path.is_empty() {
            names.extend(self.also_known.iter().map(String::as_str));
        }
        let help = did_you_mean(key, names.iter().copied());
        self.found.push(
            Diagnostic::error(Kind::UnknownKey, format!("unknown key `{key}`"))
                .path(path)
                .at(entry.key_span())
                .maybe_help(help),
        );
    }

    fn required(
        &mut self,
        schema: &'s Json,
        node: &Node,
        clean: &Map,
        reported: &HashSet<&str>,
        path: &str,
    ) {
        let required = schema.get("required").and_then(Json::as_array);
        let unknown: Vec<&String> = node
            .as_map()
            .into_iter()
            .flat_map(Map::keys)
            .filter(|key| matches!(known(schema, key), Known::Unknown))
            .collect();
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            if clean.contains_key(name) || reported.contains(name) {
                continue;
            }
            let misspelt = |key: &String| nearest(key, [name]).is_some();
            if unknown.iter().any(|key| misspelt(key)) {
                continue;
            }
            let written = node.as_map().and_then(|map| map.get(name));
            let (message, span) = match written {
                Some(entry) => (format!("`{name}` has no value"), entry.key_span()),
                None => (format!("`{name}` is missing"), self.section_span(node)),
            };
            let secret = schema
                .get("properties")
                .and_then(|p| p.get(name))
                .is_some_and(|p| flag(self.root, p, "x-secret"));
            self.found.push(
                Diagnostic::error(Kind::Missing, message)
                    .path(path)
                    .at(span)
                    .conceal(secret && written.is_some())
                    .help(format!("add `{name}: …`")),
            );
        }
    }

    /// Gives the place to point at for something that is not in a section: its first key.
    fn section_span(&self, node: &Node) -> crate::Span {
        match node.as_map().and_then(|map| map.first()) {
            Some((_, entry)) => entry.key_span(),
            None => node.span,
        }
    }
}

fn known<'s>(schema: &'s Json, key: &str) -> Known<'s> {
    if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
        if let Some((name, property)) = properties.get_key_value(key) {
            return Known::Property(name, property);
        }
        let alias = properties.iter().find(|(_, property)| {
            let names = property.get("x-aliases").and_then(Json::as_array);
            names.is_some_and(|names| names.iter().any(|name| name == key))
        });
        if let Some((name, property)) = alias {
            return Known::Property(name, property);
        }
    }
    let patterns = schema.get("patternProperties").and_then(Json::as_object);
    if let Some((_, values)) = patterns.and_then(|p| p.iter().next()) {
        return Known::Additional(values);
    }
    match schema.get("additionalProperties") {
        Some(Json::Bool(false)) => Known::Unknown,
        Some(values) if values.is_object() => Known::Additional(values),
        _ => Known::Anything,
    }
}
