//! `${…}` carried out over a whole tree, with the Collector's semantics.
//!
//! A value that is one reference becomes whatever YAML the reference holds, a subtree included, and keeps the text
//! for string fields; a reference within a text is replaced by its text. What comes in is expanded again; `$$`
//! becomes `$` at the end. Cycles, depth, the number of references and the length of texts are bounded.

mod scan;

use std::ops::Range;

use tidegate_document::{
    Diagnostic, Diagnostics, Entry, Kind, Map, Node, Sources, Span, Value, yaml,
};

use crate::Surroundings;
use crate::merge::unfold;
use crate::provider::{Given, Place};
use scan::{find, unescape};

const MAX_REFERENCES: usize = 100_000;
const MAX_BROUGHT: usize = 16 << 20;
const MAX_TEXT: usize = 1 << 20;

/// Expands a whole document.
pub(crate) fn expand(
    node: &Node,
    surroundings: &dyn Surroundings,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Node {
    let mut expansion = Expansion {
        surroundings,
        sources,
        found,
        references: 0,
        bytes: 0,
        depth: 0,
        active: Vec::new(),
        path: Vec::new(),
    };
    let node = expansion.node(node);
    let spent = [
        (
            expansion.references > MAX_REFERENCES,
            format!("{MAX_REFERENCES} references"),
        ),
        (
            expansion.bytes > MAX_BROUGHT,
            format!("{MAX_BROUGHT} bytes of text"),
        ),
    ];
    for (_, most) in spent.iter().filter(|(over, _)| *over) {
        let message = format!("more than {most} are to be expanded");
        let fault = Diagnostic::error(Kind::Limit, message);
        found.push(fault.help("look for variables or files that multiply each other"));
    }
    unfold(escaped(node))
}

struct Expansion<'a> {
    surroundings: &'a dyn Surroundings,
    sources: &'a mut Sources,
    found: &'a mut Diagnostics,
    references: usize,
    /// How much text was brought in.
    bytes: usize,
    depth: usize,
    /// The references that are being carried out, outermost first.
    active: Vec<Place>,
    path: Vec<String>,
}

/// What a reference brought in.
struct Brought {
    node: Node,
    /// What stands for it in a text; none where that has a faulty reference of its own.
    text: Option<String>,
}

/// Makes the node of what a reference that is the whole value holds.
fn whole(brought: Brought) -> Node {
    let Brought { mut node, text } = brought;
    if !matches!(node.value, Value::String(_)) {
        node.text = text.map(Into::into);
    }
    node
}

