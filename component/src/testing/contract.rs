//! What every component must keep to, whatever it does.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_document::{ComponentId, yaml};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Refusal, Signal};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};

use super::{ConnectorBench, FakeDoor, HereWorkers, IdleStatus, ProcessorBench};
use super::{findings, hostile, odd, read, realistic};
use crate::{
    AnyExporter, BuildContext, BulkExporter, ComponentConfig, Connector, ExportError,
    ExporterContext, Extension, ExtensionContext, Origin, Portion, Position, Processor, Promise,
    Receiver, Sealed, StartError,
};

/// Batches of each odd kind that a component is fed with.
const SEEDS: u64 = 24;
/// The queue on disk of an exporter that collects.
const QUEUE: Origin = Origin {
    logs: [[7; 16]; Signal::ALL.len()],
    first_ordinal: 1,
};
/// How long a component may take to do what needs no network but the loopback.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The contract of one component.
///
/// It is given the smallest YAML that works and others that together name every key, so that a
/// new key is not forgotten here.
#[derive(Clone, Debug)]
pub struct Contract<'a, C> {
    minimal: &'a str,
    full: &'a [&'a str],
    component: PhantomData<fn() -> C>,
}

impl<'a, C: ComponentConfig> Contract<'a, C> {
    /// The contract for a component with these configurations.
    #[must_use]
    pub const fn new(minimal: &'a str, full: &'a [&'a str]) -> Self {
        Self {
            minimal,
            full,
            component: PhantomData,
        }
    }

    fn configurations(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.minimal).chain(self.full.iter().copied())
    }

    /// Checks what holds for every kind: what is read, what is refused, what is built.
    fn configured(&self, kind: &'static str) {
        let mut named = BTreeSet::new();
        for text in self.configurations() {
            let _ = read::<C>(text);
            let node = yaml::parse_str(text).unwrap_or_else(|found| panic!("`{text}`: {found}"));
            named.extend(
                node.as_map()
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.clone()),
            );
            self.build(text, kind);
        }
        let keys = super::read::keys::<C>();
        let forgotten: Vec<_> = keys.iter().filter(|key| !named.contains(*key)).collect();
        assert!(forgotten.is_empty(), "no configuration names {forgotten:?}");
        let unknown = self.with_unknown_key();
        let (_, found) = findings::<C>(&unknown);
        let told = found.iter().any(|line| line.contains("no_such_key"));
        assert!(told, "`{unknown}` passes: {found:?}");
    }

    /// Builds as often as a pipeline with two workers does.
    fn build(&self, text: &str, kind: &'static str) {
        let mut context = self.context(kind);
        context.workers = 2;
        for worker in 0..2 {
            context.worker = worker;
            let built = read::<C>(text).build(&context);
            assert!(built.is_ok(), "`{text}`: {:?}", built.err());
        }
    }

    pub(super) fn context(&self, kind: &'static str) -> BuildContext {
        let mut context = super::bench::context::<C>(kind, self.signals()[0]);
        if kind == "connector" {
            context.routes = super::bench::routes(&Self::feeds(self.signals()[0]));
        }
        context
    }

    /// Two pipelines of each signal that a connector makes of this one.
    fn feeds(signal: Signal) -> Vec<Signal> {
        let pairs = C::PAIRS.iter().filter(|(from, _)| *from == signal);
        pairs.flat_map(|(_, to)| [*to; 2]).collect()
    }

    pub(super) fn signals(&self) -> Vec<Signal> {
        C::SIGNALS.iter().collect()
    }

    fn with_unknown_key(&self) -> String {
        match self.minimal.trim() {
            "" | "{}" => "no_such_key: 1".to_owned(),
            text if text.starts_with('{') => {
                format!("{}, no_such_key: 1}}", text.trim_end_matches('}'))
            }
            text => format!("{text}\nno_such_key: 1"),
        }
    }
}

/// Everything that a component is fed with, one after the other.
pub(super) fn feed(signal: Signal) -> impl Iterator<Item = Payload> {
    let plain = [1, 10, 1000].map(|items| realistic(signal, items));
    let odd = (0..SEEDS).map(move |seed| odd(signal, seed));
    let hostile = (0..SEEDS).map(move |seed| hostile(signal, seed));
    plain.into_iter().chain(odd).chain(hostile)
}

/// A few of them, none without an item.
pub(super) fn some(signal: Signal) -> impl Iterator<Item = Payload> {
    let plain = [1, 10].map(|items| realistic(signal, items));
    let odd = (0..SEEDS).map(move |seed| odd(signal, seed)).take(3);
    let hostile = (0..SEEDS).map(move |seed| hostile(signal, seed)).take(3);
    let all = plain.into_iter().chain(odd).chain(hostile);
    all.filter(|payload| payload.items() > 0)
}

