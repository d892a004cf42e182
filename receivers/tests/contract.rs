//! Every receiver keeps to the contract.

use std::io::{Read, Write};
use std::net::TcpStream;

use tidegate_component::testing::Contract;
use tidegate_pdata::{Signal, canonical_items};
use tidegate_receivers::{
    ALL, file_log, host_metrics, jaeger, journald, k8s_cluster, k8s_events, k8s_objects,
    kubelet_stats, nop, otlp, prometheus, statsd, syslog, zipkin,
};

#[test]
fn otlp_keeps_to_it() {
    let contract = Contract::<otlp::Config>::new("protocols: {grpc: }", &["protocols: {http: }"]);
    let both = "protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}";
    for protocol in ["grpc", "http"] {
        contract.receiver(both, |address| {
            format!("protocols: {{{protocol}: {{endpoint: '{address}'}}}}")
        });
    }
    let at = |protocol: &'static str| {
        move |address: &str| format!("protocols: {{{protocol}: {{endpoint: '{address}'}}}}")
    };
    contract.receiver_account(at("http"), over_http);
    contract.receiver_account(at("grpc"), over_grpc);
}

#[test]
fn jaeger_keeps_to_it() {
    let full = [
        "protocols: {thrift_http: }",
        "protocols: {thrift_compact: }",
        "protocols: {thrift_binary: {queue_size: 5, max_packet_size: 9000, workers: 2, socket_buffer_size: 100000}}",
    ];
    let contract = Contract::<jaeger::Config>::new("protocols: {grpc: }", &full);
    let all = "protocols: {grpc: {endpoint: '127.0.0.1:0'}, thrift_http: {endpoint: '127.0.0.1:0'}, \
               thrift_compact: {endpoint: '127.0.0.1:0'}, thrift_binary: {endpoint: '127.0.0.1:0'}}";
    let at = |protocol: &'static str| {
        move |address: &str| format!("protocols: {{{protocol}: {{endpoint: '{address}'}}}}")
    };
    for protocol in ["grpc", "thrift_http"] {
        contract.receiver(all, at(protocol));
    }
    contract.receiver_account(at("thrift_http"), |address, signal, message| {
        let spans = canonical_items(signal, message).expect("it is OTLP");
        let body = jaeger_batch(spans);
        let answer = post(address, "/api/traces", "application/x-thrift", &body);
        answer.is_some_and(|status| status == 202)
    });
}

