use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Connector, Entry, Extension,
    ExtensionContext, Processor, Promise, Receiver, Routes, StartError, Storage, async_trait,
};
use tidegate_config::{Kind, Options, describe};
use tidegate_document::{Diagnostics, Sources, yaml};
use tidegate_pdata::{Batch, Signal, Signals};

use super::{Plan, Registry};
use crate::sink::Sink;
use crate::testing::{Bin, FakeSink, Idle, ProcessorFake, Quiet, Script, Still};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Listen {
    endpoint: String,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4317".to_owned(),
        }
    }
}

impl ComponentConfig for Listen {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "listen";

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        if self.endpoint.starts_with("http") {
            let error = BuildError::at("endpoint", "an endpoint has no scheme");
            return Err(error.remedy("write `localhost:4317`"));
        }
        Ok(Box::new(Idle))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![("endpoint".to_owned(), self.endpoint.clone())]
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Pass {
    /// Takes over in memory.
    hold: bool,
}

impl ComponentConfig for Pass {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "pass";
    const SIGNALS: Signals = Signals::TRACES.and(Signals::LOGS);

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        if self.hold {
            return Ok(Box::new(Holder));
        }
        let pass = |batch: Batch, out: &mut tidegate_component::Outbox| out.push(batch);
        Ok(Box::new(ProcessorFake(pass)))
    }
}

struct Holder;

impl Processor for Holder {
    fn promise(&self, _: Promise) -> Promise {
        Promise::Memory
    }

    fn process(&mut self, batch: Batch, out: &mut tidegate_component::Outbox) {
        out.push(batch);
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Send {
    endpoint: Option<String>,
}

impl ComponentConfig for Send {
    type Builds = AnyExporter;
    const TYPE: &'static str = "otlp_grpc";
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults::GRPC);

    fn build(&self, _: &BuildContext) -> Result<AnyExporter, BuildError> {
        match self.endpoint {
            Some(_) => Ok(AnyExporter::Remote(Arc::new(Quiet))),
            None => Err(BuildError::at("", "`endpoint` is missing")),
        }
    }
}

/// An exporter that takes traces alone.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Tracer {}

impl ComponentConfig for Tracer {
    type Builds = AnyExporter;
    const TYPE: &'static str = "tracer";
    const SIGNALS: Signals = Signals::TRACES;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults::GRPC);

    fn build(&self, _: &BuildContext) -> Result<AnyExporter, BuildError> {
        Ok(AnyExporter::Remote(Arc::new(Quiet)))
    }
}

/// An extension that queues stand on.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Shelf {}

impl ComponentConfig for Shelf {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "shelf";

    fn build(&self, _: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        Ok(Arc::new(Stored))
    }
}

struct Stored;

#[async_trait]
impl Extension for Stored {
    async fn start(&self, _: ExtensionContext) -> Result<(), StartError> {
        Ok(())
    }

    fn storage(&self) -> Option<Arc<dyn Storage>> {
        Some(Arc::new(Self))
    }

    async fn stop(&self) {}
}

impl Storage for Stored {
    fn promise(&self) -> Promise {
        Promise::Durable
    }

    fn max_age(&self) -> Option<std::time::Duration> {
        None
    }

    fn log(&self, name: &str) -> Result<tidegate_journal::Log, StartError> {
        Err(StartError::new("there is no disk", name))
    }

    fn unclaimed(&self) -> Result<Vec<tidegate_journal::Stored>, StartError> {
        Ok(Vec::new())
    }

    fn flush(&self) {}
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Count {}

impl ComponentConfig for Count {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "count";
    const PAIRS: &'static [(Signal, Signal)] = &[(Signal::Traces, Signal::Metrics)];

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        struct Swallow;
        impl Connector for Swallow {
            fn process(&mut self, _: Batch, _: &mut Routes<'_>) {}
        }
        Ok(Box::new(Swallow))
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Health {}

impl ComponentConfig for Health {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "health";

