//! Where points come from: `job`, `instance` and what else is known of a resource.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tidegate_pdata::view::{AnyValue, Attributes, Resource};

use super::labels::LabelSet;
use super::naming::Namer;
use super::series::Series;

pub(crate) const NAME: &[u8] = b"service.name";
pub(crate) const NAMESPACE: &[u8] = b"service.namespace";
pub(crate) const INSTANCE: &[u8] = b"service.instance.id";

/// Which attributes of a resource every series of it carries as labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceLabels {
    /// None but `job` and `instance`.
    None,
    /// All but those that `job` and `instance` are made of.
    Others,
    /// All.
    All,
}

/// What a resource gives to its series.
///
/// Resources that give the same are one: a restarted process goes on with the series of the one before.
#[derive(Debug)]
pub(crate) struct Origin {
    /// What it gives, in one piece.
    pub(super) key: Box<[u8]>,
    pub(crate) job: Option<String>,
    pub(crate) instance: Option<String>,
    /// Attributes that become labels: keys and values.
    pub(crate) attributes: Vec<(String, String)>,
}

/// A resource as it came.
#[derive(Debug)]
pub(super) struct Source {
    /// No other source has it.
    pub(super) id: u64,
    pub(super) bytes: Box<[u8]>,
    pub(super) origin: Arc<Origin>,
    pub(super) target: Option<Arc<Target>>,
    /// When it was last met, in milliseconds of the store's clock.
    pub(super) used: AtomicU64,
}

/// The `target_info` of one `job` and `instance`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) job: String,
    pub(super) instance: String,
    /// The series that is shown, and the source that it tells of.
    pub(super) shown: Mutex<Option<(u64, Arc<Series>)>>,
}

impl Origin {
    pub(crate) fn of(resource: Resource<'_>, labels: ResourceLabels) -> Self {
        let attributes = resource.attributes();
        let text = |key: &[u8]| attributes.get(key).map(text);
        let job = text(NAME).map(|name| match text(NAMESPACE) {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        });
        let mut origin = Self {
            key: Box::default(),
            job,
            instance: text(INSTANCE),
            attributes: Vec::new(),
        };
        if labels != ResourceLabels::None {
            for (key, value) in attributes {
                let service = [NAME, NAMESPACE, INSTANCE].contains(&key.as_bytes());
                if labels == ResourceLabels::All || !service {
                    let key = key.to_str().into_owned();
                    origin.attributes.push((key, self::text(value)));
                }
            }
            origin.attributes.sort();
        }
        origin.key = origin.packed();
        origin
    }

    /// Everything in one piece, with a byte between that no text has.
    fn packed(&self) -> Box<[u8]> {
        let mut key = Vec::new();
        for part in [&self.job, &self.instance] {
            key.push(u8::from(part.is_some()));
            key.extend_from_slice(part.as_deref().unwrap_or_default().as_bytes());
            key.push(0xff);
        }
        for (name, value) in &self.attributes {
            for part in [name, value] {
                key.extend_from_slice(part.as_bytes());
                key.push(0xff);
            }
        }
        key.into_boxed_slice()
    }

    /// The key of its `target_info`: `job` and `instance`, if it has both.
    pub(super) fn target(&self) -> Option<(&str, &str)> {
        let job = self.job.as_deref().filter(|job| !job.is_empty());
        let instance = self.instance.as_deref().filter(|name| !name.is_empty());
        job.zip(instance)
    }
}

impl Source {
    pub(super) fn touch(&self, now: u64) {
        self.used.store(now, Relaxed);
    }

    pub(super) fn is_used_since(&self, then: u64) -> bool {
        self.used.load(Relaxed) >= then
    }
}

impl Target {
    /// The labels of its series: what is known of the resource but what `job` and `instance` tell.
    ///
    /// Attributes whose names come to nothing are left out, and those that come to one name are joined.
    pub(super) fn labels(&self, attributes: Attributes<'_>, namer: &Namer) -> LabelSet {
        let mut labels = LabelSet::default();
        for (key, value) in attributes {
            if [NAME, NAMESPACE, INSTANCE].contains(&key.as_bytes()) {
                continue;
            }
            if let Some(name) = namer.label(&key.to_str())
                && !name.starts_with("__")
            {
                labels.join(name, &text(value));
            }
        }
        labels.replace("job", &self.job);
        labels.replace("instance", &self.instance);
        labels
    }
}

/// A value as the text of a label.
pub(crate) fn text(value: AnyValue<'_>) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = value.write_text(&mut text);
    text
}
