//! The ledger as a user sees it: the command, the metrics, the last line of the log.

// What the tests share is public for all of them, and some of it prints.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::process::Output;

use prost::Message;
use support::{Tidegate, corpus, eventually, free_port, get, http, tidegate};

/// Logs go to an exporter whose peer is away, once and no more, and to one that takes everything.
fn configuration(listens: &str, admin: &str, own: u16) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{listens}'}}}}}}}}
exporters:
  nop:
  otlp_http/away:
    endpoint: http://127.0.0.1:9
    retry_on_failure: {{enabled: false}}
extensions: {{admin: {{endpoint: '{admin}'}}}}
service:
  extensions: [admin]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [nop]}}
    logs: {{receivers: [otlp], exporters: [nop, otlp_http/away]}}
"
    )
}

fn send(listens: &str, signal: &str, body: &[u8]) {
    let request = format!("POST /v1/{signal} HTTP/1.1\r\ncontent-type: application/x-protobuf");
    let (head, _) = http(listens, &request, body).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

fn ledger(admin: &str, more: &[&str]) -> Output {
    let endpoint = format!("http://{admin}/ledger");
    let mut command = tidegate();
    command.args(["ledger", "--endpoint", &endpoint]).args(more);
    command.output().expect("it runs")
}

/// The samples of a family, without those that are 0.
fn counted(page: &str, family: &str) -> Vec<String> {
    let lines = page.lines().filter(|line| line.starts_with(family));
    let counted = lines.filter(|line| !line.ends_with(" 0"));
    counted.map(str::to_owned).collect()
}

#[test]
fn losses_show_in_the_command_the_metric_and_the_last_line_and_nothing_else_does() {
    let (listens, admin) = (
        format!("127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", free_port()),
    );
    let own = free_port();
    let collector = Tidegate::start(
        &configuration(&listens, &admin, own),
        &[&listens, &admin, &format!("127.0.0.1:{own}")],
    );
    let metrics = || get(&format!("127.0.0.1:{own}"), "/metrics");
    let lost = "tidegate_lost_items_total{";

    send(&listens, "traces", &corpus::traces().encode_to_vec());
    let page = metrics().expect("own metrics");
    assert!(
        page.contains("# TYPE tidegate_lost_items_total counter"),
        "{page}"
    );
    assert!(page.contains("reason=\"queue_full\""), "{page}");
    assert_eq!(counted(&page, lost), [""; 0]);

    let logs = corpus::logs();
    let records: usize = logs
        .resource_logs
        .iter()
        .flat_map(|group| &group.scope_logs)
        .map(|scope| scope.log_records.len())
        .sum();
    send(&listens, "logs", &logs.encode_to_vec());
    let page = eventually("a loss in the metrics", || {
        metrics().and_then(|page| match counted(&page, lost)[..] {
            [] => Err(page),
            _ => Ok(page),
        })
    });
    let lines = counted(&page, lost);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("exporter=\"otlp_http/away\""),
        "{lines:?}"
    );
    assert!(lines[0].contains("reason=\"retry_off\""), "{lines:?}");
    assert!(lines[0].ends_with(&format!(" {records}")), "{lines:?}");
    let consumed = counted(&page, "tidegate_ledger_consumed_items_total{");
    assert_eq!(consumed.len(), 2, "{consumed:?}");

    let table = ledger(&admin, &[]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.status.success(), "{table:?}");
    assert!(
        text.contains(&format!("LOST: retry_off {records}")),
        "{text}"
    );
    let json = ledger(&admin, &["--format", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let row = |row: &&serde_json::Value| row["component"] == "otlp_http/away";
    let row = rows.as_array().and_then(|rows| rows.iter().find(row));
    assert_eq!(row.expect("its row")["lost"]["retry_off"], records);

    let output = collector.stop();
    let told = format!("{records} were lost (retry_off {records}), 0 are left on disk");
    assert!(output.contains(&told), "{output}");
}

#[test]
fn command_without_a_process_says_what_to_do() {
    let output = ledger(&format!("127.0.0.1:{}", free_port()), &[]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no `admin` extension answers"), "{text}");
}
