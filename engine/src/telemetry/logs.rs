//! The process's own log: lines for people or JSON, with a bound on how often a line repeats.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tidegate_config::telemetry::{Encoding, LogLevel, Logs};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, callsite};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Makes the settings those of the whole process; only the first call counts.
///
/// `resource` is what each line carries of `service.telemetry.resource`.
pub(super) fn install(settings: &Logs, resource: &[(String, String)]) {
    let lines = Lines {
        level: level(settings.level),
        json: settings.encoding == Encoding::Json,
        stdout: settings
            .output_paths
            .iter()
            .any(|path| path.value == "stdout"),
        fields: fields(settings, resource),
        sampling: settings.sampling.enabled.then(|| Sampling {
            tick: settings.sampling.tick.into(),
            initial: u64::from(settings.sampling.initial),
            thereafter: u64::from(settings.sampling.thereafter),
            seen: Mutex::default(),
        }),
    };
    let marks = resource_field(settings, resource).filter(|_| !lines.json);
    let first = marks.filter(|_| lines.level >= Level::INFO).map(|fields| {
        let message = "this process, as its telemetry names it".to_owned();
        lines.line(Level::INFO, Visitor { message, fields })
    });
    let stdout = lines.stdout;
    let subscriber = tracing_subscriber::registry().with(lines);
    // A second call comes from a test in the same process, which shares the first one's log.
    if tracing::subscriber::set_global_default(subscriber).is_ok()
        && let Some(line) = first
    {
        write(stdout, &line);
    }
}

fn write(stdout: bool, line: &str) {
    // A log that cannot be written leaves nobody to tell.
    let _ = match stdout {
        true => io::stdout().lock().write_all(line.as_bytes()),
        false => io::stderr().lock().write_all(line.as_bytes()),
    };
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error | LogLevel::Dpanic | LogLevel::Panic | LogLevel::Fatal => Level::ERROR,
    }
}

/// What every line carries: a line for people has the resource once, at the start.
fn fields(settings: &Logs, resource: &[(String, String)]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in &settings.initial_fields {
        fields.insert(key.clone(), value.clone());
    }
    if settings.encoding == Encoding::Json {
        fields.extend(resource_field(settings, resource).into_iter().flatten());
    }
    fields
}

fn resource_field(settings: &Logs, resource: &[(String, String)]) -> Option<Map<String, Value>> {
    if settings.disable_zap_resource || resource.is_empty() {
        return None;
    }
    let resource = resource
        .iter()
        .map(|(key, value)| (key.clone(), Value::String(value.clone())));
    let field = ("resource".to_owned(), Value::Object(resource.collect()));
    Some(Map::from_iter([field]))
}

/// The targets of lines that are never thinned: a component's output, which has a sampling of its
/// own, and the ledger, of which every row counts.
const WHOLE: [&str; 2] = ["tidegate::output", "tidegate::ledger"];

/// Writes each event as one line.
struct Lines {
    level: Level,
    json: bool,
    stdout: bool,
    fields: Map<String, Value>,
    sampling: Option<Sampling>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // What libraries say below a warning is for their own developers.
        let ours = metadata.target().starts_with("tidegate");
        let least = if ours {
            self.level
        } else {
            self.level.min(Level::WARN)
        };
        *metadata.level() <= least
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if let Some(sampling) = &self.sampling
            && !WHOLE.contains(&metadata.target())
            && !sampling.takes(metadata.callsite())
        {
            return;
        }
        let mut visitor = Visitor::default();
        event.record(&mut visitor);
        let line = self.line(*metadata.level(), visitor);
        write(self.stdout, &line);
    }
}

impl Lines {
    fn line(&self, level: Level, visitor: Visitor) -> String {
        let time = Timestamp::now();
        let level = level.as_str().to_ascii_lowercase();
        let mut fields = self.fields.clone();
        fields.extend(visitor.fields);
        if self.json {
            let mut object = Map::new();
            object.insert("level".to_owned(), Value::String(level));
            object.insert("ts".to_owned(), Value::String(time.to_string()));
            object.insert("msg".to_owned(), Value::String(visitor.message));
            object.extend(fields);
            return format!("{}\n", Value::Object(object));
        }
        let message = visitor.message;
        if fields.is_empty() {
            format!("{time:.3}\t{level}\t{message}\n")
        } else {
            format!("{time:.3}\t{level}\t{message}\t{}\n", Value::Object(fields))
        }
    }
}

/// An event's message and its other fields.
#[derive(Default)]
struct Visitor {
    message: String,
    fields: Map<String, Value>,
}

impl Visitor {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// Lets the first lines of a place in the code through in each tick, and then each so-manieth.
struct Sampling {
    tick: Duration,
    initial: u64,
    thereafter: u64,
    seen: Mutex<HashMap<callsite::Identifier, Seen>>,
}

struct Seen {
    since: Instant,
    count: u64,
}

impl Sampling {
    fn takes(&self, place: callsite::Identifier) -> bool {
        let now = Instant::now();
        let mut places = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = places.entry(place).or_insert(Seen {
            since: now,
            count: 0,
        });
        if now.duration_since(seen.since) >= self.tick {
            *seen = Seen {
                since: now,
                count: 0,
            };
        }
        seen.count += 1;
        let past = seen.count.saturating_sub(self.initial);
        past == 0 || (self.thereafter > 0 && past.is_multiple_of(self.thereafter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(json: bool) -> Lines {
        Lines {
            level: Level::INFO,
            json,
            stdout: false,
            fields: Map::new(),
            sampling: None,
        }
    }

    fn visitor() -> Visitor {
        let mut visitor = Visitor {
            message: "export failed".to_owned(),
            ..Visitor::default()
        };
        visitor.fields.insert("attempts".to_owned(), 3.into());
        visitor
    }

    #[test]
    fn console_lines_have_time_level_message_and_fields() {
        let line = lines(false).line(Level::WARN, visitor());
        let parts: Vec<_> = line.trim_end().split('\t').collect();
        assert_eq!(&parts[1..], ["warn", "export failed", r#"{"attempts":3}"#]);
        assert!(parts[0].ends_with('Z'), "{line}");
    }

    #[test]
    fn lines_for_machines_carry_the_resource_and_those_for_people_do_not() {
        let resource = [("service.name".to_owned(), "edge".to_owned())];
        let mut logs = Logs::default();
        assert_eq!(fields(&logs, &resource), Map::new());
        logs.encoding = Encoding::Json;
        let all = fields(&logs, &resource);
        assert_eq!(all["resource"]["service.name"], "edge");
        logs.disable_zap_resource = true;
        assert_eq!(fields(&logs, &resource), Map::new());
    }

    #[test]
    fn json_lines_are_objects() {
        let line = lines(true).line(Level::ERROR, visitor());
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["level"], "error");
        assert_eq!(object["msg"], "export failed");
        assert_eq!(object["attempts"], 3);
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_lines_are_thinned_until_the_tick_is_over() {
        struct Place;
        impl callsite::Callsite for Place {
            fn set_interest(&self, _: tracing::subscriber::Interest) {}
            fn metadata(&self) -> &Metadata<'_> {
                unreachable!("only its identity is used")
            }
        }
        static PLACE: Place = Place;
        let place = || callsite::Identifier(&PLACE);
        let sampling = Sampling {
            tick: Duration::from_secs(10),
            initial: 2,
            thereafter: 3,
            seen: Mutex::default(),
        };
        let taken: Vec<bool> = (0..8).map(|_| sampling.takes(place())).collect();
        let expected = [true, true, false, false, true, false, false, true];
        assert_eq!(taken, expected);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(sampling.takes(place()));
    }
}
