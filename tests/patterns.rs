//! The configurations that people run, in `examples/`, and those that show each component, in `docs/examples/`.
//!
//! All of them are known and valid, but for components that are not built yet, which `compat` names. The
//! former are started, their receivers are fed, and what a recording backend gets is what the ledger says.
//! What is expected of a configuration is worked out from `tidegate components`, so nothing here changes
//! when a component is built.

// What the tests share is public for all of them, and some of it tells what was left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

#[path = "patterns/kubernetes.rs"]
mod kubernetes;
#[path = "patterns/rig.rs"]
mod rig;
#[path = "patterns/senders.rs"]
mod senders;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use rig::{Rig, missing, own_address, text_of};
use support::sink::{Received, Sink};
use support::{eventually, get, repository, tidegate};
use tidegate_config::{Kind, canonical};

/// Every variable that one of the configurations names.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("BACKEND", "http://127.0.0.1:9"),
    ("K8S_NODE_IP", "127.0.0.1"),
    ("K8S_NODE_NAME", "node-1"),
    ("MY_POD_IP", "127.0.0.1"),
    ("OTEL_K8S_NODE_NAME", "node-1"),
    ("OTEL_K8S_POD_NAME", "gateway-0"),
    ("VENDOR_API_KEY", "key"),
    ("VENDOR_ENDPOINT", "http://127.0.0.1:9"),
    ("VENDOR_KEY", "key"),
    ("VENDOR_TOKEN", "token"),
];

fn configurations() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["examples", "docs/examples"] {
        let entries = std::fs::read_dir(repository(folder)).expect("a folder of examples");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")));
    }
    found.sort();
    found
}

fn ask(arguments: &[&str]) -> (bool, String) {
    let mut command = tidegate();
    command.args(arguments).current_dir(repository("."));
    command.envs(ENVIRONMENT.iter().copied());
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// The types of components that `compat` calls not built, by kind.
fn told_as_missing(text: &str) -> BTreeSet<(Kind, String)> {
    let lines = text.lines().filter(|line| line.contains(": not built;"));
    lines
        .map(|line| {
            let told = line.splitn(3, ':').nth(2).expect("a place and a component");
            let mut words = told.split_whitespace();
            let kind = words.next().expect("a kind");
            let id = words.next().expect("a name").trim_end_matches(':');
            let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
            let kind = kind.unwrap_or_else(|| panic!("{line}"));
            let name = id.split('/').next().unwrap_or_default();
            (kind, canonical(kind, name).to_owned())
        })
        .collect()
}

#[test]
fn every_configuration_is_valid_or_it_is_told_what_is_not_built() {
    let configurations = configurations();
    assert!(configurations.len() > 50, "{configurations:?}");
    for path in configurations {
        let path = path.to_str().expect("a path in UTF-8");
        let missing = missing(path);
        let (fine, said) = ask(&["compat", path]);
        assert_eq!(told_as_missing(&said), missing, "{said}");
        assert_eq!(fine, missing.is_empty(), "{said}");
        let (fine, said) = ask(&["validate", "--config", path]);
        assert_eq!(fine, missing.is_empty(), "{path}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error["));
        for error in errors {
            assert!(error.starts_with("error[not-built]"), "{path}: {said}");
        }
    }
}

#[test]
fn every_pattern_says_in_its_first_line_who_runs_it() {
    for entry in std::fs::read_dir(repository("examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("a name in UTF-8").to_owned();
        if name == "README.md" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        assert!(text.starts_with("# "), "{name} begins without a word");
        let page = std::fs::read_to_string(repository("examples/README.md")).expect("a page");
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not in the README"
        );
    }
}

fn span_names(received: &Received) -> Vec<String> {
    let resources = received
        .traces
        .iter()
        .flat_map(|request| &request.resource_spans);
    let spans = resources.flat_map(|resource| &resource.scope_spans);
    let spans = spans.flat_map(|scope| &scope.spans);
    spans.map(|span| span.name.clone()).collect()
}

fn metric_names(received: &Received) -> BTreeSet<String> {
    let resources = received
        .metrics
        .iter()
        .flat_map(|request| &request.resource_metrics);
    let metrics = resources.flat_map(|resource| &resource.scope_metrics);
    let metrics = metrics.flat_map(|scope| &scope.metrics);
    metrics.map(|metric| metric.name.clone()).collect()
}

