use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Owned;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    exponential_histogram_data_point, number_data_point,
};
use prost::Message;

use super::{
    Fields, Kind, Request, Temporality, Value, exponential_point, log_record, number_point,
};
use crate::Signal;

/// Finishes a request and reads it by the oracle; what is composed is canonical as it is.
fn read<M: Message + Default>(request: Request) -> M {
    let items = request.items();
    let payload = request.finish(None).expect("it keeps to the schema");
    assert_eq!(payload.items(), items);
    let bytes = payload.segments()[0].bytes().clone();
    assert_eq!(
        crate::canonical_items(payload.signal(), &bytes),
        Some(items)
    );
    M::decode(bytes).expect("it is protobuf")
}

#[test]
fn composes_metrics_under_their_resources_and_scopes() {
    let mut request = Request::new(Signal::Metrics);
    for host in ["a", "b"] {
        request.resource_of("https://example.com/schema", |resource| {
            resource.attribute(1, "host.name", host);
        });
        request.scope("scraper", "2");
        request.metric("up", "Whether it is.", "1", Kind::Gauge);
        request.metadata("prometheus.type", "gauge");
        request.point(|point| point.int(number_point::AS_INT, 0));
        request.metric("nothing", "", "", Kind::COUNTER);
        request.metric("time", "", "s", Kind::COUNTER);
        for cpu in 0..100 {
            request.point(|point| {
                point.fixed64(number_point::TIME, 5);
                point.double(number_point::AS_DOUBLE, f64::from(cpu));
            });
        }
    }
    let read: ExportMetricsServiceRequest = read(request);
    assert_eq!(read.resource_metrics.len(), 2);
    let second = &read.resource_metrics[1];
    assert_eq!(second.schema_url, "https://example.com/schema");
    assert_eq!(
        second.resource.as_ref().map(|r| r.attributes.len()),
        Some(1)
    );
    let scope = &second.scope_metrics[0];
    assert_eq!(
        scope.scope.as_ref().map(|s| s.name.as_str()),
        Some("scraper")
    );
    let [up, time] = &scope.metrics[..] else {
        panic!("a metric without points is left out: {:?}", scope.metrics);
    };
    assert_eq!((up.name.as_str(), up.metadata.len()), ("up", 1));
    let Some(Data::Sum(sum)) = &time.data else {
        panic!("{:?}", time.data);
    };
    assert!(sum.is_monotonic);
    assert_eq!(sum.aggregation_temporality, 2);
    assert_eq!(
        sum.data_points[99].value,
        Some(number_data_point::Value::AsDouble(99.0))
    );
}

#[test]
fn writes_packed_and_zigzag_fields() {
    let mut request = Request::new(Signal::Metrics);
    request.metric("h", "", "", Kind::ExponentialHistogram(Temporality::Delta));
    request.point(|point| {
        point.zigzag(exponential_point::SCALE, -3);
        point.message(exponential_point::POSITIVE, |buckets| {
            buckets.zigzag(exponential_point::OFFSET, -7);
            buckets.packed_varints(exponential_point::BUCKET_COUNTS, [1, 300, 0]);
        });
        point.message(exponential_point::NEGATIVE, |buckets| {
            buckets.packed_varints(exponential_point::BUCKET_COUNTS, []);
        });
    });
    let read: ExportMetricsServiceRequest = read(request);
    let metric = &read.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::ExponentialHistogram(histogram)) = &metric.data else {
        panic!("{:?}", metric.data);
    };
    let point = &histogram.data_points[0];
    assert_eq!(point.scale, -3);
    assert_eq!(
        point.positive,
        Some(exponential_histogram_data_point::Buckets {
            offset: -7,
            bucket_counts: vec![1, 300, 0]
        })
    );
}

#[test]
fn writes_values_of_every_type() {
    let list = [Value::Int(-1), Value::Empty];
    let map = [("k", Value::Array(&list))];
    let cases: Vec<(&str, Value<'_>)> = vec![
        ("text", Value::Str("ü")),
        ("empty", Value::Str("")),
        ("no", Value::Bool(false)),
        ("int", Value::Int(i64::MIN)),
        ("double", Value::Double(0.0)),
        ("bytes", Value::Bytes(b"\xff")),
        ("map", Value::Map(&map)),
    ];
    let mut request = Request::new(Signal::Logs);
    request.record(|record| {
        record.value(log_record::BODY, Value::Str("line"));
        for (key, value) in &cases {
            record.attribute(log_record::ATTRIBUTES, key, *value);
        }
    });
    let read: ExportLogsServiceRequest = read(request);
    let record = &read.resource_logs[0].scope_logs[0].log_records[0];
    let values: Vec<_> = record
        .attributes
        .iter()
        .map(|entry| entry.value.as_ref().and_then(|value| value.value.clone()))
        .collect();
    assert_eq!(values[0], Some(Owned::StringValue("ü".into())));
    assert_eq!(values[1], Some(Owned::StringValue(String::new())));
    assert_eq!(values[2], Some(Owned::BoolValue(false)));
    assert_eq!(values[3], Some(Owned::IntValue(i64::MIN)));
    assert_eq!(values[4], Some(Owned::DoubleValue(0.0)));
    assert_eq!(values[5], Some(Owned::BytesValue(vec![0xff])));
    let Some(Owned::KvlistValue(map)) = &values[6] else {
        panic!("{:?}", values[6]);
    };
    let inner = map.values[0].value.as_ref().and_then(|v| v.value.as_ref());
    assert!(matches!(inner, Some(Owned::ArrayValue(array)) if array.values.len() == 2));
}

#[test]
fn a_request_without_items_is_empty() {
    let mut request = Request::new(Signal::Traces);
    request.resource(|resource| resource.attribute(1, "service.name", "idle"));
    request.scope("s", "");
    assert_eq!(request.finish(None).map(|payload| payload.items()), Ok(0));
}

#[test]
fn lengths_are_right_whatever_was_expected() {
    for size in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
        for expected in [0, 200, 1 << 15, 1 << 22] {
            let mut fields = Fields::new();
            let begun = fields.begin(1, expected);
            fields.raw(&vec![7; size]);
            fields.end(begun);
            let mut whole = Vec::new();
            crate::wire::put_bytes(&mut whole, 1, &vec![7; size]);
            assert!(fields.bytes() == whole, "{size} bytes, {expected} expected");
        }
    }
}
