//! Attributes that tell what was done.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_pdata::splice::AttributeEditor;
use tidegate_pdata::view::AnyValue;

/// How much attributes tell of what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Summary {
    /// Keys and counts.
    Debug,
    /// Counts.
    Info,
    /// Nothing.
    #[default]
    Silent,
}

/// Keys to which something was done.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) count: usize,
    /// Whether names are asked for.
    named: bool,
    /// One after the other, and where each ends.
    text: String,
    ends: Vec<usize>,
}

impl Keys {
    pub(super) fn add(&mut self, key: &str) {
        self.count += 1;
        if self.named {
            self.text.push_str(key);
            self.ends.push(self.text.len());
        }
    }

    fn clear(&mut self) {
        self.count = 0;
        self.text.clear();
        self.ends.clear();
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(self.ends.iter().copied());
        ranges.map(|(start, end)| &self.text[start..end])
    }
}

/// What was done to the attributes of something, or to a body.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) redacted: Keys,
    pub(super) masked: Keys,
    pub(super) allowed: Keys,
    pub(super) ignored: Keys,
}

/// The names of the attributes, of keys and of counts.
type Names = [(Option<&'static str>, &'static str); 4];

/// Those of attributes.
pub(super) const ATTRIBUTES: Names = [
    (Some("redaction.redacted.keys"), "redaction.redacted.count"),
    (Some("redaction.masked.keys"), "redaction.masked.count"),
    (Some("redaction.allowed.keys"), "redaction.allowed.count"),
    (None, "redaction.ignored.count"),
];

/// Those of bodies.
pub(super) const BODY: Names = [
    (
        Some("redaction.body.redacted.keys"),
        "redaction.body.redacted.count",
    ),
    (
        Some("redaction.body.masked.keys"),
        "redaction.body.masked.count",
    ),
    (
        Some("redaction.body.allowed.keys"),
        "redaction.body.allowed.count",
    ),
    (None, "redaction.body.ignored.count"),
];

impl Done {
    pub(super) fn new(summary: Summary) -> Self {
        let keys = || Keys {
            named: summary == Summary::Debug,
            ..Keys::default()
        };
        Self {
            redacted: keys(),
            masked: keys(),
            allowed: keys(),
            ignored: keys(),
        }
    }

    pub(super) fn clear(&mut self) {
        let Self {
            redacted,
            masked,
            allowed,
            ignored,
        } = self;
        for keys in [redacted, masked, allowed, ignored] {
            keys.clear();
        }
    }

    /// Adds the attributes that tell of it to those that are there.
    pub(super) fn tell(
        &self,
        summary: Summary,
        names: &Names,
        attributes: &mut AttributeEditor<'_>,
    ) {
        if summary == Summary::Silent {
            return;
        }
        let all = [&self.redacted, &self.masked, &self.allowed, &self.ignored];
        for (keys, (list, count)) in all.into_iter().zip(names) {
            if keys.count == 0 {
                continue;
            }
            if let (Summary::Debug, Some(list)) = (summary, list) {
                let joined = joined(keys, attributes.get(list));
                attributes.upsert(list, joined.as_str());
            }
            let before = match attributes.get(count) {
                Some(AnyValue::Int(before)) => before,
                _ => 0,
            };
            attributes.upsert(count, before.saturating_add(keys.count as i64));
        }
    }
}

/// The keys, with those that are told of already, sorted.
fn joined(keys: &Keys, before: Option<AnyValue<'_>>) -> String {
    let before = before.and_then(|value| value.as_text());
    let before = before
        .map(|text| text.to_str().into_owned())
        .unwrap_or_default();
    let mut names: Vec<&str> = keys.names().collect();
    if !before.is_empty() {
        names.extend(before.split(','));
    }
    names.sort_unstable();
    names.join(",")
}
