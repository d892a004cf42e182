//! YAML text to a [`Node`] tree: anchors, aliases, merge keys, positions of keys and values, and bounds on all of it.

mod build;
mod emit;
mod scalar;

pub use emit::emit;
pub use scalar::plain;

use saphyr_parser::{Parser, ScanError};

use crate::{Diagnostic, Diagnostics, Kind, Node, SourceId, Sources, Span};
use build::Builder;

/// The longest text that is read, in bytes.
pub const MAX_BYTES: usize = 8 << 20;
/// The deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 100;
/// The most nodes that aliases and merge keys may copy in one text.
pub const MAX_COPIED: usize = 100_000;

/// Parses the first document of a source; an empty text is null.
///
/// Findings are added to `found`. None is returned where the text is not YAML; a tree is returned beside errors that
/// leave one to be looked at further, such as a duplicate key, where the first value stands.
pub fn parse(sources: &Sources, source: SourceId, found: &mut Diagnostics) -> Option<Node> {
    let text = sources.text(source);
    if text.len() > MAX_BYTES {
        let message = format!("the text is {} bytes long", text.len());
        found.push(
            Diagnostic::error(Kind::Limit, message)
                .at(Span::new(source, 0, 0))
                .help(format!(
                    "keep it under {MAX_BYTES} bytes, or split it over files"
                )),
        );
        return None;
    }
    let mut builder = Builder::new(text, source, found);
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let error = match next {
            Ok((event, span)) => match builder.event(event, span) {
                Ok(true) => continue,
                Ok(false) => break,
                Err(diagnostic) => *diagnostic,
            },
            Err(error) => syntax(&builder, &error),
        };
        found.push(error);
        return None;
    }
    Some(
        builder
            .finish()
            .unwrap_or(Node::null(Span::new(source, 0, 0))),
    )
}

/// Parses a text that no table holds; every position in the tree is [`Span::NONE`].
///
/// This is for tests and for values of the environment, whose text must not be shown.
///
/// # Errors
/// Gives the findings if one is an error.
pub fn parse_str(text: &str) -> Result<Node, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut sources = Sources::default();
    let source = sources.add("", text);
    let node = parse(&sources, source, &mut found);
    if found.has_errors() {
        let detached = found.into_iter().map(|mut d| {
            d.span = Span::NONE;
            d.related.clear();
            d
        });
        return Err(detached.collect());
    }
    let mut node = node.unwrap_or(Node::null(Span::NONE));
    node.place(Span::NONE);
    Ok(node)
}

fn syntax(builder: &Builder<'_, '_>, error: &ScanError) -> Diagnostic {
    let at = builder.position(*error.marker());
    let diagnostic = Diagnostic::error(Kind::Syntax, format!("this is not YAML: {}", error.info()))
        .at(builder.span(at, at + 1));
    match builder.line_of(at) {
        line if line.contains('\t') && line.trim_start_matches(' ').starts_with('\t') => {
            diagnostic.help("indent with spaces: YAML allows no tabs there")
        }
        line if line.trim_start().starts_with(['@', '`', '%']) || line.contains(": @") => {
            diagnostic.help("put a value that starts with `@`, `%` or a backtick in quotes")
        }
        line if line.matches(": ").count() > 1 => {
            diagnostic.help("put a value that contains `: ` in quotes")
        }
        _ => diagnostic.maybe_help(remedy(error.info()).map(ToOwned::to_owned)),
    }
}

/// What most often lies behind the parser's words.
fn remedy(fault: &str) -> Option<&'static str> {
    let behind = [
        ("quoted scalar", "close the quote that is open here"),
        (
            "did not find expected key",
            "keys of one mapping begin in one column: check the indentation of this line",
        ),
        (
            "mapping values are not allowed",
            "keys of one mapping begin in one column: check the indentation of this line",
        ),
        (
            "illegal placement of ':'",
            "close the bracket or the quote that is open before this",
        ),
        (
            "unknown anchor",
            "write `&name` before the value that it names",
        ),
    ];
    let known = behind.into_iter().find(|(words, _)| fault.contains(words));
    known.map(|(_, remedy)| remedy)
}

impl Node {
    /// Gives this node and all below it one place, as for what an expansion brought in.
    pub fn place(&mut self, span: Span) {
        self.span = span;
        match &mut self.value {
            crate::Value::Seq(list) => list.iter_mut().for_each(|node| node.place(span)),
            crate::Value::Map(map) => map.values_mut().for_each(|entry| {
                entry.key = crate::node::KeySpan(span);
                entry.node.place(span);
            }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
