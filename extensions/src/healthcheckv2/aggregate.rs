//! Statuses of components, and what they come to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tidegate_component::status::{Phase, PipelineStatus, StatusSource};
use tokio::time::Instant;

/// A status in the original's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Starting,
    Ok,
    RecoverableError,
    Stopping,
}

impl Word {
    const fn name(self) -> &'static str {
        match self {
            Self::Starting => "StatusStarting",
            Self::Ok => "StatusOK",
            Self::RecoverableError => "StatusRecoverableError",
            Self::Stopping => "StatusStopping",
        }
    }
}

/// Since when a component has its status, as far as probes have seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    word: Word,
    since: (Timestamp, Instant),
}

/// Looks at the process, and remembers since when its components are as they are.
#[derive(Debug)]
pub(super) struct Observer {
    start: (Timestamp, Instant),
    /// How long an exporter may fail; without it, for ever.
    recovery: Option<Duration>,
    seen: Mutex<HashMap<String, Seen>>,
}

/// How a component, a pipeline or the process is.
#[derive(Clone, Debug)]
pub(super) struct State {
    word: Word,
    error: Option<String>,
    healthy: bool,
    since: Timestamp,
    within: Vec<(String, State)>,
}

impl Observer {
    pub(super) fn new(recovery: Option<Duration>) -> Self {
        Self {
            start: (Timestamp::now(), Instant::now()),
            recovery,
            seen: Mutex::default(),
        }
    }

    /// When it began to look.
    pub(super) const fn since(&self) -> Timestamp {
        self.start.0
    }

    /// How the process is.
    pub(super) fn look(&self, source: &dyn StatusSource) -> State {
        let word = match source.phase() {
            Phase::Starting => Word::Starting,
            Phase::Running => Word::Ok,
            Phase::Stopping => Word::Stopping,
        };
        let extensions = source.extensions().into_iter().map(|name| {
            let name = format!("extension:{name}");
            let state = self.state(&format!("extensions {name}"), word, None);
            (name, state)
        });
        let extensions = self.sum("extensions", word, extensions.collect());
        let mut within = vec![("extensions".to_owned(), extensions)];
        for pipeline in source.pipelines() {
            let name = format!("pipeline:{}", pipeline.name);
            let state = self.pipeline(&name, &pipeline, word);
            within.push((name, state));
        }
        self.sum("", word, within)
    }

    fn pipeline(&self, name: &str, pipeline: &PipelineStatus, word: Word) -> State {
        let mut within = Vec::new();
        let plain = [
            ("receiver", &pipeline.receivers),
            ("processor", &pipeline.processors),
        ];
        for (kind, ids) in plain {
            for id in ids {
                let own = format!("{kind}:{id}");
                let state = self.state(&format!("{name} {own}"), word, None);
                within.push((own, state));
            }
        }
        for exporter in &pipeline.exporters {
            let own = format!("exporter:{}", exporter.id);
            let word = match (word, &exporter.error) {
                (Word::Ok, Some(_)) => Word::RecoverableError,
                (word, _) => word,
            };
            let error = exporter.error.clone();
            let state = self.state(&format!("{name} {own}"), word, error);
            within.push((own, state));
        }
        self.sum(name, word, within)
    }

    /// The state of one component.
    fn state(&self, name: &str, word: Word, error: Option<String>) -> State {
        let seen = self.note(name, word);
        let failed = || {
            self.recovery
                .is_some_and(|most| seen.since.1.elapsed() >= most)
        };
        State {
            word,
            healthy: match word {
                Word::Ok => true,
                Word::RecoverableError => !failed(),
                Word::Starting | Word::Stopping => false,
            },
            error,
            since: seen.since.0,
            within: Vec::new(),
        }
    }

    /// What states come to: the worst of them.
    fn sum(&self, name: &str, word: Word, within: Vec<(String, State)>) -> State {
        let failing = |(_, state): &&(String, State)| state.word == Word::RecoverableError;
        let mut failing = within.iter().filter(failing).map(|(_, state)| state);
        let first = failing.clone().next();
        // One that has failed for too long says more than one that just began to.
        let worst = failing.find(|state| !state.healthy).or(first);
        let (word, error, healthy) = match worst {
            Some(worst) => (worst.word, worst.error.clone(), worst.healthy),
            None => (word, None, word == Word::Ok),
        };
        State {
            word,
            error,
            healthy,
            since: self.note(name, word).since.0,
            within,
        }
    }

    /// Notes the status of a component, and says since when it is that.
    fn note(&self, name: &str, word: Word) -> Seen {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A component was as it is now since the start, for all that is known.
        let since = match all.get(name) {
            None if word == Word::Ok => self.start,
            _ => (Timestamp::now(), Instant::now()),
        };
        let seen = all.entry(name.to_owned()).or_insert(Seen { word, since });
        if seen.word != word {
            *seen = Seen { word, since };
        }
        *seen
    }
}

impl State {
    /// That of a pipeline within.
    pub(super) fn pipeline(&self, name: &str) -> Option<Self> {
        let wanted = format!("pipeline:{name}");
        let found = self.within.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, state)| state.clone())
    }

    /// What a probe is answered.
    pub(super) fn code(&self) -> StatusCode {
        super::code(self.healthy, self.word == Word::RecoverableError)
    }

    /// As the original writes it, with all that is within where that is asked for.
    pub(super) fn json(&self, start: Timestamp, verbose: bool) -> Value {
        let mut object = self.object(verbose);
        object.insert("start_time".to_owned(), json!(start.to_string()));
        Value::Object(object)
    }

    fn object(&self, verbose: bool) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("healthy".to_owned(), json!(self.healthy));
        object.insert("status".to_owned(), json!(self.word.name()));
        if let Some(error) = &self.error {
            object.insert("error".to_owned(), json!(error));
        }
        object.insert("status_time".to_owned(), json!(self.since.to_string()));
        if verbose && !self.within.is_empty() {
            let within = self.within.iter();
            let within =
                within.map(|(name, state)| (name.clone(), Value::Object(state.object(true))));
            object.insert("components".to_owned(), Value::Object(within.collect()));
        }
        object
    }
}
