//! What goes over the wire, and what answers mean.

use std::time::Duration;

use tidegate_transport::compression::{Codec, decompress};

use super::peer::Script;
use super::*;
use crate::otlp::testing::remote;

fn one() -> Batch {
    batch(vec![counter("c", vec![number(1.0, &[])])])
}

async fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> ExportError {
    let script = Script::default();
    script.answer(status, headers, body);
    let exporter = remote::<Config>(&format!("{{endpoint: '{}'}}", script.serve().await)).await;
    exporter.export(&one()).await.unwrap_err()
}

#[tokio::test]
async fn requests_say_what_they_are_whatever_headers_are_configured() {
    for (keys, content, version) in [
        ("", "application/x-protobuf", "0.1.0"),
        (
            ", protobuf_message: io.prometheus.write.v2.Request",
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "2.0.0",
        ),
    ] {
        let script = Script::default();
        let url = script.serve().await;
        let yaml = format!(
            "{{endpoint: '{url}', headers: {{X-Scope-OrgID: a, X-Prometheus-Remote-Write-Version: '9'}}{keys}}}"
        );
        let exporter = remote::<Config>(&yaml).await;
        let metrics = vec![
            counter("c", vec![number(1.0, &[])]),
            sum("d", vec![number(1.0, &[])], AggregationTemporality::Delta),
        ];
        let delivered = exporter.export(&batch(metrics)).await.unwrap();
        assert_eq!(delivered.rejected, 1);
        assert!(delivered.message.is_some());
        let (uri, headers, body) = script.seen.lock().unwrap().remove(0);
        assert_eq!(uri, "/api/v1/write");
        assert_eq!(headers["content-type"], content);
        assert_eq!(headers["content-encoding"], "snappy");
        assert_eq!(headers["x-prometheus-remote-write-version"], version);
        assert_eq!(headers["x-scope-orgid"], "a");
        let body = decompress(Codec::Snappy, &body, 1 << 20, &mut |_| true).unwrap();
        let mut written = Written::default();
        let message = config::<Config>(&yaml).keys.protobuf_message;
        written.read(&body, message);
        assert_eq!(written.numbers("c_total"), [(MS, 1.0)]);
    }
}

#[tokio::test]
async fn the_section_http_stands_for_the_keys_beside_it() {
    let script = Script::default();
    let url = script.serve().await;
    let yaml =
        format!("{{endpoint: 'http://127.0.0.1:1', http: {{endpoint: '{url}', timeout: 1s}}}}");
    remote::<Config>(&yaml).await.export(&one()).await.unwrap();
    assert_eq!(script.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_can_be_written() {
    let script = Script::default();
    let exporter = remote::<Config>(&format!("{{endpoint: '{}'}}", script.serve().await)).await;
    let delta = sum("d", vec![number(1.0, &[])], AggregationTemporality::Delta);
    assert_eq!(
        exporter.export(&batch(vec![delta])).await.unwrap().rejected,
        1
    );
    assert!(script.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn overload_and_faults_of_the_peer_are_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let error = answered(status, &[], "").await;
        assert!(
            matches!(error, ExportError::Retryable { .. }),
            "{status}: {error}"
        );
        let error = answered(status, &[("retry-after", "7")], "").await;
        let ExportError::Refused { after, .. } = error else {
            panic!("{status}: {error}")
        };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn rejections_are_final_and_say_why() {
    for (status, divides, hint) in [
        (400, true, "out of order sample"),
        (413, true, ""),
        (401, false, ""),
        (404, false, "--web.enable-remote-write-receiver"),
        (415, false, ""),
    ] {
        let body = "out of order sample";
        let error = answered(
            status,
            &[("content-type", "text/plain; charset=utf-8")],
            body,
        )
        .await;
        let ExportError::Permanent {
            divisible, reason, ..
        } = error
        else {
            panic!("{status}: {error}")
        };
        assert_eq!(divisible, divides, "{status}");
        assert!(reason.contains(hint) && reason.contains(body), "{reason}");
    }
}

#[tokio::test]
async fn of_several_requests_the_one_that_may_succeed_later_decides() {
    let script = Script::default();
    script.answer(400, &[], "");
    script.answer(503, &[], "");
    let url = script.serve().await;
    let yaml = format!(
        "{{endpoint: '{url}', max_batch_size_bytes: 100, remote_write_queue: {{num_consumers: 2}}}}"
    );
    let exporter = remote::<Config>(&yaml).await;
    let points = (0..5)
        .map(|at| number(1.0, &[("at", &at.to_string())]))
        .collect();
    let whole = batch(vec![counter("c", points)]);
    let error = exporter.export(&whole).await.unwrap_err();
    assert!(matches!(error, ExportError::Retryable { .. }), "{error}");
    let sent = script.seen.lock().unwrap().len();
    assert_eq!(exporter.export(&whole).await.unwrap(), Delivered::default());
    assert_eq!(script.seen.lock().unwrap().len(), 2 * sent);
}
