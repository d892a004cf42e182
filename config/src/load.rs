//! From `--config` and `--set` to one expanded document.

use tidegate_document::{
    Diagnostic, Diagnostics, Entry, Kind, Map, Node, Sources, Span, Value, yaml,
};

use crate::Surroundings;
use crate::expand::expand;
use crate::merge::{merge, unfold};
use crate::provider::{Given, Place};

/// What the command line names.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The `--config` arguments, in order: a path, or `file:`, `env:`, `yaml:`, `http:`, `https:` with what follows.
    pub configs: Vec<String>,
    /// The `--set` arguments, in order: `processors.batch.timeout=2s`.
    pub sets: Vec<String>,
}

/// A configuration as one document.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// All texts it came from, for rendering diagnostics.
    pub sources: Sources,
    /// The merged and expanded document; what could be made of it where something is wrong.
    pub document: Node,
    /// What is wrong, or worth a warning.
    pub diagnostics: Diagnostics,
}

/// Reads, merges and expands a configuration.
pub fn load(request: &Request, surroundings: &dyn Surroundings) -> Loaded {
    let mut sources = Sources::default();
    let mut found = Diagnostics::default();
    let mut whole = Node::empty_map(Span::NONE);
    for argument in &request.configs {
        if let Some(node) = config(argument, surroundings, &mut sources, &mut found) {
            whole = merge(whole, unfold(node));
        }
    }
    for argument in &request.sets {
        if let Some(node) = set(argument, &mut sources, &mut found) {
            whole = merge(whole, unfold(node));
        }
    }
    let document = expand(&whole, surroundings, &mut sources, &mut found);
    Loaded {
        sources,
        document,
        diagnostics: found,
    }
}

fn config(
    argument: &str,
    surroundings: &dyn Surroundings,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<Node> {
    let given = Place::of_argument(argument).and_then(|place| {
        let given = place.read(surroundings)?;
        Ok((place, given))
    });
    let (place, text) = match given {
        Ok((place, Given::Text(text))) => (place, text),
        Ok((place, Given::Unset)) => {
            let message = format!("`{}` is not set, so it configures nothing", place.name());
            found.push(Diagnostic::error(Kind::Unreadable, message).help("set the variable"));
            return None;
        }
        Err(fault) => {
            found.push(*fault);
            return None;
        }
    };
    let id = sources.add(place.name(), text);
    let node = yaml::parse(sources, id, found)?;
    match node.value {
        Value::Map(_) => Some(node),
        // A file of comments configures nothing.
        Value::Null => None,
        ref other => {
            let message = format!("a configuration is a mapping, found {}", other.kind());
            let help = "start with `receivers:`, `exporters:` and `service:`";
            found.push(
                Diagnostic::error(Kind::WrongType, message)
                    .at(node.span)
                    .help(help),
            );
            None
        }
    }
}

/// Reads `a.b=c` as the mapping `{a: {b: c}}`.
fn set(argument: &str, sources: &mut Sources, found: &mut Diagnostics) -> Option<Node> {
    let id = sources.add("--set", argument);
    let whole = Span::new(id, 0, argument.len());
    let Some((key, text)) = argument.split_once('=') else {
        let fault = Diagnostic::error(Kind::Syntax, "`--set` has no `=`").at(whole);
        found.push(fault.help("write for example `--set=processors.batch.timeout=2s`"));
        return None;
    };
    let key_span = Span::new(id, 0, key.len());
    let value_span = Span::new(id, key.len() + 1, argument.len());
    let mut value = match yaml::parse_str(text.trim()) {
        Ok(value) => value,
        Err(faults) => {
            found.extend(faults.into_iter().map(|fault| fault.at(value_span)));
            return None;
        }
    };
    value.place(value_span);
    let name = key.trim().replace('.', "::");
    if name.is_empty() {
        let fault = Diagnostic::error(Kind::Syntax, "`--set` names no setting").at(whole);
        found.push(fault.help("write for example `--set=processors.batch.timeout=2s`"));
        return None;
    }
    let map = Map::from([(name, Entry::new(key_span, value))]);
    Some(Node::new(Value::Map(map), whole))
}

/// Warns of variables that steer Go's runtime and do nothing here.
pub fn go_variables(surroundings: &dyn Surroundings) -> Diagnostics {
    let set = |name: &&(&str, &str)| surroundings.variable(name.0).is_some_and(|v| !v.is_empty());
    GO_VARIABLES
        .iter()
        .filter(set)
        .map(|(name, help)| {
            let message = format!("the environment variable `{name}` does nothing here");
            Diagnostic::warning(Kind::NoEffect, message).help(*help)
        })
        .collect()
}

const GO_VARIABLES: [(&str, &str); 3] = [
    (
        "GOMEMLIMIT",
        "there is no garbage collector to limit; set `memory_limiter`",
    ),
    ("GOGC", "there is no garbage collector to tune; remove it"),
    (
        "GOMAXPROCS",
        "there is no Go scheduler; the cgroup's limit is followed without it",
    ),
];

#[cfg(test)]
mod tests;
