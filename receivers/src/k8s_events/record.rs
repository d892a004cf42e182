//! The log record of an event.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};
use tidegate_pdata::compose::{Request, Value, log_record};
use tidegate_transport::kubernetes::{Came, Event};

use super::Changes;
use crate::kubernetes::{Records, Tell, is_later};

const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8seventsreceiver";
/// How many events are remembered that were told of.
const REMEMBERED: usize = 100_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EventObject {
    metadata: Metadata,
    involved_object: Involved,
    source: Source,
    reason: String,
    action: String,
    message: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    count: i64,
    event_time: Time,
    last_timestamp: Time,
    first_timestamp: Time,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    uid: String,
    resource_version: String,
    creation_timestamp: Time,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Involved {
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    api_version: String,
    resource_version: String,
    field_path: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Source {
    host: String,
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A time; none where there is none, or `null`.
#[derive(Clone, Copy, Debug, Default)]
struct Time(Option<Timestamp>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        Ok(Self(text.and_then(|text| text.parse().ok())))
    }
}

impl Time {
    fn nanos(self) -> u64 {
        let nanos = self.0.map_or(0, |time| time.as_nanosecond().max(0));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// As the original writes times in texts.
    fn text(self) -> String {
        match self.0 {
            None => "0001-01-01 00:00:00 +0000 UTC".to_owned(),
            Some(time) => {
                let time = time.to_zoned(TimeZone::UTC);
                time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
            }
        }
    }
}

impl EventObject {
    /// When it happened last.
    fn time(&self) -> u64 {
        let times = [self.event_time, self.last_timestamp, self.first_timestamp];
        let known = times.into_iter().find(|time| time.0.is_some());
        known.unwrap_or_default().nanos()
    }

    fn severity(&self) -> Option<u64> {
        match self.kind.to_ascii_lowercase().as_str() {
            "normal" => Some(9),
            "warning" => Some(13),
            "error" => Some(17),
            "critical" => Some(21),
            _ => None,
        }
    }

    fn write(&self, request: &mut Request) {
        let involved = &self.involved_object;
        request.resource(|resource| {
            for (name, value) in [
                ("k8s.node.name", &self.source.host),
                ("k8s.object.kind", &involved.kind),
                ("k8s.object.name", &involved.name),
                ("k8s.object.uid", &involved.uid),
                ("k8s.object.fieldpath", &involved.field_path),
                ("k8s.object.api_version", &involved.api_version),
                ("k8s.object.resource_version", &involved.resource_version),
            ] {
                resource.attribute(1, name, value);
            }
        });
        request.scope(SCOPE, env!("CARGO_PKG_VERSION"));
        request.record(|record| {
            record.fixed64(log_record::TIME, self.time());
            if let Some(severity) = self.severity() {
                record.uint(log_record::SEVERITY_NUMBER, severity);
                record.string(log_record::SEVERITY_TEXT, &self.kind);
            }
            record.value(log_record::BODY, Value::Str(&self.message));
            let start = self.metadata.creation_timestamp.text();
            for (name, value) in [
                ("k8s.event.reason", &self.reason),
                ("k8s.event.action", &self.action),
                ("k8s.event.start_time", &start),
                ("k8s.event.name", &self.metadata.name),
                ("k8s.event.uid", &self.metadata.uid),
                ("k8s.namespace.name", &involved.namespace),
            ] {
                record.attribute(log_record::ATTRIBUTES, name, value);
            }
            if self.count != 0 {
                record.attribute(log_record::ATTRIBUTES, "k8s.event.count", self.count);
            }
        });
    }
}

/// Tells of events.
#[derive(Debug)]
pub(super) struct Events {
    /// What happened before is not told of.
    began: u64,
    changes: Changes,
    /// The latest version that was seen; what a list has of older ones has been told.
    seen: Option<String>,
    /// What that was when the list began that is being read.
    before: Option<String>,
    /// Whether the place of the process before was known, so that nothing is too old.
    resumed: bool,
    told: HashMap<String, u64>,
}

impl Events {
    pub(super) fn new(began: u64, changes: Changes, kept: Option<String>) -> Self {
        Self {
            began,
            changes,
            resumed: kept.is_some(),
            before: None,
            seen: kept,
            told: HashMap::new(),
        }
    }

    /// Whether an event is told of that was told of before, or is not known to be new.
    fn is_due(&mut self, event: &EventObject, came: Came) -> bool {
        let every = match self.changes {
            Changes::Each => return true,
            Changes::None => return came != Came::Changed,
            Changes::Every(every) => u64::try_from(every.as_nanos()).unwrap_or(u64::MAX),
        };
        let now = crate::host_metrics::now();
        let last = self.told.get(&event.metadata.uid).copied();
        if last.is_some_and(|last| now.saturating_sub(last) < every) {
            return came == Came::Added;
        }
        if self.told.len() >= REMEMBERED {
            self.told
                .retain(|_, last| now.saturating_sub(*last) < every);
        }
        if self.told.len() < REMEMBERED {
            self.told.insert(event.metadata.uid.clone(), now);
        }
        true
    }
}

impl Tell for Events {
    fn tell(&mut self, event: Event<'_>, records: &mut Records) {
        let (json, came) = match event {
            Event::Put(json, came) => (json, came),
            Event::Begun => {
                self.before.clone_from(&self.seen);
                return;
            }
            Event::Gone(_) | Event::Listed | Event::Idle => return,
        };
        let event: EventObject = match serde_json::from_str(json) {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "an event of Kubernetes makes no sense");
                return;
            }
        };
        let version = &event.metadata.resource_version;
        let known = self.before.as_ref().filter(|_| came == Came::Listed);
        let listed_before = known.is_some_and(|before| !is_later(version, before));
        let old = !self.resumed && event.time() < self.began;
        if !listed_before && !old && self.is_due(&event, came) {
            event.write(records.request());
        }
        if self
            .seen
            .as_ref()
            .is_none_or(|seen| is_later(version, seen))
        {
            self.seen = Some(version.clone());
        }
    }
}
