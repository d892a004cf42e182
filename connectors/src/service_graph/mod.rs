//! `service_graph`: counts requests between services, by spans of clients and servers that belong together.
//!
//! Spans are dealt over workers by their traces, so both sides of a request meet in the store of one of them; what is
//! told of requests all workers share, and lock once for a batch in which some were complete.

mod config;
mod graph;
mod store;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tidegate_component::metrics::Counter;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Connector, Partition, Promise, Reason, Routes,
    Stability,
};
use tidegate_pdata::view::{Attributes, SpanFields};
use tidegate_pdata::{Batch, Budget, Context, Outcome, Payload, Receipt, Signal, Signals};
use tokio::time::Instant;

pub use config::Config;
use graph::Graph;
use store::{Connection, Edge, Key, Put, Store};

use crate::clock::{Moment, is_last};
use crate::made::pass_on;

#[derive(Default)]
struct Shared(OnceLock<Arc<Mutex<Graph>>>);

impl ComponentConfig for Config {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "service_graph";
    const SIGNALS: Signals = Signals::TRACES;
    const STABILITY: Stability = Stability::Beta;
    const PAIRS: &'static [(Signal, Signal)] = &[(Signal::Traces, Signal::Metrics)];

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        let shape = self.shape()?;
        let shared = cx.shared.value(Shared::default);
        let make = || {
            Arc::new(Mutex::new(Graph::new(
                shape,
                self.max_series.get(),
                self.virtual_node_extra_label,
            )))
        };
        let graph = Arc::clone(shared.0.get_or_init(make));
        let interval: Duration = self.metrics_flush_interval.into();
        let counter = |name: &str, help: &str| cx.metrics.counter(name, help, &[]);
        let expiration: Duration = self.store_expiration_loop.into();
        Ok(Box::new(ServiceGraph {
            store: Store::new(
                self.store.ttl.into(),
                self.store.max_items.get().div_ceil(cx.workers.max(1)),
            ),
            graph,
            complete: Vec::new(),
            dimensions: self.dimensions.clone(),
            peers: self.virtual_node_peer_attributes.clone(),
            databases: self.databases(),
            offset: self.metrics_timestamp_offset.into(),
            interval,
            due: (cx.worker == 0 && !interval.is_zero()).then(|| Instant::now() + interval),
            expiration: expiration.max(Duration::from_millis(10)),
            expires: None,
            sweep: self.cache_loop.into(),
            bytes: AtomicUsize::new(0),
            budget: Arc::clone(&cx.budget),
            nameless: cx.reason("no_service_name"),
            full: cx.loss("store_full"),
            malformed: cx.loss("malformed"),
            total: counter(
                "otelcol_connector_servicegraph_total_edges",
                "Requests of which a side was seen.",
            ),
            expired: counter(
                "otelcol_connector_servicegraph_expired_edges",
                "Requests of which the other side was waited for in vain.",
            ),
            lost: counter(
                "tidegate_service_graph_lost_edges",
                "Requests that were not counted, as there were too many series.",
            ),
        }))
    }
}

struct ServiceGraph {
    store: Store,
    graph: Arc<Mutex<Graph>>,
    /// Requests that are complete and not counted yet.
    complete: Vec<Edge>,
    dimensions: Vec<String>,
    peers: Vec<String>,
    databases: Vec<String>,
    offset: Duration,
    interval: Duration,
    /// When points are passed on, by the instance that does that for all.
    due: Option<Instant>,
    expiration: Duration,
    /// When is looked for what has waited too long.
    expires: Option<Instant>,
    sweep: Duration,
    bytes: AtomicUsize,
    budget: Arc<Budget>,
    nameless: Reason,
    full: Reason,
    malformed: Reason,
    total: Counter,
    expired: Counter,
    lost: Counter,
}

