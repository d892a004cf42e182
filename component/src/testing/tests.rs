//! The contract must notice what it is there for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_pdata::{Batch, Context, Outcome, Payload, Segment, Signal};
use tokio::time::Instant;

use super::{Contract, FakeDoor, FakePeer, realistic, unavailable};
use crate::delivery::DeliveryDefaults;
use crate::{
    AnyExporter, BuildContext, BuildError, BulkExporter, ComponentConfig, Delivered, ExportError,
    Extension, ExtensionContext, InlineExporter, Items, Origin, Outbox, Part, Portion, Position,
    Processor, Reason, Receiver, ReceiverContext, Sealed, Shut, StartError,
};

#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Habit {
    #[default]
    Pass,
    Discard,
    Swallow,
    DropReceipts,
    HoldForEver,
    HoldWithoutDeadline,
    Garble,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    habit: Habit,
    other: bool,
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "habitual";

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(Habitual {
            habit: self.habit,
            reason: cx.reason("habit"),
            held: 0,
        }))
    }
}

struct Habitual {
    habit: Habit,
    reason: Reason,
    held: usize,
}

impl Processor for Habitual {
    fn process(&mut self, mut batch: Batch, out: &mut Outbox) {
        match self.habit {
            Habit::Pass => out.push(batch),
            Habit::Discard => out.discard(batch, &self.reason),
            Habit::Swallow => batch.receipt_mut().settle_in_place(&Outcome::Delivered),
            Habit::DropReceipts => out.dropped(&self.reason, batch.items()),
            Habit::HoldForEver | Habit::HoldWithoutDeadline => {
                batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
                self.held += batch.items();
            }
            Habit::Garble => {
                let segment = Segment::new(vec![1, 2, 3].into(), batch.items(), None);
                batch.set_payload(Payload::from_segment(batch.signal(), segment));
                out.push(batch);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        (self.habit == Habit::HoldForEver && self.held > 0).then(Instant::now)
    }

    fn held(&self) -> (usize, usize) {
        (self.held, 0)
    }
}

fn check(minimal: &str, full: &[&str]) {
    Contract::<Config>::new(minimal, full).processor();
}

#[test]
fn decent_processors_keep_it() {
    check("{}", &["{habit: discard, other: true}"]);
}

#[test]
#[should_panic(expected = "no configuration names [\"other\"]")]
fn key_that_no_configuration_names_is_noticed() {
    check("{}", &["habit: pass"]);
}

#[test]
#[should_panic(expected = "came and 0 were created")]
fn item_that_disappears_is_noticed() {
    check("{}", &["{habit: swallow, other: true}"]);
}

#[test]
#[should_panic(expected = "a sender's batch ended as Some(Lost)")]
fn receipt_that_is_dropped_is_noticed() {
    check("{}", &["{habit: drop_receipts, other: true}"]);
}

#[test]
#[should_panic(expected = "holds data after the last flush")]
fn data_that_is_never_flushed_is_noticed() {
    check("{}", &["{habit: hold_for_ever, other: true}"]);
}

#[test]
#[should_panic(expected = "nothing says until when")]
fn data_held_without_a_deadline_is_noticed() {
    check("{}", &["{habit: hold_without_deadline, other: true}"]);
}

#[test]
#[should_panic(expected = "what is emitted is not canonical OTLP")]
fn bytes_that_are_no_request_are_noticed() {
    check("{}", &["{habit: garble, other: true}"]);
}

/// What an end does that is faked here.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum End {
    #[default]
    Away,
    Broken,
    Inline,
    InlineRefusing,
    Bulk,
    BulkLosing,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ExporterConfig {
    end: End,
}

impl ComponentConfig for ExporterConfig {
    type Builds = AnyExporter;
    const TYPE: &'static str = "faked";
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults::GRPC);

    fn build(&self, _: &BuildContext) -> Result<AnyExporter, BuildError> {
        let broken = || ExportError::Permanent {
            endpoint: "peer".into(),
            reason: "no".into(),
            divisible: false,
        };
        Ok(match self.end {
            End::Away => AnyExporter::Remote(Arc::new(FakePeer::always(unavailable))),
            End::Broken => AnyExporter::Remote(Arc::new(FakePeer::always(broken))),
            End::Inline => AnyExporter::Inline(Arc::new(Console(false))),
            End::InlineRefusing => AnyExporter::Inline(Arc::new(Console(true))),
            End::Bulk => AnyExporter::Bulk(Arc::new(Objects::new(0))),
            End::BulkLosing => AnyExporter::Bulk(Arc::new(Objects::new(1))),
        })
    }
}

struct Console(bool);

#[async_trait]
impl InlineExporter for Console {
    fn apply(&self, _: &Batch) -> Result<Delivered, ExportError> {
        match self.0 {
            false => Ok(Delivered::default()),
            true => Err(unavailable()),
        }
    }
}

/// Puts every batch into one object, but for some of its items.
struct Objects {
    open: Mutex<Vec<Part>>,
    loses: usize,
}

impl Objects {
    fn new(loses: usize) -> Self {
        Self {
            open: Mutex::default(),
            loses,
        }
    }
}

#[async_trait]
impl BulkExporter for Objects {
    fn resume(&self, _: Origin) {}

    fn add(&self, portion: &Portion<'_>) -> Result<Delivered, ExportError> {
        let items = portion.batch.items().saturating_sub(self.loses);
        self.open.lock().unwrap().push(Part {
            position: portion.position,
            items: Items::first(items),
        });
        Ok(Delivered::default())
    }

