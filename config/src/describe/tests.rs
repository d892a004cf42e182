use tidegate_document::Paint;

use super::*;
use crate::settings::PipelineId;
use crate::telemetry::{Encoding, LogLevel};
use crate::testing::World;

fn described(text: &str, options: &Options) -> (Settings, String) {
    let world = World::default().set("MY_POD_IP", "10.0.0.7");
    let mut loaded = world.text(text);
    let settings = describe(&loaded.document, options, &mut loaded.diagnostics);
    let rendered = loaded.diagnostics.render(&loaded.sources, Paint::Plain);
    (settings, rendered)
}

fn clean(text: &str) -> Settings {
    let (settings, found) = described(text, &Options::default());
    assert_eq!(found, "");
    settings
}

fn faults(text: &str) -> String {
    described(text, &Options::default()).1
}

fn ids(list: &[crate::Reference]) -> Vec<&str> {
    list.iter().map(|reference| reference.id.as_str()).collect()
}

#[test]
fn the_default_of_the_helm_chart_is_read() {
    let settings = clean(
        r#"
receivers:
  otlp: {protocols: {grpc: {endpoint: "${env:MY_POD_IP}:4317"}, http: {endpoint: "${env:MY_POD_IP}:4318"}}}
  jaeger:
    protocols:
      grpc: {endpoint: "${env:MY_POD_IP}:14250"}
  prometheus: {config: {scrape_configs: [{job_name: self, static_configs: [{targets: ["${env:MY_POD_IP}:8888"]}]}]}}
processors:
  batch: {}
  memory_limiter: {check_interval: 5s, limit_percentage: 80, spike_limit_percentage: 25}
exporters: {debug: {}}
extensions: {health_check: {endpoint: "${env:MY_POD_IP}:13133"}}
service:
  extensions: [health_check]
  telemetry:
    resource: {k8s.pod.name: "${env:MY_POD_IP}", service.version: }
    metrics: {readers: [{pull: {exporter: {prometheus: {host: "${env:MY_POD_IP}", port: 8888}}}}]}
  pipelines:
    traces:  {receivers: [otlp, jaeger], processors: [memory_limiter, batch], exporters: [debug]}
    metrics: {receivers: [otlp, prometheus], processors: [memory_limiter, batch], exporters: [debug]}
    logs/a:  {receivers: [otlp], exporters: [debug]}
"#,
    );
    let endpoint = settings.receivers[0].node.at("protocols::grpc::endpoint");
    assert_eq!(endpoint.unwrap().as_str(), Some("10.0.0.7:4317"));
    let id = PipelineId {
        signal: Signal::Logs,
        name: "a".to_owned(),
    };
    assert_eq!(id.to_string(), "logs/a");
    assert_eq!(ids(&settings.service.pipelines[&id].receivers), ["otlp"]);
    assert_eq!(
        ids(&settings.service.pipelines[0].processors),
        ["memory_limiter", "batch"]
    );
    let readers = settings.service.telemetry.metrics.readers().unwrap();
    let prometheus = readers[0]
        .pull
        .as_ref()
        .unwrap()
        .exporter
        .prometheus
        .as_ref()
        .unwrap();
    assert_eq!(
        (prometheus.host.as_str(), prometheus.port),
        ("10.0.0.7", 8888)
    );
    assert!(prometheus.without_type_suffix && prometheus.without_units);
    let resource = &settings.service.telemetry.resource.attributes;
    assert_eq!(resource["k8s.pod.name"].as_deref(), Some("10.0.0.7"));
    assert_eq!(resource["service.version"], None);
    assert_eq!(
        *settings.service.shutdown_timeout,
        std::time::Duration::from_secs(25)
    );
}

const ENDS: &str = "receivers: {otlp: }\nexporters: {debug: }\n";
const PIPELINE: &str = "  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}\n";