/// The text of an attribute, of the first of these that has it.
fn text(key: &str, places: &[Attributes<'_>]) -> Option<String> {
    let value = places.iter().find_map(|attributes| attributes.get(key))?;
    let mut text = String::new();
    // Writing into a text does not fail.
    let _ = value.write_text(&mut text);
    Some(text)
}

fn first(keys: &[String], places: &[Attributes<'_>]) -> Option<String> {
    keys.iter().find_map(|key| text(key, places))
}

fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn seconds(span: &SpanFields<'_>) -> f64 {
    span.end_time_unix_nano
        .saturating_sub(span.start_time_unix_nano) as f64
        / 1e9
}

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;
const ERROR: i32 = 2;

impl ServiceGraph {
    fn lock(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn payload(&mut self, payload: &Payload, now: Instant) -> (usize, usize) {
        let (mut nameless, mut full) = (0, 0);
        for group in payload.resource_spans() {
            let resource = group.resource().attributes();
            let spans = group.scopes().flat_map(|scope| scope.spans());
            let Some(service) = text("service.name", &[resource]) else {
                nameless += spans.count();
                continue;
            };
            for span in spans {
                let span = span.fields();
                let put = match span.kind {
                    CLIENT | PRODUCER => self.client(&span, &service, resource, now),
                    SERVER | CONSUMER => self.server(&span, &service, resource, now),
                    _ => continue,
                };
                match put {
                    Put::Waits => self.total.add(1),
                    Put::Completes(edge) => self.complete.push(edge),
                    Put::NoRoom => full += 1,
                }
            }
        }
        (nameless, full)
    }

    fn client(
        &mut self,
        span: &SpanFields<'_>,
        service: &str,
        resource: Attributes<'_>,
        now: Instant,
    ) -> Put {
        let key: Key = (id(span.trace_id), id(span.span_id));
        let Self {
            store,
            dimensions,
            peers,
            databases,
            ..
        } = self;
        store.put(key, now, |edge| {
            edge.connection = match span.kind {
                PRODUCER => Connection::Messaging,
                _ => Connection::Direct,
            };
            service.clone_into(&mut edge.client);
            edge.client_took = seconds(span);
            edge.failed |= span.status.is_some_and(|status| status.code() == ERROR);
            let own = own_dimensions("client", dimensions, resource, span.attributes);
            edge.dimensions.splice(..0, own);
            edge.peer = first(peers, &[span.attributes]);
            // A database sends no spans: the client's tells all.
            if let Some(name) = first(databases, &[resource, span.attributes]) {
                edge.connection = Connection::Database;
                edge.server = name;
                edge.server_took = edge.client_took;
            }
        })
    }

    fn server(
        &mut self,
        span: &SpanFields<'_>,
        service: &str,
        resource: Attributes<'_>,
        now: Instant,
    ) -> Put {
        let key: Key = (id(span.trace_id), id(span.parent_span_id));
        let Self {
            store, dimensions, ..
        } = self;
        store.put(key, now, |edge| {
            edge.connection = match span.kind {
                CONSUMER => Connection::Messaging,
                _ => Connection::Direct,
            };
            service.clone_into(&mut edge.server);
            edge.server_took = seconds(span);
            edge.failed |= span.status.is_some_and(|status| status.code() == ERROR);
            edge.dimensions.extend(own_dimensions(
                "server",
                dimensions,
                resource,
                span.attributes,
            ));
        })
    }

    /// Takes requests out whose other side was waited for in vain, and tells of the sides that sent no spans.
    fn expire(&mut self, now: Instant) {
        while let Some(((_, span), mut edge)) = self.store.expire(now) {
            self.expired.add(1);
            if self.peers.is_empty() {
                continue;
            }
            edge.connection = Connection::Virtual;
            if edge.client.is_empty() && span == [0; 8] {
                "user".clone_into(&mut edge.client);
                edge.absent = "client";
            } else if edge.server.is_empty() {
                edge.server = edge.peer.take().unwrap_or_else(|| "unknown".to_owned());
                edge.absent = "server";
            } else {
                continue;
            }
            self.complete.push(edge);
        }
    }

    /// Counts the requests that are complete.
    fn count(&mut self, now: Instant) {
        if self.complete.is_empty() {
            return;
        }
        let complete = std::mem::take(&mut self.complete);
        let mut graph = self.lock();
        let lost = complete.iter().filter(|edge| !graph.add(edge, now)).count();
        drop(graph);
        self.lost.add(lost as u64);
        self.complete = complete;
        self.complete.clear();
    }

    /// Passes points on.
    fn tell(&mut self, now: Moment, out: &mut Routes<'_>) {
        let mut graph = self.lock();
        graph.sweep(now.at, self.sweep);
        let time = now
            .wall
            .saturating_sub(u64::try_from(self.offset.as_nanos()).unwrap_or(u64::MAX));
        let request = graph.write(time);
        self.bytes.store(graph.bytes(), Relaxed);
        drop(graph);
        let nobody = (Context::default(), Receipt::none());
        pass_on(request, nobody, &self.budget, &self.malformed, out);
    }
}

/// The attributes of one side that the metrics tell.
fn own_dimensions(
    side: &str,
    names: &[String],
    resource: Attributes<'_>,
    span: Attributes<'_>,
) -> Vec<(String, String)> {
    let of = |name: &String| Some((format!("{side}_{name}"), text(name, &[resource, span])?));
    names.iter().filter_map(of).collect()
}

impl Connector for ServiceGraph {
    fn partition(&self) -> Partition {
        Partition::TraceId
    }

    fn promise(&self, _: Promise) -> Promise {
        Promise::Memory
    }

    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        let now = Moment::now();
        let (payload, _, receipt) = batch.into_parts();
        self.expire(now.at);
        let (nameless, full) = self.payload(&payload, now.at);
        for (reason, items) in [(&self.nameless, nameless), (&self.full, full)] {
            if items > 0 {
                out.outbox.dropped(reason, items);
            }
        }
        self.count(now.at);
        if self.store.len() > 0 {
            self.expires.get_or_insert(now.at + self.expiration);
        }
        if self.interval.is_zero() {
            self.tell(now, out);
        }
        receipt.settle(&Outcome::TakenOver);
    }

    fn deadline(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.expires).min()
    }

    fn flush(&mut self, now: Instant, out: &mut Routes<'_>) {
        let moment = Moment::now();
        let is_last = is_last(now);
        if is_last || self.expires.is_some_and(|at| now >= at) {
            self.expire(moment.at);
            self.expires = (self.store.len() > 0 && !is_last).then(|| moment.at + self.expiration);
        }
        if is_last {
            self.expired.add(self.store.clear() as u64);
        }
        self.count(moment.at);
        let is_due = self.due.is_some_and(|due| now >= due);
        if is_due {
            self.due = Some(moment.at + self.interval);
        }
        let is_news = self.lock().is_news;
        if is_last && is_news || is_due && !is_last {
            self.tell(moment, out);
        }
    }

    fn held(&self) -> (usize, usize) {
        (
            0,
            self.bytes.load(Relaxed) + self.store.len() * size_of::<Edge>(),
        )
    }
}