    fn due(&self) -> Option<Instant> {
        let open = !self.open.lock().unwrap().is_empty();
        open.then(|| Instant::now() + Duration::from_secs(60))
    }

    fn seal(&self, now: Instant) -> Vec<Sealed> {
        match self.due() {
            Some(due) if due <= now => vec![Sealed {
                ordinal: 0,
                name: "object".to_owned(),
                parts: std::mem::take(&mut self.open.lock().unwrap()),
                recipe: Bytes::new(),
            }],
            _ => Vec::new(),
        }
    }

    async fn commit(&self, _: &Sealed) -> Result<(), ExportError> {
        Ok(())
    }

    fn rebuild(
        &self,
        sealed: &Sealed,
        fetch: &mut dyn FnMut(Position) -> Result<Payload, ExportError>,
    ) -> Result<(), ExportError> {
        for part in &sealed.parts {
            fetch(part.position)?;
        }
        Ok(())
    }

    async fn is_committed(&self, _: &Sealed) -> Result<bool, ExportError> {
        Ok(false)
    }

    fn abandon(&self, _: &Sealed) {}
}

fn check_exporter(end: &str) {
    let full = format!("{{end: {end}, timeout: 1s, sending_queue: {{queue_size: 2}}}}");
    Contract::<ExporterConfig>::new("{}", &[&full]).exporter(&full);
}

#[test]
fn decent_exporters_keep_it() {
    for end in ["away", "inline", "bulk"] {
        check_exporter(end);
    }
}

#[test]
#[should_panic(expected = "a peer that is away makes Err(Permanent")]
fn peer_that_is_away_for_good_is_noticed() {
    check_exporter("broken");
}

#[test]
#[should_panic(expected = "Retryable")]
fn inline_exporter_that_does_not_take_is_noticed() {
    check_exporter("inline_refusing");
}

#[test]
#[should_panic(expected = "objects do not hold what came")]
fn object_that_lacks_items_is_noticed() {
    check_exporter("bulk_losing");
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ReceiverConfig {
    endpoint: String,
    /// Keeps a failure to listen to itself.
    silent: bool,
}

impl ComponentConfig for ReceiverConfig {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "listening";

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(Listening(self.endpoint.clone(), self.silent)))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![("endpoint".to_owned(), self.endpoint.clone())]
    }
}

struct Listening(String, bool);

#[async_trait]
impl Receiver for Listening {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        assert!(cx.intake(Signal::Logs).is_some());
        match std::net::TcpListener::bind(&self.0) {
            Err(error) if !self.1 => Err(StartError::new(
                format!("cannot listen on {}", self.0),
                error,
            )),
            _ => Ok(()),
        }
    }

    async fn stop(&mut self) {}
}

fn check_receiver(silent: bool) {
    let text = |address: &str| format!("{{endpoint: '{address}', silent: {silent}}}");
    let free = text("127.0.0.1:0");
    Contract::<ReceiverConfig>::new("{}", &[&free]).receiver(&free, text);
}

#[test]
fn decent_receivers_keep_it() {
    check_receiver(false);
}

#[test]
#[should_panic(expected = "the address is taken")]
fn receiver_that_hides_that_it_cannot_listen_is_noticed() {
    check_receiver(true);
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageConfig {
    endpoint: String,
    #[serde(default)]
    lingers: bool,
}

impl ComponentConfig for PageConfig {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "page";

    fn build(&self, _: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        Ok(Arc::new(Page {
            config: self.clone(),
            listener: Mutex::new(None),
        }))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![("endpoint".to_owned(), self.endpoint.clone())]
    }
}

struct Page {
    config: PageConfig,
    listener: Mutex<Option<std::net::TcpListener>>,
}

#[async_trait]
impl Extension for Page {
    async fn start(&self, _: ExtensionContext) -> Result<(), StartError> {
        let endpoint = &self.config.endpoint;
        let listener = std::net::TcpListener::bind(endpoint)
            .map_err(|error| StartError::new(format!("cannot listen on {endpoint}"), error))?;
        *self.listener.lock().unwrap() = Some(listener);
        Ok(())
    }

    async fn stop(&self) {
        if self.config.lingers {
            std::mem::forget(self.listener.lock().unwrap().take());
        }
        *self.listener.lock().unwrap() = None;
    }
}

fn check_extension(lingers: bool) {
    let full = "{endpoint: 'localhost:1', lingers: true}";
    Contract::<PageConfig>::new("endpoint: localhost:1", &[full])
        .extension(|address| format!("{{endpoint: '{address}', lingers: {lingers}}}"));
}

#[test]
fn decent_extensions_keep_it() {
    check_extension(false);
}

#[test]
#[should_panic(expected = "the address is free")]
fn extension_that_stays_after_its_end_is_noticed() {
    check_extension(true);
}

#[tokio::test]
async fn fake_door_takes_counts_and_shuts() {
    let door = Arc::new(FakeDoor::within(100));
    let intake = door.intake().over("grpc");
    let admission = intake.admit(60, &Context::default(), None).await.unwrap();
    assert!(intake.admit(60, &Context::default(), None).await.is_err());
    drop(admission);
    let payload = realistic(Signal::Logs, 3);
    let outcome = intake.deliver(payload, Context::default(), None).await;
    assert_eq!((outcome, door.items()), (Outcome::TakenOver, 3));
    door.shut(Some(Shut::Full));
    let waiter = tokio::spawn(async move {
        let sender = Context::default();
        intake.admit(1, &sender, None).await.is_ok()
    });
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    door.shut(None);
    assert!(waiter.await.unwrap());
    assert_eq!(door.transports(), ["grpc"]);
}