pub(super) fn runtime(paused: bool) -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(paused)
        .build();
    runtime.expect("a runtime can be made")
}

/// What a far end says that takes nothing.
pub(super) fn refusal() -> Outcome {
    let after = Duration::from_secs(1);
    Outcome::Refused(Refusal::new("the far end is full", after))
}

fn settled(outcomes: &[Option<Outcome>], text: &str) {
    for outcome in outcomes {
        let kept = outcome
            .as_ref()
            .is_some_and(|outcome| *outcome != Outcome::Lost);
        assert!(kept, "`{text}`: a sender's batch ended as {outcome:?}");
    }
}

impl<C: ComponentConfig<Builds = Box<dyn Processor>>> Contract<'_, C> {
    /// Checks a processor: every item accounted for after every call, by the reasons that the
    /// ledger reads too, everything emitted canonical, nothing held without a deadline, nothing
    /// left after the last flush, no sender without an outcome, with and without receipts to
    /// carry, whether the far end takes what is emitted or refuses it.
    pub fn processor(&self) {
        self.configured("processor");
        let runtime = runtime(true);
        let _inside = runtime.enter();
        for text in self.configurations() {
            for signal in self.signals() {
                for promise in [Promise::Memory, Promise::Delivered] {
                    let mut bench = ProcessorBench::promising::<C>(text, signal, promise);
                    for payload in feed(signal) {
                        bench.send(payload);
                    }
                    bench.finish();
                    assert_eq!(
                        bench.held().0,
                        0,
                        "`{text}` holds data after the last flush"
                    );
                    settled(&bench.outcomes(), text);
                    bench.send(Payload::empty(signal));
                    bench.finish();
                }
                self.processor_refused(text, signal);
            }
        }
    }

    /// Checks that senders hear of it when the far end refuses what a processor emitted.
    fn processor_refused(&self, text: &str, signal: Signal) {
        let mut bench = ProcessorBench::promising::<C>(text, signal, Promise::Delivered);
        bench.far_end(refusal());
        for payload in feed(signal) {
            bench.send(payload);
        }
        bench.finish();
        assert_eq!(bench.held().0, 0, "`{text}` holds data that was refused");
        // Whoever promises memory whatever lies behind has answered before.
        let emitted = bench.promise() > Promise::Memory && !bench.emitted().is_empty();
        told_of_refusal(&bench.outcomes(), emitted, text);
    }
}

/// Nobody's batch may be lost, and where something was emitted somebody was refused.
fn told_of_refusal(outcomes: &[Option<Outcome>], emitted: bool, text: &str) {
    settled(outcomes, text);
    let refused = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Refused(_)));
    assert!(
        !emitted || outcomes.iter().any(refused),
        "`{text}`: the far end took nothing and no sender was told"
    );
}

impl<C: ComponentConfig<Builds = Box<dyn Connector>>> Contract<'_, C> {
    /// Checks a connector as a processor is, for each signal that it takes.
    pub fn connector(&self) {
        self.configured("connector");
        let runtime = runtime(true);
        let _inside = runtime.enter();
        for text in self.configurations() {
            for signal in self.signals() {
                let feeds = Self::feeds(signal);
                assert!(!feeds.is_empty(), "takes {signal} and makes nothing of it");
                let mut bench = ConnectorBench::new::<C>(text, signal, &feeds);
                for payload in feed(signal) {
                    bench.send(payload);
                }
                bench.finish();
                bench.close();
                assert_eq!(
                    bench.held().0,
                    0,
                    "`{text}` holds data after the last flush"
                );
                settled(&bench.outcomes(), text);
            }
        }
    }
}