#[test]
fn every_form_of_telemetry_is_read() {
    let settings = clean(&format!(
        "{ENDS}service:
{PIPELINE}  shutdown_timeout: 5s
  telemetry:
    logs:
      level: WARN
      encoding: json
      output_paths: [stdout]
      error_output_paths: stderr
      sampling: {{enabled: false, tick: 1s, initial: 1, thereafter: 0}}
      initial_fields: {{a: 1, b: x}}
      disable_caller: true
      disable_stacktrace: true
    metrics:
      level: Detailed
      readers:
      - periodic:
          interval: 1000
          exporter:
            otlp: {{protocol: http/protobuf, endpoint: 'https://x', headers: [{{name: k, value: v}}], temporality_preference: delta}}
      - periodic: {{exporter: {{otlp: {{protocol: grpc, endpoint: x, headers: {{k: v}}}}}}}}
      - periodic: {{exporter: {{console: }}}}
      - pull: {{exporter: {{prometheus: }}}}
    resource:
      schema_url: https://opentelemetry.io/schemas/1.40.0
      attributes: [{{name: service.name, value: gw}}, {{name: n, value: 5, type: int}}, {{name: service.version, value: }}]
    traces: {{level: none}}
"
    ));
    let telemetry = &settings.service.telemetry;
    assert_eq!(
        (telemetry.logs.level, telemetry.logs.encoding),
        (LogLevel::Warn, Encoding::Json)
    );
    let readers = telemetry.metrics.readers().unwrap();
    let otlp = readers[0]
        .periodic
        .as_ref()
        .unwrap()
        .exporter
        .otlp
        .as_ref()
        .unwrap();
    assert_eq!(otlp.headers()[0].1.reveal(), "v");
    assert_eq!(readers[0].periodic.as_ref().unwrap().timeout, 30_000);
    assert!(
        readers[2]
            .periodic
            .as_ref()
            .unwrap()
            .exporter
            .console
            .is_some()
    );
    let attributes = &telemetry.resource.attributes;
    assert_eq!(attributes["service.name"].as_deref(), Some("gw"));
    assert_eq!(attributes["n"].as_deref(), Some("5"));
    assert_eq!(attributes["service.version"], None);
    assert_eq!(
        *settings.service.shutdown_timeout,
        std::time::Duration::from_secs(5)
    );
}

#[test]
fn telemetry_without_effect_warns_and_what_is_wrong_is_an_error() {
    insta::assert_snapshot!(faults(&format!(
        "{ENDS}service:
{PIPELINE}  telemetry:
    logs: {{level: loud, output_paths: [stderr, /var/log/x.log], development: true}}
    metrics: {{level: none, adress: 'x:1'}}
    traces: {{processors: []}}
    resource: {{count: 5}}
"
    )));
    let found = faults(&format!(
        "{ENDS}service:\n{PIPELINE}  telemetry: {{metrics: {{address: nowhere}}}}\n"
    ));
    insta::assert_snapshot!(found);
}

#[test]
fn the_older_address_is_a_pull_reader() {
    let text =
        format!("{ENDS}service:\n{PIPELINE}  telemetry: {{metrics: {{address: ':9999'}}}}\n");
    let (settings, found) = described(&text, &Options::default());
    assert!(found.starts_with("warning[deprecated]"), "{found}");
    let readers = settings.service.telemetry.metrics.readers().unwrap();
    let prometheus = readers[0]
        .pull
        .clone()
        .unwrap()
        .exporter
        .prometheus
        .unwrap();
    assert_eq!(
        (prometheus.host.as_str(), prometheus.port),
        ("0.0.0.0", 9999)
    );
}

#[test]
fn undefined_components_suggest_what_was_meant() {
    insta::assert_snapshot!(faults(
        "receivers: {otlp: }
processors: {batch: , memory_limiter: }
exporters: {otlp/edge: , debug: }
extensions: {health_check: }
service:
  extensions: [healthcheck]
  pipelines:
    traces:
      receivers: [oltp, batch]
      processors: [memorylimiter]
      exporters: [otlp, file, debug, debug]
"
    ));
}

