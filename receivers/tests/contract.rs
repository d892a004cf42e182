//! Every receiver keeps to the contract.

use std::io::{Read, Write};
use std::net::TcpStream;

use tidegate_component::testing::Contract;
use tidegate_pdata::Signal;
use tidegate_receivers::{ALL, file_log, host_metrics, nop, otlp, prometheus};

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

/// Posts a request on a connection of its own and says whether it was accepted.
fn over_http(address: &str, signal: Signal, message: &[u8]) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let head = format!(
        "POST /v1/{signal} HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        message.len()
    );
    let mut answer = Vec::new();
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(message))
        .and_then(|()| stream.read_to_end(&mut answer))
        .is_ok_and(|_| answer.starts_with(b"HTTP/1.1 200"))
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
    let all = [&*all];
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