impl<C: ComponentConfig<Builds = AnyExporter>> Contract<'_, C> {
    /// Checks of an exporter whose end cannot be at hand in a test what needs no end.
    pub fn exporter_without_end(&self) {
        self.configured("exporter");
    }

    /// Checks an exporter on what a test without its peer can see: configurations, and that odd
    /// and hostile batches end in an answer.
    ///
    /// `text` is a configuration whose peer is away, or whose end is at hand (a folder); a remote
    /// peer that is away must be a failure that passes.
    pub fn exporter(&self, text: &str) {
        self.configured("exporter");
        runtime(false).block_on(async {
            let build = || {
                let built = read::<C>(text).build(&self.context("exporter"));
                built.unwrap_or_else(|error| panic!("`{text}`: {error}"))
            };
            let exporter = build();
            let context = ExporterContext {
                id: id::<C>(),
                workers: HereWorkers::workers(),
                budget: tidegate_pdata::Budget::new(usize::MAX),
                timeout: None,
            };
            let feed = self.signals().into_iter().flat_map(feed);
            match &exporter {
                AnyExporter::Remote(exporter) => {
                    exporter
                        .start(context)
                        .await
                        .expect("a peer that is away is no error");
                    for payload in self.signals().into_iter().flat_map(some) {
                        let batch = batch(payload);
                        let answer = timeout(PATIENCE, exporter.export(&batch)).await;
                        let answer = answer.expect("a peer that is away is found out");
                        let items = batch.items() as u64;
                        // What an exporter cannot send at all needs no peer.
                        let passes = match &answer {
                            Err(ExportError::Retryable { .. }) => true,
                            Ok(delivered) => items > 0 && delivered.rejected == items,
                            Err(_) => false,
                        };
                        assert!(passes, "`{text}`: a peer that is away makes {answer:?}");
                    }
                    exporter.stop().await;
                }
                AnyExporter::Inline(exporter) => {
                    exporter.start(context).await.expect("it starts");
                    for payload in feed {
                        let items = payload.items() as u64;
                        let answer = exporter.apply(&batch(payload));
                        let fine = matches!(&answer, Ok(delivered) if delivered.rejected <= items);
                        assert!(fine, "`{text}`: {answer:?}");
                    }
                    exporter.stop().await;
                }
                AnyExporter::Bulk(exporter) => {
                    exporter.start(context.clone()).await.expect("it starts");
                    exporter.resume(QUEUE);
                    let feed = feed.map(batch).collect::<Vec<_>>();
                    let objects = collect(&**exporter, &feed, text).await;
                    let AnyExporter::Bulk(next) = build() else {
                        unreachable!("`{text}` built one that collects");
                    };
                    next.start(context).await.expect("it starts");
                    next.resume(QUEUE);
                    make_again(&*next, &feed, &objects, text).await;
                    next.stop().await;
                    exporter.stop().await;
                }
            }
        });
    }
}

/// Has batches collected and committed, twice.
async fn collect(exporter: &dyn BulkExporter, feed: &[Batch], text: &str) -> Vec<Sealed> {
    let (mut came, mut rejected, mut sealed) = (0, 0, Vec::new());
    for (at, batch) in feed.iter().enumerate() {
        came += batch.items();
        let answer = exporter.add(&Portion::whole(Position(at as u64), batch));
        rejected += answer.expect("there is room").rejected as usize;
        sealed.extend(exporter.seal(Instant::now()));
    }
    sealed.extend(exporter.seal(Instant::now() + Duration::from_secs(1 << 30)));
    assert!(exporter.due().is_none(), "`{text}`: something stays open");
    for object in &sealed {
        for expected in ["the end is at hand", "a repetition is no error"] {
            exporter.commit(object).await.expect(expected);
        }
    }
    let held: usize = sealed.iter().map(Sealed::items).sum();
    assert_eq!(
        came,
        held + rejected,
        "`{text}`: objects do not hold what came"
    );
    sealed
}

/// Has another instance make and commit what the first one sealed.
async fn make_again(next: &dyn BulkExporter, feed: &[Batch], objects: &[Sealed], text: &str) {
    for object in objects {
        let again = next.rebuild(object, &mut |position| {
            Ok(feed[position.0 as usize].payload().clone())
        });
        assert!(again.is_ok(), "`{text}`: {again:?}");
        let committed = next.commit(object).await;
        assert!(committed.is_ok(), "`{text}`: {committed:?}");
    }
}

impl<C: ComponentConfig<Builds = Box<dyn Receiver>>> Contract<'_, C> {
    /// Checks a receiver: it starts, says where it listens, and stops; a second one on the same
    /// address fails and names it.
    ///
    /// `text` is a configuration on free ports of the loopback (port 0), or without a listener;
    /// `taken` makes one for an address that is taken.
    pub fn receiver(&self, text: &str, taken: impl Fn(&str) -> String) {
        self.configured("receiver");
        runtime(false).block_on(async {
            let start = async |text: &str| {
                let receiver = read::<C>(text).build(&self.context("receiver"));
                let mut receiver = receiver.unwrap_or_else(|error| panic!("`{text}`: {error}"));
                let door = Arc::new(FakeDoor::default());
                let started = receiver.start(door.receiver(id::<C>())).await;
                started.map(|()| receiver)
            };
            let mut receiver = start(text).await.expect("it starts");
            let stopped = timeout(PATIENCE, receiver.stop()).await;
            assert!(stopped.is_ok(), "`{text}` does not stop");
            if ComponentConfig::listens(&read::<C>(text)).is_empty() {
                return;
            }
            let other = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
            let address = other.local_addr().expect("it is bound").to_string();
            let text = taken(&address);
            let listens = ComponentConfig::listens(&read::<C>(&text));
            let told = listens.iter().any(|(_, listens)| *listens == address);
            assert!(told, "`{text}` does not say that it listens on {address}");
            let error = start(&text).await.err().expect("the address is taken");
            assert!(
                error.message.contains(&address),
                "`{}` does not name {address}",
                error.message
            );
        });
    }
}