fn bodies(received: &Received) -> Vec<String> {
    let resources = received
        .logs
        .iter()
        .flat_map(|request| &request.resource_logs);
    let records = resources.flat_map(|resource| &resource.scope_logs);
    let records = records.flat_map(|scope| &scope.log_records);
    let bodies = records.filter_map(|record| record.body.as_ref()?.value.as_ref());
    bodies
        .map(|body| match body {
            Value::StringValue(text) => text.clone(),
            other => format!("{other:?}"),
        })
        .collect()
}

/// Waits until something has arrived.
fn arrives<T>(sink: &Sink, what: &str, mut find: impl FnMut(&Received) -> Option<T>) -> T {
    eventually(what, || {
        let received = sink.received();
        find(&received).ok_or_else(|| {
            format!(
                "{} items: spans {:?}, metrics {:?}, logs {:?}",
                received.items(),
                span_names(&received),
                metric_names(&received),
                bodies(&received)
            )
        })
    })
}

#[test]
fn a_gateway_takes_otlp_jaeger_and_zipkin_and_scrapes_itself() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("gateway.yaml") else {
        return;
    };
    rig.variable("MY_POD_IP", &address);
    rig.set(
        "exporters.otlp_http/sink",
        &format!(
            "{{endpoint: 'http://{}', compression: none}}",
            sink.address()
        ),
    );
    for signal in ["traces", "metrics", "logs"] {
        let key = format!("service.pipelines.{signal}.exporters");
        rig.set(&key, "[debug, otlp_http/sink]");
    }
    let at = |port: u16| format!("{address}:{port}");
    rig.start(&[&at(4317), &at(4318), &at(14268), &at(9411), &at(8888)]);
    rig.generate("traces", 30, &at(4317));
    rig.generate("metrics", 25, &at(4317));
    rig.generate("logs", 20, &at(4317));
    senders::zipkin(&at(9411), "zipkin-span");
    senders::jaeger(&at(14268), "jaeger-span");
    eventually("it is healthy", || get(&at(13133), "/"));
    arrives(&sink, "spans of three protocols", |received| {
        let names = span_names(received);
        let has = |name: &str| names.iter().any(|it| it == name);
        (has("zipkin-span") && has("jaeger-span") && names.len() == 32).then_some(())
    });
    arrives(&sink, "logs", |received| {
        (bodies(received).len() == 20).then_some(())
    });
    arrives(&sink, "its own metrics, scraped", |received| {
        let names = metric_names(received);
        let own = names.iter().any(|name| name.contains("process_uptime"));
        (own && names.contains("up") && names.iter().any(|name| name.starts_with("shop")))
            .then_some(())
    });
    rig.balances("otlp_http/sink", &sink);
    rig.stop();
}