#[test]
fn unused_components_are_warnings() {
    let found = faults(&format!(
        "{}service:\n{PIPELINE}extensions: {{pprof: }}\nprocessors: {{batch: }}\n",
        ENDS.replace("debug:", "debug: , nop:")
    ));
    insta::assert_snapshot!(found);
}

#[test]
fn shapes_that_are_wrong_are_all_reported() {
    insta::assert_snapshot!(faults(
        "receivers: {otlp: , 2fast: , otlp/: }
exporters: [debug]
recievers: {}
connectors: {otlp: }
service:
  extension: []
  pipelines:
    trace: {receivers: [otlp], exporters: [otlp]}
    metrics: {receivers: [], exporters: [otlp]}
    logs:
    logs/x: {receivers: [otlp], exporter: [otlp], processors: {a: b}}
"
    ));
}

#[test]
fn a_configuration_without_pipelines_says_so() {
    insta::assert_snapshot!(faults(""));
    insta::assert_snapshot!(faults("receivers: {otlp: }\n"));
    insta::assert_snapshot!(faults("receivers: {otlp: }\nservice:\n  pipelines:\n"));
}

#[test]
fn profiles_are_named_as_not_built() {
    let text = format!("{ENDS}service:\n{PIPELINE}").replace(
        "pipelines: {",
        "pipelines: {profiles/x: {receivers: [otlp], exporters: [debug]}, ",
    );
    insta::assert_snapshot!(faults(&text));
    let warn = Options {
        unknown_keys: UnknownKeys::Warn,
        ..Options::default()
    };
    let (settings, found) = described(&text, &warn);
    assert!(found.starts_with("warning[not-built]"), "{found}");
    assert_eq!(settings.service.pipelines.len(), 1);
}

#[test]
fn unknown_keys_can_be_let_pass() {
    let text = format!("{ENDS}extra: 1\nservice:\n  more: 2\n{PIPELINE}");
    assert_eq!(faults(&text).matches("error[unknown-key]").count(), 2);
    let warn = Options {
        unknown_keys: UnknownKeys::Warn,
        ..Options::default()
    };
    let (settings, found) = described(&text, &warn);
    assert_eq!(found.matches("warning[unknown-key]").count(), 2);
    assert_eq!(settings.service.pipelines.len(), 1);
}

#[test]
fn extensions_of_gos_runtime_are_left_out_with_one_warning() {
    let text = format!(
        "{ENDS}extensions: {{cgroupruntime: {{gomaxprocs: {{enabled: true}}}}, memory_ballast: }}\nservice:\n  extensions: [cgroupruntime, memory_ballast]\n{PIPELINE}"
    );
    let (settings, found) = described(&text, &Options::default());
    assert_eq!(found.matches("warning[no-effect]").count(), 2, "{found}");
    assert!(!found.contains("error"), "{found}");
    assert!(settings.extensions.is_empty() && settings.service.extensions.is_empty());
}

#[test]
fn connectors_join_pipelines() {
    let settings = clean(
        "receivers: {otlp: }
exporters: {debug: }
connectors: {forward: , span_metrics: }
service:
  pipelines:
    traces/in: {receivers: [otlp], exporters: [forward, span_metrics]}
    traces/out: {receivers: [forward], exporters: [debug]}
    metrics: {receivers: [span_metrics], exporters: [debug]}
",
    );
    assert_eq!(settings.connectors.len(), 2);
}

#[test]
fn a_connector_used_on_one_side_is_an_error() {
    insta::assert_snapshot!(faults(
        "receivers: {otlp: }
exporters: {debug: }
connectors: {forward/a: , forward/b: , forward/c: }
service:
  pipelines:
    traces: {receivers: [otlp, forward/b], exporters: [debug, forward/a]}
"
    ));
}

