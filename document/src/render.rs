//! Findings as a person reads them: the line, a caret under the text, what is wrong, what to write instead.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::{Diagnostic, Diagnostics, Severity, Sources, Span};

/// Whether to write colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// For files, pipes and tests.
    Plain,
    /// For terminals.
    Coloured,
}

impl Diagnostics {
    /// Renders every finding, errors and warnings in the order found, a blank line between them.
    pub fn render(&self, sources: &Sources, paint: Paint) -> String {
        let renderer = match paint {
            Paint::Plain => Renderer::plain(),
            Paint::Coloured => Renderer::styled(),
        };
        let rendered: Vec<String> = self
            .iter()
            .map(|d| renderer.render(&[group(d, sources)]))
            .collect();
        rendered.join("\n\n")
    }
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = match diagnostic.path.as_str() {
        "" => diagnostic.message.clone(),
        path => format!("{path}: {}", diagnostic.message),
    };
    let mut group = Group::with_title(level.primary_title(title).id(diagnostic.kind.name()));
    if diagnostic.concealed {
        if let Some(place) = sources.locate(diagnostic.span) {
            group = group.element(
                Origin::path(place.source)
                    .line(place.line)
                    .char_column(place.column),
            );
        }
    } else {
        for snippet in snippets(diagnostic, sources) {
            group = group.element(snippet);
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// Gives one snippet per source, the first being that of the finding itself.
fn snippets<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a Sources,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut marks = vec![(
        diagnostic.span,
        AnnotationKind::Primary,
        diagnostic.label.as_deref(),
    )];
    marks.extend(
        diagnostic
            .related
            .iter()
            .map(|(span, what)| (*span, AnnotationKind::Context, Some(what.as_str()))),
    );
    let mut order = Vec::new();
    for (span, ..) in &marks {
        if let Some(source) = span.source()
            && !order.contains(&source)
        {
            order.push(source);
        }
    }
    order
        .into_iter()
        .map(|source| {
            let text = sources.text(source);
            let annotations = marks
                .iter()
                .filter(|(span, ..)| span.source() == Some(source))
                .map(|(span, kind, label)| kind.span(shown(*span, text)).label(*label));
            Snippet::source(text)
                .path(sources.name(source))
                .annotations(annotations)
        })
        .collect()
}

/// Cuts a span to its first line and to the borders of characters.
fn shown(span: Span, text: &str) -> std::ops::Range<usize> {
    let mut start = span.start().min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let line_end = text[start..]
        .find(['\n', '\r'])
        .map_or(text.len(), |i| start + i);
    let mut end = span.end().clamp(start, line_end);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn a_finding_shows_line_caret_and_remedy() {
        let mut sources = Sources::default();
        let text = "exporters:\n  otlp:\n    endpont: x\n    endpoint: y\n";
        let id = sources.add("c.yaml", text);
        let at = text.find("endpont").unwrap();
        let other = text.find("endpoint").unwrap();
        let found = Diagnostic::error(Kind::UnknownKey, "unknown key `endpont`")
            .path("exporters::otlp")
            .at(Span::new(id, at, at + 7))
            .related(Span::new(id, other, other + 8), "the known one")
            .help("did you mean `endpoint`?");
        insta::assert_snapshot!(Diagnostics::from(found).render(&sources, Paint::Plain), @r"
        error[unknown-key]: exporters::otlp: unknown key `endpont`
         --> c.yaml:3:5
          |
        3 |     endpont: x
          |     ^^^^^^^
        4 |     endpoint: y
          |     -------- the known one
          |
          = help: did you mean `endpoint`?
        ");
    }

    #[test]
    fn a_secret_line_is_not_shown() {
        let mut sources = Sources::default();
        let id = sources.add("c.yaml", "token: [hunter2]\n");
        let found = Diagnostic::error(Kind::WrongType, "expected a string, found a list")
            .path("token")
            .at(Span::new(id, 7, 16))
            .conceal(true);
        let text = Diagnostics::from(found).render(&sources, Paint::Plain);
        assert!(text.contains("c.yaml:1:8"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_span_that_is_off_never_panics() {
        let mut sources = Sources::default();
        let id = sources.add("c.yaml", "ü: ö");
        for (start, end) in [(1, 2), (0, 99), (99, 99), (6, 6)] {
            let found = Diagnostic::error(Kind::Syntax, "x").at(Span::new(id, start, end));
            assert!(
                Diagnostics::from(found)
                    .render(&sources, Paint::Plain)
                    .contains("c.yaml")
            );
        }
    }
}