#[test]
fn an_agent_of_a_node_knows_whose_log_a_line_is_of() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("node-agent.yaml") else {
        return;
    };
    let cluster = kubernetes::Cluster::start();
    let relay = rig::Relay::start(&sink, &[]);
    let pods = rig.path("var/log/pods");
    let logs = pods.join(format!(
        "shop_{}_{}/web",
        kubernetes::POD,
        kubernetes::POD_UID
    ));
    std::fs::create_dir_all(&logs).expect("a folder of logs");
    std::fs::create_dir_all(rig.path("storage")).expect("a folder of the storage");
    let file = logs.join("0.log");
    let line = "2026-11-30T10:00:00.000000000Z stdout F";
    std::fs::write(&file, format!("{line} before the start\n")).expect("a log");
    rig.variable("MY_POD_IP", &address);
    rig.variable("K8S_NODE_NAME", kubernetes::NODE);
    let at = |port: u16| format!("{address}:{port}");
    for (key, value) in [
        ("receivers.otlp.protocols.grpc.endpoint", at(4317)),
        ("receivers.otlp.protocols.http.endpoint", at(4318)),
        (
            "receivers.filelog.include",
            format!("['{}/*/*/*.log']", pods.display()),
        ),
        (
            "extensions.file_storage.directory",
            text_of(&rig.path("storage")),
        ),
        ("receivers.hostmetrics.root_path", "/".to_owned()),
        ("receivers.kubeletstats.auth_type", "none".to_owned()),
        ("receivers.kubeletstats.endpoint", cluster.url()),
        (
            "processors.k8sattributes.auth_type",
            "kubeConfig".to_owned(),
        ),
        (
            "processors.k8sattributes.kube_config_path",
            text_of(&cluster.kubeconfig(rig.directory())),
        ),
        ("exporters.otlp/gateway.endpoint", relay.address.clone()),
    ] {
        rig.set(key, &value);
    }
    rig.start(&[&at(4317), &at(4318), &at(13133)]);
    rig.generate("traces", 10, &at(4317));
    // It begins at the end of what was there, once it has seen that.
    let mut count = 0;
    let records = eventually("a line arrives", || {
        count += 1;
        senders::append(&file, &format!("{line} line {count}\n"));
        std::thread::sleep(std::time::Duration::from_millis(100));
        let received = sink.received();
        let resources = received
            .logs
            .into_iter()
            .flat_map(|request| request.resource_logs);
        let resources: Vec<_> = resources.collect();
        if resources.is_empty() {
            Err("nothing")
        } else {
            Ok(resources)
        }
    });
    let resource = records[0].resource.as_ref().expect("a resource");
    let attribute = |key: &str| {
        let found = resource.attributes.iter().find(|one| one.key == key);
        let value = found.and_then(|one| one.value.as_ref()?.value.as_ref());
        match value {
            Some(Value::StringValue(text)) => text.clone(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(attribute("k8s.pod.uid"), kubernetes::POD_UID);
    assert_eq!(attribute("k8s.namespace.name"), "shop");
    assert_eq!(attribute("k8s.container.name"), "web");
    assert_eq!(attribute("k8s.node.name"), kubernetes::NODE);
    // `app.kubernetes.io/part-of` of the pod, by `$$1`.
    assert_eq!(attribute("part-of"), "shop");
    arrives(&sink, "every line", |received| {
        let bodies = bodies(received);
        let last = format!("line {count}");
        bodies.contains(&last).then_some(())
    });
    let mut lines = bodies(&sink.received());
    let arrived = lines.len();
    assert!(!lines.contains(&"before the start".to_owned()), "{lines:?}");
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), arrived, "no line comes twice");
    arrives(&sink, "metrics of host and node", |received| {
        let names = metric_names(received);
        let all = [
            "system.cpu.utilization",
            "system.memory.usage",
            "k8s.node.cpu.time",
        ];
        all.iter().all(|name| names.contains(*name)).then_some(())
    });
    rig.balances("otlp/gateway", &sink);
    rig.stop();
}

#[test]
fn headers_for_a_vendor_go_with_every_request_over_grpc() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("vendor-grpc.yaml") else {
        return;
    };
    let relay = rig::Relay::start(&sink, &["x-vendor-team", "x-vendor-dataset"]);
    let at = |port: u16| format!("{address}:{port}");
    rig.variable("VENDOR_API_KEY", "k3y=with signs");
    rig.set("receivers.otlp.protocols.grpc.endpoint", &at(4317));
    rig.set("receivers.otlp.protocols.http.endpoint", &at(4318));
    for exporter in ["otlp/vendor", "otlp/vendor-metrics"] {
        rig.set(&format!("exporters.{exporter}.endpoint"), &relay.address);
        rig.set(&format!("exporters.{exporter}.tls.insecure"), "true");
    }
    rig.start(&[&at(4317), &at(4318)]);
    rig.generate("traces", 10, &at(4317));
    rig.generate("metrics", 10, &at(4317));
    rig.generate("logs", 10, &at(4317));
    let received = arrives(&sink, "all signals", |received| {
        (received.items() == 30).then(|| received.clone())
    });
    let said = format!("{received:?}");
    assert!(said.contains("k3y=with signs"), "{said}");
    let metrics = format!("{:?}", received.metrics);
    assert!(metrics.contains("\"metrics\""), "{metrics}");
    assert!(metrics.contains("host.name"), "{metrics}");
    let preflight = "OPTIONS /v1/traces HTTP/1.1\r\norigin: https://shop.example\r\n\
                     access-control-request-method: POST\r\naccess-control-request-headers: traceparent";
    let (head, _) = support::http(&at(4318), preflight, b"").expect("an answer");
    assert!(
        head.to_ascii_lowercase()
            .contains("access-control-allow-origin"),
        "{head}"
    );
    eventually("everything is told as delivered", || {
        match rig.consumed("otlp/vendor") + rig.consumed("otlp/vendor-metrics") {
            30 => Ok(()),
            sent => Err(sent),
        }
    });
    rig.ledger_is_kept();
    rig.stop();
}

