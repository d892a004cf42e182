//! What is wrong with a configuration, or worth a warning.

use crate::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration works, but perhaps not as meant.
    Warning,
    /// The configuration cannot be run.
    Error,
}

/// What sort of finding it is; rendered as `error[unknown-key]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The text is not YAML.
    Syntax,
    /// A limit that keeps a hostile text from exhausting us was passed.
    Limit,
    /// A key is there twice in one mapping.
    DuplicateKey,
    /// A key that nothing reads.
    UnknownKey,
    /// A component type that does not exist, or is not built in.
    UnknownComponent,
    /// A value of another type than the field takes.
    WrongType,
    /// A value of the right type that the field cannot take.
    InvalidValue,
    /// A required key is not there.
    Missing,
    /// A reference to something that is not defined.
    Undefined,
    /// Something defined that nothing uses.
    Unused,
    /// Something named twice where once is meant.
    Duplicate,
    /// Connectors that join pipelines into a circle.
    Cycle,
    /// A reference to an environment variable that is not set.
    Unset,
    /// A `${…}` that cannot be carried out.
    Expansion,
    /// A source that cannot be read.
    Unreadable,
    /// Something of the Collector that is not built.
    NotBuilt,
    /// A setting that is accepted and does nothing.
    NoEffect,
    /// A setting with a newer spelling.
    Deprecated,
    /// Settings that contradict each other, or the surroundings.
    Conflict,
    /// A difference from the Collector that touches this configuration.
    Differs,
}

impl Kind {
    /// Gives the name that is shown and that scripts may match on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Limit => "limit",
            Self::DuplicateKey => "duplicate-key",
            Self::UnknownKey => "unknown-key",
            Self::UnknownComponent => "unknown-component",
            Self::WrongType => "wrong-type",
            Self::InvalidValue => "invalid-value",
            Self::Missing => "missing",
            Self::Undefined => "undefined",
            Self::Unused => "unused",
            Self::Duplicate => "duplicate",
            Self::Cycle => "cycle",
            Self::Unset => "unset",
            Self::Expansion => "expansion",
            Self::Unreadable => "unreadable",
            Self::NotBuilt => "not-built",
            Self::NoEffect => "no-effect",
            Self::Deprecated => "deprecated",
            Self::Conflict => "conflict",
            Self::Differs => "differs",
        }
    }
}

/// One finding: what is wrong, where, and what to write instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The sort of finding.
    pub kind: Kind,
    /// Path of the setting, such as `exporters::otlp/edge::endpoint`; empty for the whole document.
    pub path: String,
    /// What is wrong, lowercase and without a full stop.
    pub message: String,
    /// The text to underline.
    pub span: Span,
    /// Words beside the caret.
    pub label: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that matter, with what they are.
    pub related: Vec<(Span, String)>,
    /// Whether the line must not be shown, since it holds a secret.
    pub concealed: bool,
}

impl Diagnostic {
    /// Makes an error.
    pub fn error(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            kind,
            path: String::new(),
            message: message.into(),
            span: Span::NONE,
            label: None,
            help: None,
            related: Vec::new(),
            concealed: false,
        }
    }

    /// Makes a warning.
    pub fn warning(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(kind, message)
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// Says which setting.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Puts words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to write instead, if that is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Points at another place.
    #[must_use]
    pub fn related(mut self, span: Span, what: impl Into<String>) -> Self {
        self.related.push((span, what.into()));
        self
    }

    /// Keeps the line itself out of the output.
    #[must_use]
    pub fn conceal(mut self, concealed: bool) -> Self {
        self.concealed |= concealed;
        self
    }

    /// Says whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl std::fmt::Display for Diagnostic {
    /// Writes one line without position: `path: message; help`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// Many findings, in the order found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Says whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Counts the findings.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Says whether any is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }

    /// Walks over the findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Puts `prefix` before the path of each finding, as one moves from a component up to the document.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        for diagnostic in &mut self.list {
            diagnostic.path = join(prefix, &diagnostic.path);
        }
        self
    }

    /// Keeps the lines of all findings from an index on out of the output.
    pub(crate) fn conceal_from(&mut self, index: usize) {
        for diagnostic in &mut self.list[index..] {
            diagnostic.concealed = true;
        }
    }

    /// Puts the findings in the order of the text; those without a place come first.
    pub fn sort(&mut self) {
        self.list
            .sort_by_key(|found| (found.span.source(), found.span.start()));
    }

    /// Turns the errors of a kind into warnings, for `--unknown-keys=warn`.
    pub fn demote(&mut self, kind: Kind) {
        for diagnostic in self.list.iter_mut().filter(|d| d.kind == kind) {
            diagnostic.severity = Severity::Warning;
        }
    }
}

/// Joins two paths by `::`, either of which may be empty.
pub(crate) fn join(prefix: &str, path: &str) -> String {
    match (prefix.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => prefix.to_owned(),
        _ => format!("{prefix}::{path}"),
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, diagnostic) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            list: vec![diagnostic],
        }
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        self.list.extend(iter);
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Self {
            list: iter.into_iter().collect(),
        }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}