/// A batch of so many spans in thrift's binary protocol.
fn jaeger_batch(spans: usize) -> Vec<u8> {
    const STRUCT: u8 = 12;
    const LIST: u8 = 15;
    // Of each span: the IDs, no parent and no name, no flags, a time and a duration.
    let mut span = Vec::new();
    for id in 1..=4 {
        span.extend([10, 0, id, 0, 0, 0, 0, 0, 0, 0, id % 4]);
    }
    span.extend([11, 0, 5, 0, 0, 0, 0]);
    span.extend([8, 0, 7, 0, 0, 0, 0]);
    for id in 8..=9 {
        span.extend([10, 0, id, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
    span.push(0);
    let mut batch = vec![STRUCT, 0, 1, 11, 0, 1, 0, 0, 0, 1, b's', 0];
    batch.extend([LIST, 0, 2, STRUCT]);
    batch.extend(u32::try_from(spans).expect("they are few").to_be_bytes());
    batch.extend(span.repeat(spans));
    batch.push(0);
    batch
}

#[test]
fn zipkin_keeps_to_it() {
    let full = [
        "{parse_string_tags: true, endpoint: 'localhost:9411', transport: tcp, dialer: {}, tls: {cert_file: cert.pem, key_file: key.pem}, cors: {}, auth: {}, \
         max_request_body_size: 1, include_metadata: true, response_headers: {a: b}, \
         compression_algorithms: [gzip], read_timeout: 1s, read_header_timeout: 1s, write_timeout: 1s, \
         idle_timeout: 1s, middlewares: [], keep_alives_enabled: false}",
    ];
    let contract = Contract::<zipkin::Config>::new("{}", &full);
    let at = |address: &str| format!("endpoint: '{address}'");
    contract.receiver(&at("127.0.0.1:0"), at);
    contract.receiver_account(at, |address, signal, message| {
        let spans = canonical_items(signal, message).expect("it is OTLP");
        let span = r#"{"traceId": "1", "id": "1"}"#;
        let body = format!("[{}]", vec![span; spans].join(","));
        let answer = post(
            address,
            "/api/v2/spans",
            "application/json",
            body.as_bytes(),
        );
        answer.is_some_and(|status| status == 202)
    });
}

#[test]
fn statsd_keeps_to_it() {
    let full = [
        "{endpoint: 'localhost:8125', transport: udp4, dialer: {timeout: 1s}, socket_permissions: '0622', socket_buffer_size: 1000, \
         aggregation_interval: 70s, enable_metric_type: true, enable_simple_tags: true, enable_ip_only_aggregation: true, \
         is_monotonic_counter: true, counter_type: float, timer_histogram_mapping: \
         [{statsd_type: histogram, observer_type: histogram, histogram: {max_size: 50, explicit_buckets: [{matcher_pattern: a, buckets: [1, 2]}]}}, \
         {statsd_type: timing, observer_type: summary, summary: {percentiles: [50]}}]}",
        "{transport: unixgram}",
    ];
    let contract = Contract::<statsd::Config>::new("{}", &full);
    contract.receiver("endpoint: 127.0.0.1:0", |address| {
        format!("{{endpoint: '{address}', transport: tcp}}")
    });
}

#[test]
fn journald_keeps_to_it() {
    let full = [
        "{directory: /var/log/journal, start_at: beginning, units: [ssh], identifiers: [a], matches: [{_UID: '0'}], priority: warning, \
         grep: a, dmesg: true, all: true, merge: true, namespace: n, convert_message_bytes: true, journalctl_path: /bin/sleep, \
         operators: [{type: noop}], attributes: {a: b}, resource: {c: d}, storage: file_storage, \
         retry_on_failure: {enabled: false, initial_interval: 1s, max_interval: 2s, max_elapsed_time: 3s}}",
        "{files: [/var/log/journal/*], root_path: /host, journalctl_path: /bin/journalctl}",
    ];
    let contract = Contract::<journald::Config>::new("{}", &full);
    // A program that tells nothing.
    contract.receiver("{journalctl_path: cat}", |_| "{}".to_owned());
}

#[test]
fn syslog_keeps_to_it() {
    let full = [
        "{tcp: {listen_address: 'localhost:514', tls: {cert_file: a, key_file: b}, max_log_size: 2MiB, max_buffer_size: 1MiB, add_attributes: true, \
         one_log_per_packet: true, encoding: nop, preserve_leading_whitespaces: true, preserve_trailing_whitespaces: true, max_connections: 5, \
         connection_idle_timeout: 1m}, protocol: rfc3164, location: UTC, allow_skip_pri_header: true, on_error: drop, \
         operators: [{type: noop}], attributes: {a: b}, resource: {c: d}, retry_on_failure: {enabled: false}, storage: file_storage}",
        "{tcp: {listen_address: 'localhost:514'}, protocol: rfc5424, enable_octet_counting: true, max_octets: 100}",
        "{tcp: {listen_address: 'localhost:514'}, protocol: rfc5424, non_transparent_framing_trailer: LF}",
        "{udp: {listen_address: 'localhost:514', add_attributes: true, one_log_per_packet: true, encoding: utf-8, multiline: {line_end_pattern: a}, \
         preserve_leading_whitespaces: true, preserve_trailing_whitespaces: true, async: {readers: 1, processors: 2, max_queue_length: 3}}, protocol: rfc3164}",
    ];
    let minimal = "{tcp: {listen_address: '127.0.0.1:0'}, protocol: rfc3164}";
    let contract = Contract::<syslog::Config>::new(minimal, &full);
    contract.receiver(minimal, |address| {
        format!("{{tcp: {{listen_address: '{address}'}}, protocol: rfc5424}}")
    });
}

/// Posts a request on a connection of its own and says whether it was accepted.
fn over_http(address: &str, signal: Signal, message: &[u8]) -> bool {
    let path = format!("/v1/{signal}");
    let answer = post(address, &path, "application/x-protobuf", message);
    answer.is_some_and(|status| status == 200)
}

/// Posts a request on a connection of its own and gives the status of the answer.
fn post(address: &str, path: &str, kind: &str, message: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        message.len()
    );
    let mut answer = Vec::new();
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(message).ok()?;
    stream.read_to_end(&mut answer).ok()?;
    let status = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(status).ok()?.parse().ok()
}

/// Makes a unary call on a connection of its own and says whether it was accepted.
fn over_grpc(address: &str, signal: Signal, message: &[u8]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let called = runtime.block_on(call(address, signal, message));
    called.is_some_and(|status| status == "0")
}

/// The status of a call; none where there is no answer.
async fn call(address: &str, signal: Signal, message: &[u8]) -> Option<String> {
    let stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let (client, connection) = h2::client::handshake(stream).await.ok()?;
    tokio::spawn(connection);
    let (package, service) = match signal {
        Signal::Traces => ("trace", "Trace"),
        Signal::Metrics => ("metrics", "Metrics"),
        Signal::Logs => ("logs", "Logs"),
    };
    let method = format!("opentelemetry.proto.collector.{package}.v1.{service}Service/Export");
    let request = http::Request::post(format!("http://{address}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let mut client = client.ready().await.ok()?;
    let (answer, mut body) = client.send_request(request, false).ok()?;
    let mut framed = vec![0];
    framed.extend(
        u32::try_from(message.len())
            .expect("it is small")
            .to_be_bytes(),
    );
    framed.extend(message);
    body.send_data(framed.into(), true).ok()?;
    let (head, mut data) = answer.await.ok()?.into_parts();
    let status = |headers: &http::HeaderMap| {
        let status = headers.get("grpc-status")?.to_str().ok()?;
        Some(status.to_owned())
    };
    if let Some(status) = status(&head.headers) {
        return Some(status);
    }
    while let Some(part) = data.data().await {
        let length = part.ok()?.len();
        data.flow_control().release_capacity(length).ok()?;
    }
    status(&data.trailers().await.ok()??)
}

#[test]
fn file_log_keeps_to_it() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let pattern = folder.path().join("*.log").display().to_string();
    let minimal = format!("include: ['{pattern}']");
    let full = format!(
        "
include: ['{pattern}']
exclude: [/var/log/own.log]
exclude_older_than: 24h
start_at: beginning
poll_interval: 100ms
fingerprint_size: 1kb
initial_buffer_size: 16KiB
max_log_size: 1MiB
max_concurrent_files: 100
max_batches: 1
force_flush_period: 1s
encoding: utf-16le
preserve_leading_whitespaces: true
preserve_trailing_whitespaces: true
compression: auto
include_file_name: false
include_file_path: true
include_file_name_resolved: true
include_file_path_resolved: true
include_file_owner_name: true
include_file_owner_group_name: true
include_file_record_number: true
include_file_record_offset: true
delete_after_read: true
acquire_fs_lock: true
polls_to_archive: 10
operators: [{{type: json_parser}}]
attributes: {{env: prod}}
resource: {{service.name: shop}}
retry_on_failure: {{enabled: true, initial_interval: 1s, max_interval: 10s, max_elapsed_time: 5m}}
header: {{pattern: '^#', metadata_operators: [{{type: regex_parser, regex: '(?P<a>.)'}}]}}
"
    );
    let lines = format!(
        "
include: ['{pattern}']
multiline: {{line_end_pattern: ';', omit_pattern: true}}
ordering_criteria: {{regex: '(?P<n>.)', top_n: 2, group_by: '(.)', sort_by: [{{sort_type: numeric, regex_key: n}}]}}
storage: file_storage
"
    );
    let full = [full.as_str(), lines.as_str()];
    Contract::<file_log::Config>::new(&minimal, &full).receiver(&minimal, ToOwned::to_owned);
}

#[test]
fn host_metrics_keeps_to_it() {
    let text = "{collection_interval: 1s, initial_delay: 0s, timeout: 10s, root_path: /, \
                metadata_collection_interval: 1m, scrapers: {cpu: , disk: , filesystem: , load: , \
                memory: , network: , nfs: , paging: , process: , processes: , system: }}";
    let full = [text];
    let contract = Contract::<host_metrics::Config>::new("scrapers: {cpu: }", &full);
    contract.receiver(text, str::to_owned);
}

/// A kubeconfig file of a cluster that says which objects it has, and what answers for it.
fn cluster() -> (tempfile::TempDir, String, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it is bound");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("kubeconfig");
    let text = format!(
        "{{current-context: a, contexts: [{{name: a, context: {{cluster: a, user: a}}}}], \
         clusters: [{{name: a, cluster: {{server: 'http://{address}'}}}}]}}"
    );
    std::fs::write(&path, text).expect("a file can be written");
    let answering = std::thread::spawn(move || {
        // Discovery asks for the groups and the core's objects; whoever watches is left waiting.
        for _ in 0..2 {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let groups = head[..length].starts_with(b"GET /apis ");
            let body = match groups {
                true => r#"{"groups": []}"#,
                false => r#"{"resources": [{"name": "pods"}]}"#,
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (folder, path.display().to_string(), answering)
}

#[test]
fn k8s_events_keeps_to_it() {
    let (_folder, file, _) = cluster();
    let minimal = format!("{{auth_type: kubeConfig, kube_config_path: '{file}'}}");
    let full = [
        "{auth_type: kubeConfig, context: a, namespaces: [shop], storage: file_storage, dedup_interval: 1m, \
         k8s_leader_elector: ''}",
    ];
    let contract = Contract::<k8s_events::Config>::new(&minimal, &full);
    contract.receiver(&minimal, ToOwned::to_owned);
}

#[test]
fn k8s_cluster_keeps_to_it() {
    let (_folder, file, _) = cluster();
    let minimal = format!(
        "{{auth_type: kubeConfig, kube_config_path: '{file}', collection_interval: 100ms}}"
    );
    let full = [
        "{auth_type: kubeConfig, context: a, collection_interval: 20s, node_conditions_to_report: [Ready, PIDPressure], \
         allocatable_types_to_report: [cpu], distribution: openshift, namespaces: [shop], metadata_exporters: [], \
         k8s_leader_elector: '', metrics: {k8s.pod.phase: {enabled: false}}, \
         resource_attributes: {k8s.pod.uid: {enabled: false}}}",
        "{auth_type: none, namespace: shop, metadata_collection_interval: 1m}",
    ];
    let contract = Contract::<k8s_cluster::Config>::new(&minimal, &full);
    contract.receiver(&minimal, ToOwned::to_owned);
}

#[test]
fn k8s_objects_keeps_to_it() {
    let (_folder, file, answering) = cluster();
    let minimal = format!(
        "{{auth_type: kubeConfig, kube_config_path: '{file}', objects: [{{name: pods, mode: watch}}]}}"
    );
    let full = [
        "{auth_type: kubeConfig, context: a, error_mode: ignore, include_initial_state: true, storage: file_storage, \
         k8s_leader_elector: '', objects: [{name: pods, group: apps, mode: pull, interval: 1m, label_selector: a=b, \
         field_selector: c=d, namespaces: [shop]}, {name: pods, mode: watch, resource_version: '1', \
         exclude_watch_type: [BOOKMARK]}]}",
    ];
    let contract = Contract::<k8s_objects::Config>::new(&minimal, &full);
    contract.receiver(&minimal, ToOwned::to_owned);
    answering.join().expect("it has answered");
}

#[test]
fn kubelet_stats_keeps_to_it() {
    let minimal = "{auth_type: none, endpoint: '127.0.0.1:1'}";
    let full = [
        "{collection_interval: 20s, initial_delay: 1s, timeout: 5s, auth_type: tls, endpoint: 'https://n1:10250', \
         extra_metadata_labels: [container.id, k8s.volume.type], metric_groups: [container, pod, node, volume], \
         k8s_api_config: {auth_type: serviceAccount}, node: n1, collect_all_network_interfaces: {pod: true, node: true}, \
         metrics: {k8s.pod.cpu.node.utilization: {enabled: true}}, resource_attributes: {k8s.pod.uid: {enabled: false}}, \
         insecure_skip_verify: true, ca_file: ca.pem, include_system_ca_certs_pool: true, cert_file: cert.pem, \
         key_file: key.pem, min_version: '1.2', max_version: '1.3', cipher_suites: [], curve_preferences: [], \
         reload_interval: 1m}",
        "{auth_type: kubeConfig, endpoint: n1, context: a, kube_config_path: config}",
        "{auth_type: tls, ca_pem: a, cert_pem: b, key_pem: c}",
    ];
    let contract = Contract::<kubelet_stats::Config>::new(minimal, &full);
    contract.receiver(minimal, |_| minimal.to_owned());
}

#[test]
fn nop_keeps_to_it() {
    Contract::<nop::Config>::new("{}", &[]).receiver("{}", |_| "{}".to_owned());
}

#[test]
fn prometheus_keeps_to_it() {
    let job =
        "config: {scrape_configs: [{job_name: a, static_configs: [{targets: ['127.0.0.1:1']}]}]}";
    let all = format!(
        "{job}\ntrim_metric_suffixes: true\ntarget_allocator:\napi_server: {{enabled: false}}"
    );
    let found = "config: {scrape_configs: [{job_name: a, \
        oauth2: {client_id: a, client_secret: b, scopes: [c], token_url: 'http://d/', endpoint_params: {e: 1}}, \
        dns_sd_configs: [{names: [a], type: AAAA, port: 1, refresh_interval: 1s}], \
        consul_sd_configs: [{server: 'a:1', path_prefix: b, datacenter: c, namespace: d, partition: e, tag_separator: f, \
          scheme: https, username: g, password: h, allow_stale: false, refresh_interval: 1s, services: [i], tags: [j], \
          node_meta: {k: 1}, filter: l, health_filter: m}], \
        kubernetes_sd_configs: [{api_server: 'https://a', role: endpointslice, namespaces: {names: [b]}, \
          selectors: [{role: service, label: 'a=b'}], attach_metadata: {node: true, namespace: true, deployment: true, \
          job: true, cronjob: true}, bearer_token: t}]}]}";
    let all = [&*all, found];
    let contract = Contract::<prometheus::Config>::new(job, &all);
    contract.receiver(job, |_| job.to_owned());
}

#[test]
fn no_receiver_is_forgotten() {
    for entry in ALL {
        let test = format!("fn {}_keeps_to_it()", entry.name);
        assert!(include_str!("contract.rs").contains(&test), "{test}");
    }
}