#[test]
fn a_token_with_a_blank_and_counters_as_deltas_go_to_a_vendor_over_http() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("vendor-http.yaml") else {
        return;
    };
    let at = |port: u16| format!("{address}:{port}");
    rig.variable("VENDOR_ENDPOINT", &format!("http://{}", sink.address()));
    rig.variable("VENDOR_TOKEN", "a b=c");
    rig.set("receivers.otlp.protocols.grpc.endpoint", &at(4317));
    rig.set("receivers.otlp.protocols.http.endpoint", &at(4318));
    rig.set("exporters.otlp_http.compression", "none");
    rig.start(&[&at(4317), &at(4318)]);
    rig.generate("traces", 10, &at(4317));
    rig.generate("metrics", 600, &at(4317));
    rig.generate("logs", 10, &at(4317));
    let received = arrives(&sink, "all signals", |received| {
        let sums = format!("{:?}", received.metrics).contains("aggregation_temporality: Delta");
        (sums && received.traces.len() + received.logs.len() >= 2).then(|| received.clone())
    });
    for head in &received.heads {
        let head = head.to_ascii_lowercase();
        assert!(head.contains("authorization: api-token a b=c"), "{head}");
    }
    rig.balances("otlp_http", &sink);
    rig.stop();
}

#[test]
fn secrets_are_masked_by_statements_that_signals_share() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("masking.yaml") else {
        return;
    };
    let grpc = format!("{address}:4317");
    rig.variable("BACKEND", &format!("http://{}", sink.address()));
    rig.set("receivers.otlp.protocols.grpc.endpoint", &grpc);
    rig.set("exporters.otlp_http.compression", "none");
    rig.start(&[&grpc]);
    senders::secrets(&grpc);
    let received = arrives(&sink, "a span and a log record", |received| {
        (received.items() == 2).then(|| received.clone())
    });
    let said = format!("{received:?}");
    assert!(said.contains("**** 1111"), "{said}");
    for secret in ["4111111111111111", "hunter2", "Authorization"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    // The body is JSON, and is taken apart.
    assert!(said.contains("\"user\""), "{said}");
    rig.balances("otlp_http", &sink);
    rig.stop();
}

#[test]
fn durable_logs_come_from_files_syslog_and_the_journal() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("durable-logs.yaml") else {
        return;
    };
    let at = |port: u16| format!("{address}:{port}");
    let logs = rig.path("log");
    std::fs::create_dir_all(&logs).expect("a folder of logs");
    rig.journalctl(&[r#"{"MESSAGE":"from the journal","PRIORITY":"6","__CURSOR":"c1","__REALTIME_TIMESTAMP":"1764500000000000"}"#]);
    rig.variable("BACKEND", &format!("http://{}", sink.address()));
    for (key, value) in [
        ("extensions.health_check.endpoint", at(13133)),
        (
            "extensions.file_storage.directory",
            text_of(&rig.path("storage")),
        ),
        (
            "receivers.file_log.include",
            format!("['{}/*.log']", logs.display()),
        ),
        ("receivers.syslog.tcp.listen_address", at(54526)),
        ("receivers.journald.directory", text_of(rig.directory())),
        ("exporters.otlp_http.compression", "none".to_owned()),
    ] {
        rig.set(key, &value);
    }
    rig.start(&[&at(13133), &at(54526)]);
    senders::append(
        &logs.join("app.log"),
        "2026-11-30 10:00:00 ERROR it failed\n  at line 7\n2026-11-30 10:00:01 INFO {\"user\": 7}\n",
    );
    senders::line(
        &at(54526),
        "<34>1 2026-11-30T10:00:00Z fw01 su - ID47 - denied\n",
    );
    let received = arrives(&sink, "lines of all three", |received| {
        (received.items() == 4).then(|| received.clone())
    });
    let said = format!("{received:?}");
    for part in [
        "\"it failed\"",
        "user",
        "denied",
        "firewall",
        "from the journal",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    rig.balances("otlp_http", &sink);
    rig.stop();
}

#[test]
fn agents_of_two_tiers_spread_traces() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("sampling-agent.yaml") else {
        return;
    };
    let relay = rig::Relay::start(&sink, &[]);
    let (host, port) = relay.address.rsplit_once(':').expect("an address");
    let grpc = format!("{address}:4317");
    rig.set("receivers.otlp.protocols.grpc.endpoint", &grpc);
    rig.set("exporters.load_balancing.resolver.dns.hostname", host);
    rig.set("exporters.load_balancing.resolver.dns.port", port);
    rig.start(&[&grpc]);
    rig.generate("traces", 30, &grpc);
    arrives(&sink, "all spans", |received| {
        (span_names(received).len() == 30).then_some(())
    });
    rig.balances("load_balancing", &sink);
    rig.stop();
}

#[test]
fn gateways_of_two_tiers_count_all_spans_and_keep_the_worthy() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("sampling-gateway.yaml") else {
        return;
    };
    let relay = rig::Relay::start(&sink, &[]);
    let at = |port: u16| format!("{address}:{port}");
    rig.set("receivers.otlp.protocols.grpc.endpoint", &at(4317));
    rig.set("exporters.prometheus.endpoint", &at(8889));
    rig.set("exporters.otlp_grpc/tempo.endpoint", &relay.address);
    // Nobody wants to wait for as long as in earnest.
    rig.set("processors.tail_sampling.decision_wait", "1s");
    rig.set("connectors.span_metrics.metrics_flush_interval", "1s");
    rig.start(&[&at(4317), &at(8889)]);
    senders::verdicts(&at(4317));
    arrives(&sink, "the trace that failed", |received| {
        let names = span_names(received);
        names.contains(&"failed".to_owned()).then_some(())
    });
    assert!(!span_names(&sink.received()).contains(&"probe".to_owned()));
    eventually("all spans are counted", || {
        let page = get(&at(8889), "/metrics")?;
        let both = ["failed", "probe"]
            .iter()
            .all(|name| page.contains(&format!("span_name=\"{name}\"")));
        if both { Ok(()) } else { Err(page) }
    });
    rig.ledger_is_kept();
    rig.stop();
}