const CIRCLE: &str = "receivers: {otlp: }
exporters: {debug: }
connectors: {forward/a: , forward/b: , forward/c: }
service:
  pipelines:
    traces/in: {receivers: [otlp], exporters: [forward/a]}
    traces/x: {receivers: [forward/a, forward/c], exporters: [forward/b, debug]}
    traces/y: {receivers: [forward/b], exporters: [forward/c]}
";

#[test]
fn a_circle_of_connectors_is_shown_once() {
    insta::assert_snapshot!(faults(CIRCLE));
}

#[test]
fn a_connector_that_cannot_join_two_signals_makes_no_circle() {
    let never = Options {
        joins: |_, _, _| false,
        ..Options::default()
    };
    assert_eq!(described(CIRCLE, &never).1, "");
    let itself = CIRCLE.replace(
        "exporters: [forward/c]",
        "exporters: [forward/b, forward/c]",
    );
    assert!(
        faults(&itself).contains("traces/y -> forward/b -> traces/y")
            || faults(&itself).contains("traces/x -> forward/b")
    );
}

#[test]
fn anchors_and_merge_keys_work_in_a_whole_configuration() {
    let settings = clean(
        "
x: &otlp {endpoint: 'x:1', tls: {insecure: true}}
receivers: {otlp: }
exporters:
  otlp/a: {<<: *otlp}
  otlp/b: {<<: *otlp, endpoint: 'y:1'}
service:
  pipelines:
    traces: &p {receivers: [otlp], exporters: [otlp/a, otlp/b]}
    logs: *p
"
        .replace("x: &otlp", "processors: &none\nreceivers::otlp/x: &otlp")
        .replace("receivers: [otlp]", "receivers: [otlp, otlp/x]")
        .as_str(),
    );
    assert_eq!(
        settings.exporters[1].node.at("endpoint").unwrap().as_str(),
        Some("y:1")
    );
    assert_eq!(settings.service.pipelines.len(), 2);
}

/// Configurations as they are met in the field, cut to what is special about each.
const MET: &[(&str, &str)] = &[
    (
        "headers from the environment, an empty section between braces",
        r#"
receivers: {otlp: {protocols: {grpc: , http: {cors: {allowed_origins: ["http://*", "https://*"]}}}}}
processors: {batch: , memory_limiter: {check_interval: 1s, limit_mib: 512}}
exporters:
  otlp/a: {endpoint: "api.example.com:443", headers: {x-team: "${MY_POD_IP}", x-dataset: "${DATASET:-metrics}"}}
  otlp_http: {headers: {Authorization: "Api-Token ${env:MY_POD_IP}"}, sending_queue: {batch: }}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp/a]}
    logs: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http]}
