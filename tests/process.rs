//! The process from its start to its end: a configuration from an address, telemetry into files, the ledger
//! and its own metrics at the end.

// What the tests share is public for all of them, and some of it prints.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use support::sink::{Received, Sink};
use support::{Process, corpus, free_port, http, normal};

/// Serves a text to everybody who asks.
fn serve(text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("a bound address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let asked = BufReader::new(&stream).lines();
            asked.map_while(Result::ok).find(String::is_empty);
            let length = text.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let _ = stream.write_all(format!("{head}{text}").as_bytes());
        }
    });
    format!("http://{address}/collector.yaml")
}

fn configuration(listens: &str, own_metrics: &str) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{listens}'}}}}}}}}
exporters:
  file/lines: {{path: out/all.json, create_directory: true}}
  file/messages: {{path: all.otlp, format: proto}}
  nop:
  nop/2:
service:
  telemetry:
    metrics:
      readers:
        - periodic:
            interval: 3600000
            exporter: {{otlp: {{protocol: http/protobuf, endpoint: 'http://{own_metrics}'}}}}
  pipelines:
    traces: &all {{receivers: [otlp], exporters: [file/lines, file/messages, nop, nop/2]}}
    metrics: *all
    logs: *all
"
    )
}

/// The messages of a file, each after its length.
fn messages(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).expect("the file is there");
    let (mut left, mut messages) = (&bytes[..], Vec::new());
    while let Some((length, after)) = left.split_first_chunk() {
        let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        messages.push(message.to_vec());
        left = after;
    }
    messages
}

/// Sums of own metrics by name and exporter.
fn own_sums(received: &Received, name: &str, exporter: &str) -> i64 {
    let requests = received.metrics.iter().flat_map(|r| &r.resource_metrics);
    let metrics = requests.flat_map(|r| &r.scope_metrics);
    let metrics = metrics.flat_map(|s| &s.metrics).filter(|m| m.name == name);
    let points = metrics.flat_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.clone(),
        other => panic!("{name} is {other:?}"),
    });
    let mine = points.filter(|point| format!("{:?}", point.attributes).contains(exporter));
    mine.map(|point| match point.value {
        Some(Value::AsInt(value)) => value,
        other => panic!("{name} has {other:?}"),
    })
    .sum()
}

#[test]
fn what_comes_in_is_in_files_in_the_ledger_and_in_own_metrics() {
    let (listens, sink) = (format!("127.0.0.1:{}", free_port()), Sink::start());
    let address = serve(configuration(&listens, sink.address()));
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut command = support::tidegate();
    command.args(["--config", &address]).current_dir(&folder);
    let mut process = Process::start("tidegate", &mut command);
    process.wait_listening(&listens);
    let sent = Received {
        traces: vec![corpus::traces()],
        metrics: vec![corpus::metrics()],
        logs: vec![corpus::logs()],
        ..Received::default()
    };
    let bodies = [
        ("traces", sent.traces[0].encode_to_vec()),
        ("metrics", sent.metrics[0].encode_to_vec()),
        ("logs", sent.logs[0].encode_to_vec()),
    ];
    for (signal, body) in &bodies {
        let request = format!("POST /v1/{signal} HTTP/1.1\r\ncontent-type: application/x-protobuf");
        let (head, _) = http(&listens, &request, body).expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
    assert!(process.terminate().success());
    let output = process.output();

    // Rows of the ledger: three of the receiver, three of each exporter.
    assert_eq!(output.matches("\tledger\t").count(), 15, "{output}");
    assert_eq!(output.matches("service.instance.id").count(), 1, "{output}");

    let lines = std::fs::read_to_string(folder.path().join("out/all.json")).expect("lines");
    let starts: Vec<_> = lines.lines().map(|line| &line[..15]).collect();
    assert_eq!(
        starts,
        [
            r#"{"resourceSpans"#,
            r#"{"resourceMetri"#,
            r#"{"resourceLogs""#
        ]
    );
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
    }

    let spans = own_sums(
        &sink.received(),
        "otelcol_exporter_sent_spans",
        "file/lines",
    );
    let rows = Received {
        traces: sent.traces.clone(),
        ..Received::default()
    };
    assert_eq!(spans, i64::try_from(rows.items()).expect("few items"));

    // Each was answered when it was in the file, so they lie there as they were sent.
    let [traces, metrics, logs] = &messages(&folder.path().join("all.otlp"))[..] else {
        panic!("not three messages");
    };
    let kept = Received {
        traces: Message::decode(&**traces).into_iter().collect(),
        metrics: Message::decode(&**metrics).into_iter().collect(),
        logs: Message::decode(&**logs).into_iter().collect(),
        ..Received::default()
    };
    assert_eq!(normal::records(&kept), normal::records(&sent));
}