impl<C: ComponentConfig<Builds = Arc<dyn Extension>>> Contract<'_, C> {
    /// Checks an extension: it starts and says where it listens; a second one on the same address
    /// fails and names it; once it stopped, another can listen there.
    ///
    /// `at` makes a configuration for an address.
    pub fn extension(&self, at: impl Fn(&str) -> String) {
        self.configured("extension");
        runtime(false).block_on(async {
            let start = async |text: &str| self.start_extension(text).await;
            let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
            let address = free.local_addr().expect("it is bound").to_string();
            let text = at(&address);
            let listens = ComponentConfig::listens(&read::<C>(&text));
            let told = listens.iter().any(|(_, listens)| *listens == address);
            assert!(told, "`{text}` does not say that it listens on {address}");
            let error = start(&text).await.err().expect("the address is taken");
            assert!(
                error.message.contains(&address),
                "`{}` does not name {address}",
                error.message
            );
            drop(free);
            for _ in 0..2 {
                let extension = start(&text).await.expect("the address is free");
                let stopped = timeout(PATIENCE, extension.stop()).await;
                assert!(stopped.is_ok(), "`{text}` does not stop");
            }
        });
    }

    /// Checks an extension that authenticates servers' clients, clients' requests, or both.
    pub fn authenticator(&self) {
        self.configured("extension");
        runtime(false).block_on(async {
            for text in self.configurations() {
                let built = read::<C>(text).build(&self.context("extension"));
                let extension = built.unwrap_or_else(|error| panic!("`{text}`: {error}"));
                let found = extension.server_authenticator().is_some()
                    || extension.client_authenticator().is_some();
                assert!(
                    found,
                    "`{text}` makes no authenticator before it is started"
                );
                if let Some(server) = extension.server_authenticator() {
                    let let_in = server.authenticate(&http::HeaderMap::new()).await;
                    assert!(let_in.is_err(), "`{text}` lets in whoever says nothing");
                }
            }
            for _ in 0..2 {
                let extension = self.start_extension(self.minimal).await;
                let extension = extension.unwrap_or_else(|error| panic!("{error}"));
                let stopped = timeout(PATIENCE, extension.stop()).await;
                assert!(stopped.is_ok(), "`{}` does not stop", self.minimal);
            }
        });
    }

    /// Checks an extension that is a storage; `at` makes a configuration that keeps its files in
    /// a directory, and `directory` is an empty one.
    pub fn storage(&self, at: impl Fn(&Path) -> String, directory: &Path) {
        self.configured("extension");
        let text = at(directory);
        runtime(false).block_on(async {
            let built = read::<C>(&text).build(&self.context("extension"));
            let storage = built.ok().and_then(|extension| extension.storage());
            let storage = storage.expect("it is a storage before it is started");
            assert!(storage.log("traces").is_err(), "it opens before its start");
            for _ in 0..2 {
                let extension = self
                    .start_extension(&text)
                    .await
                    .expect("the directory is free");
                let second = self.start_extension(&text).await;
                let error = second.err().expect("the directory is taken");
                let named = error.message.contains(&*directory.to_string_lossy());
                assert!(named, "`{}` does not name the directory", error.message);
                let storage = extension.storage().expect("it is a storage");
                let log = storage.log("traces").expect("nobody has the log");
                assert!(storage.log("traces").is_err(), "a log is opened twice");
                drop(log);
                let stopped = timeout(PATIENCE, extension.stop()).await;
                assert!(stopped.is_ok(), "`{text}` does not stop");
            }
        });
    }

    async fn start_extension(&self, text: &str) -> Result<Arc<dyn Extension>, StartError> {
        let extension = read::<C>(text).build(&self.context("extension"));
        let extension = extension.unwrap_or_else(|error| panic!("`{text}`: {error}"));
        let context = ExtensionContext {
            id: id::<C>(),
            workers: HereWorkers::workers(),
            status: Arc::new(IdleStatus),
        };
        extension.start(context).await.map(|()| extension)
    }
}

pub(super) fn id<C: ComponentConfig>() -> ComponentId {
    C::TYPE.parse().expect("a type is a name")
}

pub(super) fn batch(payload: Payload) -> Batch {
    Batch::new(payload, Context::default(), Receipt::none())
}