#[test]
fn metrics_of_an_agent_are_parted_by_their_names() {
    let sink = Sink::start();
    let address = own_address();
    let Some(mut rig) = Rig::of("host-metrics-vendor.yaml") else {
        return;
    };
    let at = |port: u16| format!("{address}:{port}");
    for (key, value) in [
        ("receivers.otlp.protocols.grpc.endpoint", at(4317)),
        ("receivers.otlp.protocols.http.endpoint", at(4318)),
        ("receivers.host_metrics.root_path", "/".to_owned()),
        (
            "receivers.host_metrics.collection_interval",
            "2s".to_owned(),
        ),
        // No machine of a cloud is asked, wherever this runs.
        (
            "processors.resource_detection/cloud.detectors",
            "[env]".to_owned(),
        ),
        ("processors.batch.timeout", "1s".to_owned()),
        (
            "exporters.otlp_http/vendor.endpoint",
            format!("http://{}", sink.address()),
        ),
        ("exporters.otlp_http/vendor.compression", "none".to_owned()),
    ] {
        rig.set(key, &value);
    }
    rig.start(&[&at(4317), &at(4318)]);
    rig.generate("metrics", 200, &at(4317));
    let received = arrives(&sink, "metrics of both kinds", |received| {
        let names = metric_names(received);
        let shop = names.iter().any(|name| !name.starts_with("system."));
        (shop && names.contains("system.cpu.utilization")).then(|| received.clone())
    });
    let marked = received
        .metrics
        .iter()
        .flat_map(|request| &request.resource_metrics);
    let marked = marked.flat_map(|resource| &resource.scope_metrics);
    for metric in marked.flat_map(|scope| &scope.metrics) {
        let system = metric.name.starts_with("system.");
        let has = format!("{metric:?}").contains("low.data.mode");
        assert_eq!(has, system, "{metric:?}");
    }
    rig.balances("otlp_http/vendor", &sink);
    rig.stop();
}

/// A pattern without a test that starts it would be one that nobody has tried.
#[test]
fn every_pattern_is_started_by_a_test() {
    let own = std::fs::read_to_string(repository("tests/patterns.rs")).expect("this file");
    for entry in std::fs::read_dir(repository("examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "yaml") {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name");
            assert!(own.contains(&format!("Rig::of(\"{name}\"")), "{name}");
        }
    }
    assert!(Path::new(&repository("examples")).is_dir());
}