"#,
    ),
    (
        "back-references, anchors in lists, regular expressions",
        r#"
receivers: {otlp: {protocols: {grpc: {endpoint: 0.0.0.0:4317}}}}
processors:
  transform:
    trace_statements:
    - context: span
      statements: &mask
      - replace_all_patterns(attributes, "value", "^4(\\s*[0-9]){8,14}\\s*(([0-9]\\s*){4})$", "**** $$2")
      - truncate_all(attributes, 4095)
    log_statements:
    - {context: log, statements: *mask}
    - context: log
      conditions: ['severity_number == 0 and severity_text == ""']
  redaction: {blocked_values: ['[0-9]{13,16}'], summary: silent}
  k8sattributes: {extract: {labels: [{tag_name: "$$1", key_regex: "app.kubernetes.io/(.*)", from: pod}]}}
exporters: {debug: {}}
service: {pipelines: {traces: {receivers: [otlp], processors: [transform, redaction, k8sattributes], exporters: [debug]}}}
"#,
    ),
    (
        "connectors without settings, two tiers of pipelines",
        r#"
receivers: {otlp: {protocols: {grpc: {keepalive: {server_parameters: {max_connection_age: 60s}}}}}}
connectors: {forward: , span_metrics: {dimensions: [{name: http.route}]}}
processors: {memory_limiter: {check_interval: 1s, limit_percentage: 80}, tail_sampling: {decision_wait: 30s}}
exporters: {otlp_grpc/tempo: {endpoint: "tempo:4317", tls: {insecure: true}}, prometheus: {endpoint: 0.0.0.0:8889}}
service:
  pipelines:
    traces/in:  {receivers: [otlp], processors: [memory_limiter], exporters: [forward, span_metrics]}
    traces/out: {receivers: [forward], processors: [tail_sampling], exporters: [otlp_grpc/tempo]}
    metrics:    {receivers: [span_metrics], exporters: [prometheus]}
"#,
    ),
    (
        "scrapers by their names alone, patterns with dollars",
        r#"
extensions: {file_storage: {directory: /var/lib/otelcol, compaction: {on_start: true}}}
receivers:
  hostmetrics:
    scrapers:
      cpu: {metrics: {system.cpu.utilization: {enabled: true}}}
      load:
      filesystem:
        exclude_mount_points: {match_type: regexp, mount_points: ['^/dev($|/)', '^/proc($|/)']}
  filelog: {include: [/var/log/pods/*/*/*.log], storage: file_storage, operators: [{type: container, id: container-parser}]}
exporters: {otlp/gateway: {endpoint: "gateway-headless:4317"}}
service:
  extensions: [file_storage]
  pipelines:
    metrics: {receivers: [hostmetrics], exporters: [otlp/gateway]}
    logs: {receivers: [filelog], processors: [], exporters: [otlp/gateway]}
"#,
    ),
];

#[test]
fn configurations_met_in_the_field_are_read_without_a_word() {
    for (what, text) in MET {
        let (settings, found) = described(text, &Options::default());
        assert_eq!(found, "", "{what}");
        assert!(!settings.service.pipelines.is_empty(), "{what}");
    }
    let settings = clean(MET[1].1);
    let statement = settings.processors[0]
        .node
        .at("log_statements::0::statements::0");
    assert!(
        statement
            .unwrap()
            .as_str()
            .unwrap()
            .ends_with(r#""**** $2")"#)
    );
    let settings = clean(MET[3].1);
    let scrapers = settings.receivers[0].node.at("scrapers").unwrap();
    assert!(scrapers.get("load").unwrap().is_null());
    let mounts = scrapers.at("filesystem::exclude_mount_points::mount_points::0");
    assert_eq!(mounts.unwrap().as_str(), Some("^/dev($|/)"));
}

#[test]
fn an_exporter_for_dead_letters_is_used_and_one_that_is_not_there_is_an_error() {
    let text = |letters: &str| {
        format!(
            "receivers: {{otlp: }}
exporters: {{nop: {{on_permanent_error: {letters}}}, file/letters: {{on_permanent_error: debug}}, debug: }}
service: {{pipelines: {{logs: {{receivers: [otlp], exporters: [nop]}}}}}}
"
        )
    };
    clean(&text("file/letters"));
    insta::assert_snapshot!(faults(&text("file/leters")));
    // What only an unused exporter names is not used either.
    let found = faults(&text("debug"));
    assert!(
        found.contains("exporters::file/letters: the exporter is never used"),
        "{found}"
    );
}

#[test]
fn dead_letters_that_go_round_are_shown_once() {
    insta::assert_snapshot!(faults(
        "receivers: {otlp: }
exporters:
  nop: {on_permanent_error: nop}
  file/a: {on_permanent_error: file/b}
  file/b:
    on_permanent_error: file/c
  file/c: {on_permanent_error: file/b}
service: {pipelines: {logs: {receivers: [otlp], exporters: [nop, file/a]}}}
"
    ));
}
