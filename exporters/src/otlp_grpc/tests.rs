use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tidegate_component::{Delivered, ExportError, Exporter};
use tidegate_pdata::Signal;
use tonic::{Code, Status};

use super::*;
use crate::otlp::testing::{Collector, batch, config, remote};

fn spans(count: usize) -> ExportTraceServiceRequest {
    let span = |at: usize| Span {
        name: format!("span {at}"),
        trace_id: vec![7; 16],
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..count).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

async fn to(collector: &Collector) -> Arc<dyn Exporter> {
    let port = collector.serve().await;
    remote::<Config>(&format!(
        "{{endpoint: '127.0.0.1:{port}', tls: {{insecure: true}}}}"
    ))
    .await
}

/// What comes of a batch when the peer answers so.
async fn answered(
    answer: Result<ExportTraceServiceResponse, Status>,
) -> Result<Delivered, ExportError> {
    let collector = Collector::default();
    collector.answers.lock().unwrap().push_back(answer);
    let batch = batch(Signal::Traces, &[(spans(1).encode_to_vec(), 1)]);
    to(&collector).await.export(&batch).await
}

#[tokio::test]
async fn a_merged_batch_arrives_as_one_request() {
    let collector = Collector::default();
    let exporter = to(&collector).await;
    let parts = [spans(3), spans(200), spans(1)];
    let requests = parts.each_ref().map(|part| {
        (
            part.encode_to_vec(),
            part.resource_spans[0].scope_spans[0].spans.len(),
        )
    });
    let delivered = exporter.export(&batch(Signal::Traces, &requests)).await;
    assert_eq!(delivered.unwrap(), Delivered::default());
    let together: Vec<_> = parts
        .into_iter()
        .flat_map(|part| part.resource_spans)
        .collect();
    let seen = collector.traces.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].resource_spans == together);
}

#[tokio::test]
async fn each_signal_goes_to_its_service() {
    let collector = Collector::default();
    let exporter = to(&collector).await;
    exporter.export(&batch(Signal::Logs, &[])).await.unwrap();
    assert_eq!(collector.logs.lock().unwrap().len(), 1);
    let error = exporter
        .export(&batch(Signal::Metrics, &[]))
        .await
        .unwrap_err();
    let ExportError::Permanent {
        reason, divisible, ..
    } = error
    else {
        panic!("{error}")
    };
    assert!(reason.contains("does the peer take metrics?"), "{reason}");
    assert!(!divisible);
}

#[tokio::test]
async fn a_partial_success_is_reported() {
    let answer = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "too old".to_owned(),
        }),
    };
    let delivered = answered(Ok(answer)).await.unwrap();
    assert_eq!(delivered.rejected, 2);
    assert_eq!(delivered.message.as_deref(), Some("too old"));
}

#[tokio::test]
async fn codes_mean_what_they_mean_to_the_collector() {
    for code in [
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
    ] {
        let error = answered(Err(Status::new(code, "x"))).await.unwrap_err();
        assert!(
            matches!(error, ExportError::Retryable { .. }),
            "{code}: {error}"
        );
    }
    for code in [
        Code::Unknown,
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Unimplemented,
        Code::Internal,
        Code::Unauthenticated,
    ] {
        let error = answered(Err(Status::new(code, "x"))).await.unwrap_err();
        let ExportError::Permanent { divisible, .. } = error else {
            panic!("{code}: {error}")
        };
        assert_eq!(divisible, code == Code::InvalidArgument, "{code}");
    }
}

#[tokio::test]
async fn a_delay_that_the_peer_asks_for_is_handed_on() {
    // google.rpc.Status with RetryInfo{retry_delay: {seconds: 7}}.
    let mut details = vec![0x1a, 0x30, 0x0a, 0x28];
    details.extend(b"type.googleapis.com/google.rpc.RetryInfo");
    details.extend([0x12, 4, 0x0a, 2, 8, 7]);
    for code in [Code::ResourceExhausted, Code::Unavailable] {
        let status = Status::with_details(code, "full", details.clone().into());
        let error = answered(Err(status)).await.unwrap_err();
        let ExportError::Refused { after, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn a_request_too_large_for_the_peer_may_be_divided() {
    let collector = Collector::default();
    let large = batch(Signal::Traces, &[(spans(20_000).encode_to_vec(), 20_000)]);
    let error = to(&collector).await.export(&large).await.unwrap_err();
    assert!(
        matches!(
            error,
            ExportError::Permanent {
                divisible: true,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_absent_peer_is_named_with_what_to_look_at() {
    let exporter = remote::<Config>("{endpoint: 'localhost:1', tls: {insecure: true}}").await;
    let error = exporter
        .export(&batch(Signal::Traces, &[]))
        .await
        .unwrap_err();
    let ExportError::Retryable { endpoint, source } = error else {
        panic!("{error}")
    };
    assert_eq!(&*endpoint, "localhost:1");
    assert!(
        source.to_string().contains("is the peer running"),
        "{source}"
    );
}

#[test]
fn what_cannot_work_is_found_when_built() {
    let cx = BuildContext::detached("exporter", "otlp_grpc".parse().unwrap());
    for (yaml, path) in [
        ("{}", "endpoint"),
        ("{endpoint: gateway}", "endpoint"),
        (
            "{endpoint: 'gateway:4317', balancer_name: least_request}",
            "balancer_name",
        ),
        (
            "{endpoint: 'gateway:4317', auth: {authenticator: oidc}}",
            "auth::authenticator",
        ),
        (
            "{endpoint: 'gateway:4317', tls: {cert_file: a.pem}}",
            "tls::key_file",
        ),
        (
            "{endpoint: 'gateway:4317', headers: {te: x}}",
            "headers::te",
        ),
    ] {
        let error = config::<Config>(yaml).build(&cx).unwrap_err();
        assert_eq!(error.path, path, "{yaml}: {error}");
        assert!(error.remedy.is_some(), "{yaml}");
    }
}
