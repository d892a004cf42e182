//! Every receiver keeps to the contract.

use std::io::{Read, Write};
use std::net::TcpStream;

use tidegate_component::testing::Contract;
use tidegate_pdata::Signal;
use tidegate_receivers::{ALL, host_metrics, otlp, prometheus};

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
fn host_metrics_keeps_to_it() {
    let text = "{collection_interval: 1s, initial_delay: 0s, timeout: 10s, root_path: /, \
                metadata_collection_interval: 1m, scrapers: {cpu: , disk: , filesystem: , load: , \
                memory: , network: , nfs: , paging: , process: , processes: , system: }}";
    let full = [text];
    let contract = Contract::<host_metrics::Config>::new("scrapers: {cpu: }", &full);
    contract.receiver(text, str::to_owned);
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