impl Expansion<'_> {
    fn node(&mut self, node: &Node) -> Node {
        if self.depth >= yaml::MAX_DEPTH {
            self.fault(
                node.span,
                Diagnostic::error(
                    Kind::Limit,
                    format!("what is brought in nests deeper than {}", yaml::MAX_DEPTH),
                ),
            );
            return Node::null(node.span);
        }
        self.depth += 1;
        let value = match &node.value {
            Value::String(text) => {
                self.depth -= 1;
                return self.string(text, node.span);
            }
            Value::Seq(list) => Value::Seq(
                list.iter()
                    .enumerate()
                    .map(|(i, item)| self.under(i.to_string(), item))
                    .collect(),
            ),
            Value::Map(map) => Value::Map(
                map.iter()
                    .map(|(key, entry)| {
                        let value = self.under(key.clone(), &entry.node);
                        (key.clone(), Entry::new(entry.key_span(), value))
                    })
                    .collect::<Map>(),
            ),
            other => other.clone(),
        };
        self.depth -= 1;
        Node {
            value,
            span: node.span,
            text: node.text.clone(),
        }
    }

    fn under(&mut self, step: String, node: &Node) -> Node {
        self.path.push(step);
        let node = self.node(node);
        self.path.pop();
        node
    }

    fn string(&mut self, text: &str, span: Span) -> Node {
        let mut text = text.to_owned();
        while let Some(range) = find(&text) {
            if range == (0..text.len()) {
                match self.reference(&text, span) {
                    Some(brought) => return whole(brought),
                    None => break,
                }
            }
            match self.inline(&text, range, span) {
                Some(next) => text = next,
                None => break,
            }
        }
        Node::new(Value::String(text), span)
    }

    /// Replaces a reference within a text by the text it holds, itself expanded.
    fn inline(&mut self, text: &str, range: Range<usize>, span: Span) -> Option<String> {
        let written = &text[range.clone()];
        let Some(held) = self.reference(written, span)?.text else {
            let fault = Diagnostic::error(
                Kind::Expansion,
                format!("what `{written}` holds cannot stand inside a text"),
            );
            self.fault(span, fault.help("let it be the whole value"));
            return None;
        };
        let next = [&text[..range.start], &held, &text[range.end..]].concat();
        if next.len() > MAX_TEXT {
            let message = format!("the text grows past {MAX_TEXT} bytes");
            self.fault(span, Diagnostic::error(Kind::Limit, message));
            return None;
        }
        Some(next)
    }

    /// Carries one reference out; none if a fault was reported.
    fn reference(&mut self, written: &str, span: Span) -> Option<Brought> {
        self.references += 1;
        if self.references > MAX_REFERENCES || self.bytes > MAX_BROUGHT {
            return None;
        }
        let within = &written[2..written.len() - 1];
        let at = self.locate(written, span);
        if within.contains('$') {
            let fault = Diagnostic::error(
                Kind::Expansion,
                format!("`{written}` has a `$` where a name is expected"),
            );
            self.fault(at, fault.help("write `$$` for a dollar that is text"));
            return None;
        }
        let place = match Place::of_reference(within) {
            Ok(place) => place,
            Err(fault) => {
                self.fault(at, *fault);
                return None;
            }
        };
        if self.active.contains(&place) {
            let way: Vec<String> = self.active.iter().map(Place::name).collect();
            let fault = Diagnostic::error(
                Kind::Expansion,
                format!("`{}` contains itself", place.name()),
            );
            let way = format!("the way round is {} -> {}", way.join(" -> "), place.name());
            self.fault(at, fault.help(way));
            return None;
        }
        let text = match place.read(self.surroundings) {
            Ok(Given::Text(text)) => text,
            Ok(Given::Unset) => {
                self.unset(&place, at);
                String::new()
            }
            Err(fault) => {
                self.fault(at, *fault);
                return None;
            }
        };
        self.bytes += text.len();
        self.active.push(place.clone());
        let brought = self.brought(&place, text, at);
        self.active.pop();
        brought
    }

    /// Reads what a reference holds, and expands that.
    fn brought(&mut self, place: &Place, mut text: String, at: Span) -> Option<Brought> {
        // An empty default is the empty text, while an empty variable is null.
        let empty_default = matches!(place, Place::Env { name, default: Some(default) }
            if default.is_empty() && self.surroundings.variable(name).is_none());
        let parsed = match place {
            _ if empty_default => Node::new(Value::String(String::new()), at),
            Place::File(path) => self.parse_file(path, &mut text, at)?,
            _ => match yaml::parse_str(&text) {
                Ok(mut node) => {
                    node.place(at);
                    node
                }
                Err(faults) => {
                    if let Some(limit) = faults.into_iter().find(|d| d.kind == Kind::Limit) {
                        self.fault(at, limit);
                        return None;
                    }
                    Node::new(Value::String(String::new()), at)
                }
            },
        };
        if let Value::String(_) = parsed.value {
            // A string is taken as it stands, quotes included: that is how the Collector reads a variable.
            let node = self.string(&text, at);
            let text = node.as_str().map(str::to_owned);
            return Some(Brought { node, text });
        }
        let node = self.node(&parsed);
        // Faults in the text were reported with the value, or lie in a comment.
        let text = self
            .quietly(|expansion| expansion.string(&text, at))
            .and_then(|node| node.as_str().map(str::to_owned));
        Some(Brought { node, text })
    }

    fn parse_file(&mut self, path: &str, text: &mut String, at: Span) -> Option<Node> {
        let id = self.sources.add(path, text.as_str());
        let mut faults = Diagnostics::default();
        let node = yaml::parse(self.sources, id, &mut faults);
        if faults.iter().any(|d| d.kind == Kind::Limit) {
            self.found.extend(faults);
            return None;
        }
        let node = node.filter(|_| !faults.has_errors());
        if let Some(fault) = faults.iter().find(|_| text.trim_end().contains('\n')) {
            // The line itself is not shown: a file that is no YAML may well be a key.
            let place = self.sources.locate(fault.span);
            let place = place.map_or_else(|| path.to_owned(), |place| place.to_string());
            let message = format!("`{path}` is taken as a text, since it is not YAML");
            let warning = Diagnostic::warning(Kind::Syntax, message);
            self.fault(at, warning.help(format!("{place}: {}", fault.message)));
        }
        match node {
            Some(node) if !matches!(node.value, Value::String(_)) => Some(node),
            // As in the Collector, what is no YAML is a text; the line break that ends a file is no part of it.
            _ => {
                text.truncate(text.trim_end_matches(['\n', '\r']).len());
                Some(Node::new(Value::String(String::new()), at))
            }
        }
    }

    /// Runs with findings thrown away; none if there was an error.
    fn quietly<T>(&mut self, run: impl FnOnce(&mut Expansion<'_>) -> T) -> Option<T> {
        let mut found = Diagnostics::default();
        let mut inner = Expansion {
            surroundings: self.surroundings,
            sources: self.sources,
            found: &mut found,
            references: self.references,
            bytes: self.bytes,
            depth: self.depth,
            active: std::mem::take(&mut self.active),
            path: Vec::new(),
        };
        let result = run(&mut inner);
        (self.references, self.bytes) = (inner.references, inner.bytes);
        self.active = inner.active;
        (!found.has_errors()).then_some(result)
    }

    fn unset(&mut self, place: &Place, at: Span) {
        let Place::Env { name, .. } = place else {
            return;
        };
        let warning = Diagnostic::warning(
            Kind::Unset,
            format!("the environment variable `{name}` is not set"),
        );
        let help = format!("set it, or write `${{env:{name}:-default}}`");
        self.fault(at, warning.help(help));
    }

    fn fault(&mut self, at: Span, diagnostic: Diagnostic) {
        let diagnostic = diagnostic.at(at).path(self.path.join("::"));
        // A text that brings a faulty reference in is looked at again where it was put.
        let said = |earlier: &Diagnostic| {
            (earlier.kind, earlier.span, &earlier.message)
                == (diagnostic.kind, diagnostic.span, &diagnostic.message)
        };
        if !self.found.iter().any(said) {
            self.found.push(diagnostic);
        }
    }

    /// Gives the place of a reference within the value it stands in.
    fn locate(&self, written: &str, span: Span) -> Span {
        let Some(source) = span.source() else {
            return span;
        };
        let text = self.sources.text(source).get(span.range());
        match text.and_then(|text| text.find(written)) {
            Some(at) => {
                let start = span.start() + at;
                Span::new(source, start, start + written.len())
            }
            None => span,
        }
    }
}

fn escaped(mut node: Node) -> Node {
    if let Some(text) = &node.text {
        node.text = Some(unescape(text).into());
    }
    node.value = match node.value {
        Value::String(text) => Value::String(unescape(&text)),
        Value::Seq(list) => Value::Seq(list.into_iter().map(escaped).collect()),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, entry)| {
                    let node = escaped(entry.node);
                    (key, Entry { node, ..entry })
                })
                .collect(),
        ),
        other => other,
    };
    node
}

#[cfg(test)]
mod tests;