    fn build(&self, _: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        Ok(Arc::new(Still))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![(String::new(), "127.0.0.1:13133".to_owned())]
    }
}

static REGISTRY: Registry = Registry {
    receivers: &[Entry::of::<Listen>()],
    processors: &[Entry::of::<Pass>()],
    exporters: &[Entry::of::<Send>(), Entry::of::<Tracer>()],
    connectors: &[Entry::of::<Count>()],
    extensions: &[Entry::of::<Health>(), Entry::of::<Shelf>()],
};

/// Plans a text with queues that promise as their names say.
fn plan(text: &str) -> (Option<Plan>, Vec<String>) {
    let mut sources = Sources::default();
    let source = sources.add("test.yaml", text);
    let mut found = Diagnostics::default();
    let node = yaml::parse(&sources, source, &mut found).unwrap();
    let settings = describe(&node, &Options::default(), &mut found);
    let sink: crate::wiring::MakeSink = Arc::new(|settings| {
        let mut script = Script::default();
        if settings.id.name() == "disk" {
            (script.promise, script.binds) = (Promise::Durable, true);
        }
        Ok(Arc::new(FakeSink::new(Bin::default(), script)) as Arc<dyn Sink>)
    });
    let plan = Plan::with_sinks(&settings, &REGISTRY, 2, &mut found, sink);
    let lines = found.iter().map(|one| {
        let line = sources.locate(one.span).map_or(0, |at| at.line);
        format!("{line}: {one}")
    });
    (plan, lines.collect())
}

#[test]
fn types_are_found_under_older_spellings_and_delivery_keys_split_off() {
    let (plan, found) = plan(
        "
receivers: {listen: }
processors: {pass: }
exporters:
  otlp: {endpoint: here, sending_queue: {queue_size: 5}, timeout: 1s}
  otlp_grpc/2: {endpoint: there}
service:
  pipelines:
    traces: {receivers: [listen], processors: [pass], exporters: [otlp, otlp_grpc/2]}
",
    );
    assert_eq!(found, [""; 0]);
    let plan = plan.unwrap();
    let otlp = &plan.parts.exporters[&"otlp".parse().unwrap()];
    assert_eq!(
        otlp.keys.sending_queue.as_ref().unwrap().queue_size,
        Some(5)
    );
    assert_eq!(
        plan.promises().collect::<Vec<_>>(),
        [("traces", Promise::Memory)]
    );
}

#[test]
fn everything_wrong_is_reported_at_once_with_its_place() {
    let (plan, found) = plan(
        "receivers:
  listen: {endpoint: 'http://x', port: 1}
  lisen:
processors:
  health:
exporters:
  otlp_grpc: {sending_queue: {queue_sise: 5}, timeout: soon}
service:
  pipelines:
    traces: {receivers: [listen, lisen], processors: [health], exporters: [otlp_grpc]}
",
    );
    assert!(plan.is_none());
    let starts = [
        "2: receivers::listen: unknown key `port`; known here: endpoint",
        "2: receivers::listen::endpoint: an endpoint has no scheme",
        "3: receivers::lisen: there is no receiver of type `lisen`; did you mean `listen`?",
        "5: processors::health: there is no processor of type `health`; `health` is an extension; move it to `extensions`",
        "7: exporters::otlp_grpc::sending_queue: unknown key `queue_sise`; did you mean `queue_size`?",
        "7: exporters::otlp_grpc::timeout: ",
    ];
    for start in starts {
        assert!(
            found.iter().any(|line| line.starts_with(start)),
            "{start} is not in {found:#?}"
        );
    }
    assert_eq!(found.len(), starts.len());
}

#[test]
fn components_that_cannot_be_built_are_all_named() {
    let (plan, found) = plan(
        "receivers:
  listen: {endpoint: 'http://x'}
exporters:
  otlp_grpc:
service:
  pipelines:
    traces: {receivers: [listen], exporters: [otlp_grpc]}
    logs: {receivers: [listen], exporters: [otlp_grpc]}
",
    );
    assert!(plan.is_none());
    let expected = [
        "4: exporters::otlp_grpc: `endpoint` is missing",
        "2: receivers::listen::endpoint: an endpoint has no scheme; write `localhost:4317`",
    ];
    assert_eq!(found, expected);
}

#[test]
fn unknown_keys_alone_leave_a_plan_for_those_who_let_them_pass() {
    let (plan, found) = plan(
        "receivers: {listen: {port: 1}}
exporters: {otlp_grpc: {endpoint: x}}
service:
  pipelines:
    traces: {receivers: [listen], exporters: [otlp_grpc]}
",
    );
    assert_eq!(found.len(), 1);
    assert!(plan.is_some());
}

#[test]
fn signals_and_pairs_that_do_not_fit_are_errors() {
    let (plan, found) = plan(
        "receivers: {listen: }
processors: {pass: }
exporters: {otlp_grpc: {endpoint: x}}
connectors: {count: }
service:
  pipelines:
    metrics: {receivers: [listen], processors: [pass], exporters: [otlp_grpc]}
    logs: {receivers: [listen], exporters: [count]}
    traces: {receivers: [listen, count], exporters: [otlp_grpc]}
",
    );
    assert!(plan.is_none());
    let expected = [
        "7: service::pipelines::metrics::processors: the processor `pass` does not take metrics; name it in a pipeline of traces or logs, or take it out here",
        "8: service::pipelines::logs::exporters: the connector `count` does not take logs; take it out of these exporters",
        "9: service::pipelines::traces::receivers: the connector `count` does not make traces; take it out of these receivers",
    ];
    assert_eq!(found, expected);
}

#[test]
fn own_metrics_that_cannot_be_pushed_are_an_error() {
    let (plan, found) = plan(
        "receivers: {listen: }
exporters: {otlp_grpc: {endpoint: x}}
service:
  telemetry:
    metrics:
      readers:
      - periodic: {exporter: {console: }}
      - periodic: {exporter: {otlp: {protocol: grpc, endpoint: nowhere}}}
  pipelines:
    traces: {receivers: [listen], exporters: [otlp_grpc]}
",
    );
    assert!(plan.is_none());
    let path = "service::telemetry::metrics::readers::1::periodic::exporter::otlp::endpoint";
    let expected = format!("0: {path}: \"nowhere\" has no port; write `nowhere:4317`");
    assert_eq!(found, [expected]);
}

#[test]
fn connector_without_a_pipeline_of_the_other_signal_is_an_error() {
    let (_, found) = plan(
        "receivers: {listen: }
exporters: {otlp_grpc: {endpoint: x}}
connectors: {count: }
service:
  pipelines:
    traces: {receivers: [listen], exporters: [count]}
    logs: {receivers: [count], exporters: [otlp_grpc]}
",
    );
    assert!(found[0].contains(
        "no pipeline of metrics receives what the connector `count` makes of these traces"
    ));
}

#[test]
fn connectors_in_a_circle_end_in_an_error_and_not_in_a_loop() {
    let (plan, found) = plan(
        "receivers: {listen: }
exporters: {otlp_grpc: {endpoint: x}}
connectors: {count/a: , count/b: }
service:
  pipelines:
    traces: {receivers: [listen, count/b], exporters: [count/a]}
    traces/2: {receivers: [count/a], exporters: [count/b, otlp_grpc]}
",
    );
    assert!(plan.is_none());
    let told = found
        .iter()
        .any(|line| line.contains("connectors join into a circle"));
    assert!(told, "{found:#?}");
}

#[test]
fn two_listeners_on_one_port_are_an_error_at_both() {
    let (plan, found) = plan(
        "receivers:
  listen:
  listen/2: {endpoint: '127.0.0.1:4317'}
  listen/3: {endpoint: '0.0.0.0:13133'}
exporters: {otlp_grpc: {endpoint: x}}
extensions: {health: }
service:
  extensions: [health]
  pipelines:
    traces: {receivers: [listen, listen/2, listen/3], exporters: [otlp_grpc]}
",
    );
    assert!(plan.is_none());
    let expected = [
        "3: receivers::listen/2::endpoint: the receiver `listen` listens on localhost:4317 already; give one of them another port",
        "6: extensions::health: the receiver `listen/3` listens on 0.0.0.0:13133 already; give one of them another port",
    ];
    assert_eq!(found, expected);
}

#[test]
fn promise_that_looks_safer_than_it_is_gets_a_warning() {
    let (plan, found) = plan(
        "receivers: {listen: }
processors: {pass: {hold: true}}
exporters: {otlp_grpc/disk: {endpoint: x}}
service:
  pipelines:
    traces/held:
      receivers: [listen]
      processors: [pass]
      exporters: [otlp_grpc/disk]
    traces/safe: {receivers: [listen], exporters: [otlp_grpc/disk]}
",
    );
    let promises: Vec<_> = plan.as_ref().unwrap().promises().collect();
    let expected = [
        ("traces/held", Promise::Memory),
        ("traces/safe", Promise::Durable),
    ];
    assert_eq!(promises, expected);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("8: service::pipelines::traces/held: "),
        "{found:?}"
    );
    assert!(found[0].contains("the promise ends at `pass`"), "{found:?}");
}

#[test]
fn exporter_that_keeps_dead_letters_is_built_though_no_pipeline_names_it() {
    let (plan, found) = plan(
        "receivers: {listen: }
exporters:
  otlp_grpc: {endpoint: x, on_permanent_error: otlp_grpc/letters}
  otlp_grpc/letters: {endpoint: y, on_permanent_error: otlp_grpc/last}
  otlp_grpc/last: {endpoint: z}
service:
  pipelines:
    traces: {receivers: [listen], exporters: [otlp_grpc]}
",
    );
    assert_eq!(found, [""; 0]);
    let exporters = &plan.as_ref().unwrap().parts.exporters;
    assert_eq!(exporters.len(), 3);
}

#[test]
fn dead_letters_of_a_signal_that_nobody_takes_are_an_error() {
    let (plan, found) = plan(
        "receivers: {listen: }
exporters:
  otlp_grpc: {endpoint: x, on_permanent_error: tracer}
  tracer:
service:
  pipelines:
    traces: {receivers: [listen], exporters: [otlp_grpc]}
    logs: {receivers: [listen], exporters: [otlp_grpc]}
",
    );
    assert!(plan.is_none());
    let expected = "3: exporters::otlp_grpc::on_permanent_error: the exporter `tracer` does not take logs, \
                    which `otlp_grpc` gets; name one that takes logs, for example a `file`";
    assert_eq!(found, [expected]);
}

#[test]
fn dead_letters_that_leave_the_disk_for_memory_get_a_warning() {
    let text = |letters: &str| {
        format!(
            "receivers: {{listen: }}
exporters:
  otlp_grpc/disk:
    endpoint: x
    sending_queue: {{storage: shelf}}
    on_permanent_error: {letters}
  otlp_grpc: {{endpoint: y}}
  otlp_grpc/2/disk: {{endpoint: y}}
extensions: {{shelf: }}
service:
  extensions: [shelf]
  pipelines:
    traces: {{receivers: [listen], exporters: [otlp_grpc/disk]}}
    logs: {{receivers: [listen], exporters: [otlp_grpc, otlp_grpc/2/disk]}}
"
        )
    };
    let (plan, found) = plan(&text("otlp_grpc"));
    assert!(plan.is_some(), "{found:?}");
    let start = "6: exporters::otlp_grpc/disk::on_permanent_error: what `otlp_grpc/disk` gives up is on disk \
                 until `otlp_grpc` takes it over, which then holds it in memory; give `otlp_grpc`";
    let told = |found: &[String]| found.iter().any(|line| line.starts_with(start));
    assert!(told(&found), "{found:?}");
}

#[test]
fn every_kind_lists_its_types() {
    let types = Kind::ALL.map(|kind| REGISTRY.types(kind)).concat();
    let expected = [
        "listen",
        "pass",
        "otlp_grpc",
        "tracer",
        "count",
        "health",
        "shelf",
    ];
    assert_eq!(types, expected);
    assert!(REGISTRY.joins("count", Signal::Traces, Signal::Metrics));
    assert!(!REGISTRY.joins("count", Signal::Traces, Signal::Traces));
}
