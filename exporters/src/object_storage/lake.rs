//! The lake: objects that are being filled, and those that wait to be committed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tidegate_component::metrics::Metrics;
use tidegate_component::{
    BulkExporter, Delivered, ExportError, Origin, Portion, Position, Sealed, async_trait,
};
use tidegate_pdata::{Budget, Payload, Reservation};
use tokio::time::Instant;
use uuid::Uuid;

use super::fill::Tally;
use super::layout::{Identity, Key, Layout};
use super::lines::{Compression, LineFormat};
use super::meters::Meters;
use super::open::{Content, Open};
use super::parquet::{Encoders, Settings};
use super::recipe::Recipe;
use super::store::{Put, Target};

/// When objects are sealed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roll {
    /// Bytes from which an object is sealed.
    pub(super) size: usize,
    /// Items from which an object is sealed.
    pub(super) items: usize,
    /// How long the first record of an object waits; none seals after each batch.
    pub(super) age: Option<Duration>,
}

/// What objects hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    Parquet(Settings),
    Lines {
        format: LineFormat,
        compression: Compression,
        level: i32,
    },
}

/// How the lake is kept.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) layout: Layout,
    pub(super) format: Format,
    pub(super) roll: Roll,
    /// Bytes that may be held before objects are sealed early.
    pub(super) max_buffer: usize,
    /// Objects that may be filled at a time before the oldest are sealed early.
    pub(super) max_open: usize,
}

/// An exporter that fills objects and puts them into a store.
pub(super) struct Lake {
    pub(super) plan: Plan,
    pub(super) target: Target,
    /// What names of objects begin with, where they come from no queue on disk.
    process: Uuid,
    /// The queue on disk that batches come from.
    origin: OnceLock<Origin>,
    state: Mutex<State>,
    /// Objects by ordinal, until they are committed or given up.
    sealed: Mutex<HashMap<u64, Arc<Ready>>>,
    /// Bytes of OTLP that rows point into.
    pub(super) held: Arc<AtomicUsize>,
    budget: Arc<Budget>,
    meters: Meters,
}

/// What `add` and `seal` work on.
pub(super) struct State {
    pub(super) open: Vec<Open>,
    /// Where in `open` an object is.
    pub(super) index: HashMap<Key, usize>,
    pub(super) encoders: Encoders,
    next: u64,
    /// Whether there was no room for a batch.
    pressed: bool,
    /// The budget's share of what is encoded in open objects.
    encoded: Reservation,
}

/// An object that waits to be committed.
struct Ready {
    path: Path,
    content: Result<Bytes, String>,
    /// Whether another life may have put it.
    is_again: bool,
    _share: Reservation,
}

