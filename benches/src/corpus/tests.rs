use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use super::*;
use crate::compression::Compression;
use crate::count::{Tally, tally};

fn shape(signal: Signal, items_per_request: u32, entropy: Entropy) -> Shape {
    Shape {
        signal,
        items_per_request,
        entropy,
        ..Shape::default()
    }
}

fn first_request(shape: &Shape) -> (Vec<u8>, Tally) {
    let mut request = Vec::new();
    let tally = Stamper::new(1).stamp(Ring::encode(shape, 1).at(0), &mut request);
    (request, tally)
}

#[test]
fn every_span_has_439_bytes_and_ten_attributes() {
    for entropy in [Entropy::Low, Entropy::High] {
        let (request, _) = first_request(&shape(Signal::Traces, 100, entropy));
        let request = ExportTraceServiceRequest::decode(&*request).unwrap();
        assert_eq!(request.resource_spans.len(), 5);
        for resource in &request.resource_spans {
            for span in &resource.scope_spans[0].spans {
                assert_eq!(span.encoded_len(), spans::SPAN_BYTES);
                assert_eq!(span.attributes.len(), 10);
                assert!(span.end_time_unix_nano > span.start_time_unix_nano);
            }
        }
    }
}

#[test]
fn spans_of_a_trace_share_its_id_and_name_their_parent() {
    let (request, _) = first_request(&shape(Signal::Traces, 100, Entropy::Low));
    let request = ExportTraceServiceRequest::decode(&*request).unwrap();
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
    assert_eq!(spans[4].trace_id, spans[0].trace_id);
    assert_ne!(spans[5].trace_id, spans[0].trace_id);
}

#[test]
fn the_sinks_count_equals_what_was_stamped() {
    for signal in Signal::ALL {
        for items in [1, 7, 100, 1000] {
            let (request, stamped) = first_request(&shape(signal, items, Entropy::Low));
            assert_eq!(stamped.items, u64::from(items));
            assert_eq!(
                tally(signal, &request).unwrap(),
                stamped,
                "{signal:?} {items}"
            );
        }
    }
}

#[test]
fn log_records_decode_with_body_and_ids() {
    let (request, _) = first_request(&shape(Signal::Logs, 10, Entropy::Low));
    let request = ExportLogsServiceRequest::decode(&*request).unwrap();
    let record = &request.resource_logs[4].scope_logs[0].log_records[1];
    assert_eq!(record.attributes.len(), 6);
    assert_eq!(record.trace_id.len(), 16);
    assert!(record.body.is_some());
    assert!(record.time_unix_nano > 0);
}

#[test]
fn a_ring_of_metrics_holds_every_series_once() {
    let shape = Shape {
        series: 1000,
        ..shape(Signal::Metrics, 100, Entropy::Low)
    };
    let ring = Ring::encode(&shape, 1);
    assert_eq!(ring.len(), 10);
    let mut pods = std::collections::HashSet::new();
    let mut kinds = [0; 3];
    for n in 0..ring.len() {
        let mut bytes = Vec::new();
        Stamper::new(1).stamp(ring.at(n), &mut bytes);
        let request = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
        for metric in request
            .resource_metrics
            .iter()
            .flat_map(|r| &r.scope_metrics[0].metrics)
        {
            let attributes: Vec<_> = match metric.data.as_ref().unwrap() {
                Data::Gauge(g) => {
                    kinds[0] += 1;
                    g.data_points.iter().map(|p| &p.attributes).collect()
                }
                Data::Sum(s) => {
                    kinds[1] += 1;
                    s.data_points.iter().map(|p| &p.attributes).collect()
                }
                Data::Histogram(h) => {
                    kinds[2] += 1;
                    for point in &h.data_points {
                        assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                    }
                    h.data_points.iter().map(|p| &p.attributes).collect()
                }
                other => panic!("unexpected {other:?}"),
            };
            for attributes in attributes {
                pods.insert(format!("{:?}", attributes[3].value));
            }
        }
    }
    assert_eq!(pods.len(), 1000);
    assert!(kinds.iter().all(|&count| count > 20), "{kinds:?}");
}

#[test]
fn requests_of_one_template_have_ids_of_their_own() {
    let ring = Ring::encode(&Shape::default(), 1);
    let mut stamper = Stamper::new(1);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let first = stamper.stamp(ring.at(0), &mut one);
    let second = stamper.stamp(ring.at(0), &mut two);
    assert_ne!(first.fingerprint, second.fingerprint);
    assert_eq!(one.len(), two.len());
}

#[test]
fn high_entropy_compresses_worse_than_low() {
    let packed = |entropy| {
        let (request, _) = first_request(&shape(Signal::Traces, 100, entropy));
        Compression::Zstd.compress(&request).unwrap().len() as f64 / request.len() as f64
    };
    let (low, high) = (packed(Entropy::Low), packed(Entropy::High));
    assert!(high > 1.5 * low, "{low} {high}");
    assert!(high > 0.3, "{high}");
}
