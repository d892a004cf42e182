//! JSON Schemas of settings, as the walk and the editors of users read them.
//!
//! Beside the keywords of JSON Schema these are understood, set with `#[schemars(extend("x-…" = …))]`:
//! - `"x-secret": true`: the value is never shown ([`Secret`](crate::Secret) sets it);
//! - `"x-aliases": ["older_name"]` on a property: other spellings of its key;
//! - `"x-no-effect": "why"` on a property: accepted with a warning, for what only makes sense in Go;
//! - `"x-deprecated": "what to write instead"` on a property: accepted with a warning;
//! - `"x-ignore-case": true` beside an `enum`: its values match in any case.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// Makes a generator with the settings that every schema here has.
pub fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.meta_schema = None)
        .for_deserialize()
        .into_generator()
}

/// Gives the whole schema of a type, its definitions under `$defs`.
pub fn of<T: JsonSchema>() -> Schema {
    generator().into_root_schema_for::<T>()
}

/// Completes a schema that a function makes with the definitions it refers to, as [`of`] does for a type.
pub fn complete(make: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Schema {
    let mut generator = generator();
    let mut schema = make(&mut generator);
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

/// Completes two schemas whose keys lie side by side in one mapping, as those of [`layered`](crate::layered) do.
pub fn beside(
    make: impl FnOnce(&mut SchemaGenerator) -> Schema,
    more: impl FnOnce(&mut SchemaGenerator) -> Schema,
) -> Schema {
    complete(|generator| {
        let first = make(generator);
        let description = first.get("description").cloned();
        let layers = [first, more(generator)].map(|layer| match layer.get("$ref") {
            Some(_) => resolved(generator, layer),
            None => layer,
        });
        let mut whole = crate::layers::merged(layers);
        if let Some(description) = description {
            whole.insert("description".to_owned(), description);
        }
        whole
    })
}

/// The definition that a schema is a mere reference to.
fn resolved(generator: &SchemaGenerator, schema: Schema) -> Schema {
    let name = schema.get("$ref").and_then(Value::as_str);
    let name = name.and_then(|name| name.strip_prefix("#/$defs/"));
    let definition = name.and_then(|name| generator.definitions().get(name));
    match definition.cloned().map(Schema::try_from) {
        Some(Ok(definition)) => definition,
        _ => schema,
    }
}

/// Gives the names a schema declares under `properties`.
pub fn keys(schema: &Schema) -> Vec<String> {
    let root = schema.as_value();
    resolve(root, root)
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

/// Follows `$ref` to the definition it names.
pub(crate) fn resolve<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    // A circle of references alone would describe nothing; the bound keeps it from holding us.
    for _ in 0..16 {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            break;
        };
        let target = match reference.strip_prefix('#') {
            Some(pointer) => root.pointer(pointer),
            None => None,
        };
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// Gives the branches of `anyOf` or `oneOf`.
pub(crate) fn branches(schema: &Value) -> Option<&Vec<Value>> {
    schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Value::as_array)
}

/// Gives the one branch of a nullable `anyOf`, or the schema itself, references followed.
pub(crate) fn without_null<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let schema = resolve(root, schema);
    let Some(branches) = branches(schema) else {
        return schema;
    };
    let mut others = branches
        .iter()
        .filter(|branch| branch.get("type").and_then(Value::as_str) != Some("null"));
    match (others.next(), others.next()) {
        (Some(only), None) => without_null(root, only),
        _ => schema,
    }
}

/// Says whether null is among what a schema takes.
pub(crate) fn takes_null(root: &Value, schema: &Value) -> bool {
    let schema = resolve(root, schema);
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "null",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
        _ => branches(schema).is_some_and(|list| list.iter().any(|b| takes_null(root, b))),
    }
}

/// Says whether a schema describes a section: a mapping with keys of its own.
pub(crate) fn is_section(root: &Value, schema: &Value) -> bool {
    has_own_keys(without_null(root, schema))
}

/// Says whether a schema, references followed, names its keys; it may name none of them.
pub(crate) fn has_own_keys(schema: &Value) -> bool {
    schema.get("properties").is_some()
        || schema.get("additionalProperties") == Some(&Value::Bool(false))
}

/// Gives the values of a schema that is nothing but a list of strings to choose from.
pub(crate) fn choices<'s>(root: &'s Value, schema: &'s Value) -> Option<Vec<&'s str>> {
    let schema = resolve(root, schema);
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    if let Some(only) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![only]);
    }
    let lists: Option<Vec<Vec<&str>>> = branches(schema)?
        .iter()
        .filter(|branch| branch.get("type").and_then(Value::as_str) != Some("null"))
        .map(|branch| choices(root, branch))
        .collect();
    Some(lists?.concat())
}

/// Says whether a flag such as `x-secret` is set on a schema or on what it refers to.
pub(crate) fn flag(root: &Value, schema: &Value, name: &str) -> bool {
    let set = |schema: &Value| schema.get(name).and_then(Value::as_bool) == Some(true);
    set(schema) || set(resolve(root, schema)) || set(without_null(root, schema))
}