impl Lake {
    pub(super) fn new(plan: Plan, target: Target, budget: &Arc<Budget>, metrics: &Metrics) -> Self {
        let settings = match &plan.format {
            Format::Parquet(settings) => settings.clone(),
            Format::Lines { .. } => Settings::default(),
        };
        Self {
            plan,
            target,
            process: Uuid::now_v7(),
            origin: OnceLock::new(),
            state: Mutex::new(State {
                open: Vec::new(),
                index: HashMap::new(),
                encoders: Encoders::new(settings),
                next: 0,
                pressed: false,
                encoded: budget.overdraw(0),
            }),
            sealed: Mutex::default(),
            held: Arc::default(),
            budget: Arc::clone(budget),
            meters: Meters::new(metrics),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> MutexGuard<'_, HashMap<u64, Arc<Ready>>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether more is held than may be, and sealing would help.
    fn is_too_much(&self, state: &State) -> bool {
        let encoded: usize = state.open.iter().map(Open::encoded).sum();
        self.held.load(Relaxed) + encoded > self.plan.max_buffer && !state.open.is_empty()
    }

    /// Closes an object and keeps it until it is committed.
    fn close(&self, state: &mut State, open: Open) -> Sealed {
        state.next += 1;
        let ordinal = state.next;
        let resumed = (self.origin.get())
            .map(|origin| Uuid::from_bytes(origin.logs[open.key.signal.index()]));
        let identity = Identity {
            origin: resumed.unwrap_or(self.process),
            first: open.first,
            ordinal,
        };
        let path = self
            .plan
            .layout
            .path(&self.target.root, &open.key, identity);
        let recipe = match resumed {
            Some(_) => Recipe::new(self.plan.format.clone(), open.key.table).encode(),
            // Nobody will make it again.
            None => Bytes::new(),
        };
        let content = self.finish(open.content, &mut state.encoders);
        let name = path.to_string();
        self.keep(ordinal, path, content, false);
        Sealed {
            ordinal,
            name,
            parts: open.parts,
            recipe,
        }
    }

    /// Ends what an object is filled with.
    pub(super) fn finish(
        &self,
        content: Content,
        encoders: &mut Encoders,
    ) -> Result<Bytes, String> {
        let wrong =
            |error: &dyn std::error::Error| format!("the object cannot be written: {error}");
        match content {
            Content::Parquet(file) => {
                let (bytes, inexact) = file.finish(encoders).map_err(|error| wrong(&error))?;
                self.meters.inexact.add(inexact);
                Ok(Bytes::from(bytes))
            }
            Content::Lines(lines) => lines
                .finish()
                .map(Bytes::from)
                .map_err(|error| wrong(&error)),
            Content::Failed(reason) => Err(reason),
        }
    }

    /// Keeps an object until it is committed.
    pub(super) fn keep(
        &self,
        ordinal: u64,
        path: Path,
        content: Result<Bytes, String>,
        is_again: bool,
    ) {
        let size = content.as_ref().map_or(0, Bytes::len);
        let ready = Ready {
            path,
            content,
            is_again,
            _share: self.budget.overdraw(size),
        };
        self.ready().insert(ordinal, Arc::new(ready));
        self.meters.waiting.set(self.ready().len() as i64);
    }

    fn let_go(&self, sealed: &Sealed) -> Option<Arc<Ready>> {
        let gone = self.ready().remove(&sealed.ordinal);
        self.meters.waiting.set(self.ready().len() as i64);
        gone
    }
}

impl State {
    /// Takes out the objects that are due, in the order in which they were opened.
    fn take_due(&mut self, plan: &Plan, now: Instant, too_much: usize) -> Vec<Open> {
        if std::mem::take(&mut self.pressed) {
            let mut weights: Vec<_> = (self.open.iter().enumerate())
                .map(|(at, open)| (open.weight(), at))
                .collect();
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let mut left = too_much;
            for (weight, at) in weights {
                if left == 0 {
                    break;
                }
                left = left.saturating_sub(weight.max(1));
                self.open[at].is_full = true;
            }
        }
        let extra = self.open.len().saturating_sub(plan.max_open);
        for open in self.open.iter_mut().take(extra) {
            open.is_full = true;
        }
        let is_old = |open: &Open| {
            let age = plan.roll.age.unwrap_or_default();
            now.saturating_duration_since(open.since) >= age
        };
        let (due, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|open| open.is_full || is_old(open));
        self.open = open;
        let index = self
            .open
            .iter()
            .enumerate()
            .filter(|(_, open)| !open.is_full);
        self.index = index.map(|(at, open)| (open.key.clone(), at)).collect();
        due
    }

    /// Writes what is enough for a row group; a full object takes no further batch.
    fn settle(&mut self, at: usize, roll: &Roll) {
        let Some(object) = self.open.get_mut(at) else {
            return;
        };
        object.settle(&mut self.encoders);
        object.is_full |=
            roll.age.is_none() || object.items >= roll.items || object.size() >= roll.size;
        if object.is_full {
            self.index.remove(&object.key);
        }
    }

    /// Puts what is encoded on the budget.
    fn charge(&mut self) {
        let encoded = self.open.iter().map(Open::encoded).sum();
        self.encoded.resize(encoded);
    }
}

#[async_trait]
impl BulkExporter for Lake {
    fn resume(&self, origin: Origin) {
        self.state().next = origin.first_ordinal.saturating_sub(1);
        // It is told once.
        let _ = self.origin.set(origin);
    }

    fn add(&self, portion: &Portion<'_>) -> Result<Delivered, ExportError> {
        let mut state = self.state();
        if self.is_too_much(&state) {
            state.pressed = true;
            return Err(ExportError::Refused {
                endpoint: Arc::clone(&self.target.name),
                after: None,
            });
        }
        let mut tally = Tally::new(portion);
        self.fill(&mut state, portion.batch.payload(), &mut tally);
        for at in tally.touched() {
            state.settle(at, &self.plan.roll);
        }
        state.charge();
        self.meters.open.set(state.open.len() as i64);
        Ok(tally.delivered())
    }

    fn due(&self) -> Option<Instant> {
        let state = self.state();
        let age = self.plan.roll.age.unwrap_or_default();
        let hurried = state.pressed || state.open.len() > self.plan.max_open;
        let due = |open: &Open| {
            if open.is_full || hurried {
                open.since
            } else {
                open.since + age
            }
        };
        state.open.iter().map(due).min()
    }

    fn seal(&self, now: Instant) -> Vec<Sealed> {
        let mut state = self.state();
        let encoded: usize = state.open.iter().map(Open::encoded).sum();
        let too_much = (self.held.load(Relaxed) + encoded).saturating_sub(self.plan.max_buffer / 2);
        let due = state.take_due(&self.plan, now, too_much);
        let sealed = due
            .into_iter()
            .map(|open| self.close(&mut state, open))
            .collect();
        state.charge();
        self.meters.open.set(state.open.len() as i64);
        sealed
    }

    fn rebuild(
        &self,
        sealed: &Sealed,
        fetch: &mut dyn FnMut(Position) -> Result<Payload, ExportError>,
    ) -> Result<(), ExportError> {
        self.make_again(sealed, fetch)
    }

    async fn commit(&self, sealed: &Sealed) -> Result<(), ExportError> {
        // One that is not there any more was committed before.
        let Some(ready) = self.ready().get(&sealed.ordinal).map(Arc::clone) else {
            return Ok(());
        };
        let content = ready
            .content
            .clone()
            .map_err(|reason| ExportError::Permanent {
                endpoint: Arc::clone(&self.target.name),
                reason,
                divisible: false,
            })?;
        let size = content.len();
        if ready.is_again {
            self.target.clear_leftovers(&ready.path).await;
        }
        let put = self.target.put(&ready.path, content).await?;
        if self.let_go(sealed).is_some() {
            self.meters.objects.add(1);
            self.meters.bytes.add(size as u64);
            if put == Put::WasThere {
                self.meters.repeated.add(1);
            }
        }
        Ok(())
    }

    async fn is_committed(&self, sealed: &Sealed) -> Result<bool, ExportError> {
        self.target.has(&self.target.path(&sealed.name)?).await
    }

    fn abandon(&self, sealed: &Sealed) {
        self.let_go(sealed);
    }
}
