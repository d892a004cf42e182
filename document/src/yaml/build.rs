//! The tree grown from the parser's events, without recursion.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, ScalarStyle, Tag};

use super::{MAX_COPIED, MAX_DEPTH, scalar};
use crate::{Diagnostic, Diagnostics, Entry, Kind, Map, Node, SourceId, Span, Value};

/// Takes events until the first document is whole.
pub(super) struct Builder<'t, 'd> {
    text: &'t str,
    source: SourceId,
    found: &'d mut Diagnostics,
    /// Byte offset of each character, empty where all are one byte long.
    bytes: Vec<u32>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
    nodes: usize,
    copied: usize,
    root: Option<Node>,
}

/// A list or mapping that is still open.
struct Frame {
    span: Span,
    anchor: usize,
    nodes_before: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map {
        map: Map,
        key: Option<(Key, Span)>,
        merges: Vec<Node>,
    },
}

enum Key {
    Name(String),
    Merge,
}

struct Anchor {
    node: Node,
    size: usize,
}

type Step<T> = Result<T, Box<Diagnostic>>;

impl<'t, 'd> Builder<'t, 'd> {
    pub(super) fn new(text: &'t str, source: SourceId, found: &'d mut Diagnostics) -> Self {
        let bytes = match text.is_ascii() {
            true => Vec::new(),
            false => text
                .char_indices()
                .map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX))
                .collect(),
        };
        Self {
            text,
            source,
            found,
            bytes,
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            copied: 0,
            root: None,
        }
    }

    /// Gives the byte offset of a mark of the parser, which counts characters.
    pub(super) fn position(&self, mark: Marker) -> usize {
        match self.bytes.get(mark.index()) {
            Some(at) => *at as usize,
            None if self.bytes.is_empty() => mark.index().min(self.text.len()),
            None => self.text.len(),
        }
    }

    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    pub(super) fn line_of(&self, at: usize) -> &'t str {
        let before = self.text.get(..at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let rest = &self.text[start..];
        rest.split('\n').next().unwrap_or(rest)
    }

    fn covers(&self, span: saphyr_parser::Span) -> Span {
        let (start, end) = (self.position(span.start), self.position(span.end));
        // The parser lets the span of a plain scalar run on over the white space behind it.
        let text = self.text.get(start..end.max(start)).unwrap_or("");
        self.span(start, start + text.trim_end().len())
    }

    /// Takes one event; gives false when the document is whole.
    pub(super) fn event(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Step<bool> {
        match event {
            Event::DocumentEnd => return Ok(false),
            Event::SequenceStart(anchor, _) => {
                self.open(Content::Seq(Vec::new()), anchor, span)?;
            }
            Event::MappingStart(anchor, _) => {
                let content = Content::Map {
                    map: Map::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(content, anchor, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Scalar(text, style, anchor, tag) => {
                let span = self.covers(span);
                if self.wants_key() {
                    let key = match style {
                        ScalarStyle::Plain if text == "<<" => Key::Merge,
                        _ => Key::Name(text.into_owned()),
                    };
                    self.key(key, span)?;
                } else {
                    let node = Node::new(value(&text, style, tag.as_deref()), span);
                    self.add(node, anchor, 1)?;
                }
            }
            Event::Alias(anchor) => self.alias(anchor, span)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
        Ok(true)
    }

    pub(super) fn finish(self) -> Option<Node> {
        self.root
    }

    fn wants_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                content: Content::Map { key: None, .. },
                ..
            })
        )
    }

    fn open(&mut self, content: Content, anchor: usize, span: saphyr_parser::Span) -> Step<()> {
        let span = self.covers(span);
        if self.wants_key() {
            let message = "a key is a list or a mapping";
            return Err(Box::new(
                Diagnostic::error(Kind::Syntax, message)
                    .at(span)
                    .help("write a name there; put a value that starts with `{` or `[` in quotes"),
            ));
        }
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("lists and mappings nest deeper than {MAX_DEPTH}");
            return Err(Box::new(Diagnostic::error(Kind::Limit, message).at(span)));
        }
        self.stack.push(Frame {
            span,
            anchor,
            nodes_before: self.nodes,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: saphyr_parser::Span) -> Step<()> {
        let end = self.covers(end);
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let size = self.nodes - frame.nodes_before + 1;
        let mut span = frame.span;
        let value = match frame.content {
            Content::Seq(list) => {
                span = list.last().map_or(span, |last| span.to(last.span));
                Value::Seq(list)
            }
            Content::Map {
                mut map, merges, ..
            } => {
                if let (Some(first), Some(last)) = (map.first(), map.last()) {
                    span = span.to(first.1.key_span()).to(last.1.node.span);
                }
                for node in merges {
                    self.merge(&mut map, node);
                }
                Value::Map(map)
            }
        };
        // Of a flow collection the end is a bracket; of a block collection it is where the next thing starts.
        if self.text[end.start()..].starts_with([']', '}']) {
            span = span.to(self.span(end.start(), end.start() + 1));
        }
        self.add(Node::new(value, span), frame.anchor, size)
    }

    fn key(&mut self, name: Key, span: Span) -> Step<()> {
        if let Some(Frame {
            content: Content::Map { map, key, .. },
            ..
        }) = self.stack.last_mut()
        {
            if let Key::Name(name) = &name
                && let Some(first) = map.get(name)
            {
                self.found.push(
                    Diagnostic::error(Kind::DuplicateKey, format!("key `{name}` is here twice"))
                        .at(span)
                        .label("again here")
                        .related(first.key_span(), "first here")
                        .help("keep one of the two, or give one another name"),
                );
            }
            *key = Some((name, span));
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Step<()> {
        self.nodes += 1;
        if anchor != 0 {
            // Kept beside the tree, so it counts like a copy.
            self.spend(size, node.span)?;
            self.anchors.insert(
                anchor,
                Anchor {
                    node: node.clone(),
                    size,
                },
            );
        }
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::Seq(list)) => list.push(node),
            Some(Content::Map { map, key, merges }) => match key.take() {
                Some((Key::Name(name), span)) => {
                    map.entry(name).or_insert_with(|| Entry::new(span, node));
                }
                Some((Key::Merge, _)) => merges.push(node),
                None => {}
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: saphyr_parser::Span) -> Step<()> {
        let span = self.covers(span);
        let Some(found) = self.anchors.get(&anchor) else {
            let message = "an alias stands inside the value that it names";
            return Err(Box::new(Diagnostic::error(Kind::Syntax, message).at(span)));
        };
        let size = found.size;
        self.spend(size, span)?;
        let node = self.anchors[&anchor].node.clone();
        if self.wants_key() {
            return match node.value {
                Value::String(name) => self.key(Key::Name(name), span),
                _ => {
                    let message = "an alias that is no string stands for a key";
                    Err(Box::new(Diagnostic::error(Kind::Syntax, message).at(span)))
                }
            };
        }
        self.nodes += size - 1;
        self.add(node, 0, size)
    }

    fn spend(&mut self, size: usize, span: Span) -> Step<()> {
        self.copied += size;
        if self.copied > MAX_COPIED {
            let message = format!("aliases make more than {MAX_COPIED} values of this text");
            return Err(Box::new(
                Diagnostic::error(Kind::Limit, message)
                    .at(span)
                    .help("write the values out, or nest fewer aliases"),
            ));
        }
        Ok(())
    }

    /// Adds the keys of `<<` that are not there yet, so that what is written out wins and of several the first.
    fn merge(&mut self, map: &mut Map, node: Node) {
        match node.value {
            Value::Map(from) => {
                for (name, entry) in from {
                    map.entry(name).or_insert(entry);
                }
            }
            Value::Seq(list) if list.iter().all(|n| matches!(n.value, Value::Map(_))) => {
                for node in list {
                    self.merge(map, node);
                }
            }
            other => self.found.push(
                Diagnostic::error(
                    Kind::WrongType,
                    format!("`<<` merges mappings, found {}", other.kind()),
                )
                .at(node.span)
                .help("write `<<: *name` with the name of an anchored mapping"),
            ),
        }
    }
}

fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let string = || Value::String(text.to_owned());
    let core = tag.filter(|t| t.is_yaml_core_schema());
    match (core.map(|t| t.suffix.as_str()), style) {
        (Some("str"), _) => string(),
        (Some("int" | "float" | "bool" | "null"), _) => scalar::plain(text),
        (_, ScalarStyle::Plain)
            if tag.is_none_or(|t| !t.handle.is_empty() || !t.suffix.is_empty()) =>
        {
            scalar::plain(text)
        }
        _ => string(),
    }
}
