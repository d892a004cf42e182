use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord as ProtoRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric as ProtoMetric;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::Span as ProtoSpan;
use prost::Message;
use serde_json::json;
use tidegate_pdata::view::View;

use super::*;

fn filter(include: serde_json::Value, signal: Signal) -> Result<Filter, BuildError> {
    let properties: MatchProperties = serde_json::from_value(include).unwrap();
    Filter::new(Some(&properties), None, signal)
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn attributes(pairs: Vec<(&str, Value)>) -> Vec<KeyValue> {
    let entry = |(key, value): (&str, Value)| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    pairs.into_iter().map(entry).collect()
}

/// Takes up a resource and a scope.
fn enter(filter: &mut Filter, resource: Vec<(&str, Value)>, scope: (&str, &str)) -> bool {
    let resource = ProtoResource {
        attributes: attributes(resource),
        ..ProtoResource::default()
    };
    let scope = InstrumentationScope {
        name: scope.0.to_owned(),
        version: scope.1.to_owned(),
        ..InstrumentationScope::default()
    };
    filter.resource(Resource::of(&resource.encode_to_vec()))
        && filter.scope(Scope::of(&scope.encode_to_vec()))
}

fn has_span(filter: &mut Filter, span: ProtoSpan) -> bool {
    enter(filter, vec![("service.name", text("cart"))], ("http", "1"))
        && filter.span(Span::of(&span.encode_to_vec()))
}

fn has_record(filter: &mut Filter, record: ProtoRecord) -> bool {
    enter(filter, Vec::new(), ("", "")) && filter.log_record(LogRecord::of(&record.encode_to_vec()))
}

fn named(name: &str) -> ProtoSpan {
    ProtoSpan {
        name: name.to_owned(),
        kind: 3,
        attributes: attributes(vec![
            ("code", Value::IntValue(200)),
            ("ratio", Value::DoubleValue(0.5)),
            ("path", text("/cart")),
        ]),
        ..ProtoSpan::default()
    }
}

#[test]
fn every_property_that_is_given_must_fit() {
    let spans = |include| filter(include, Signal::Traces).unwrap();
    let mut strict = spans(json!({
        "match_type": "strict", "services": ["shop", "cart"], "span_names": ["a", "b"],
        "span_kinds": ["SPAN_KIND_CLIENT"], "attributes": [{"key": "code", "value": 200}, {"key": "path"}],
    }));
    assert!(has_span(&mut strict, named("a")));
    assert!(!has_span(&mut strict, named("ab")));
    let kind = ProtoSpan {
        kind: 2,
        ..named("a")
    };
    assert!(!has_span(&mut strict, kind));
    let bare = ProtoSpan {
        attributes: Vec::new(),
        ..named("a")
    };
    assert!(!has_span(&mut strict, bare));
}

#[test]
fn strict_values_have_a_type_and_patterns_have_none() {
    let code = |value, kind| {
        let include = json!({"match_type": kind, "attributes": [{"key": "code", "value": value}]});
        has_span(&mut filter(include, Signal::Traces).unwrap(), named("a"))
    };
    assert!(code(json!(200), "strict"));
    assert!(!code(json!("200"), "strict"));
    assert!(code(json!("^2..$"), "regexp"));
    let ratio =
        json!({"match_type": "regexp", "attributes": [{"key": "ratio", "value": "^0\\.5$"}]});
    assert!(has_span(
        &mut filter(ratio, Signal::Traces).unwrap(),
        named("a")
    ));
    let number = json!({"match_type": "regexp", "attributes": [{"key": "code", "value": 200}]});
    let error = filter(number, Signal::Traces).err().unwrap();
    assert_eq!(error.path, "include::attributes::0::value");
}

#[test]
fn a_resource_without_a_service_has_a_name_of_its_own() {
    let include = json!({"match_type": "strict", "services": ["<nil-service-name>"]});
    let mut filter = filter(include, Signal::Traces).unwrap();
    assert!(enter(&mut filter, Vec::new(), ("", "")));
    assert!(!enter(
        &mut filter,
        vec![("service.name", text("x"))],
        ("", "")
    ));
}

#[test]
fn all_libraries_must_fit_and_an_absent_version_fits_any() {
    let fits = |libraries: serde_json::Value, scope| {
        let include = json!({"match_type": "strict", "libraries": libraries});
        let mut filter = filter(include, Signal::Traces).unwrap();
        enter(&mut filter, Vec::new(), scope)
    };
    assert!(fits(json!([{"name": "http"}]), ("http", "1")));
    assert!(fits(
        json!([{"name": "http", "version": "1"}]),
        ("http", "1")
    ));
    assert!(!fits(
        json!([{"name": "http", "version": ""}]),
        ("http", "1")
    ));
    assert!(!fits(
        json!([{"name": "http"}, {"name": "grpc"}]),
        ("http", "1")
    ));
}

#[test]
fn log_records_match_by_body_and_severity() {
    let record = |severity_number, body: Value| ProtoRecord {
        severity_number,
        body: Some(AnyValue { value: Some(body) }),
        ..ProtoRecord::default()
    };
    let of = |include| filter(include, Signal::Logs).unwrap();
    let mut body = of(json!({"match_type": "strict", "log_bodies": ["7", "cart"]}));
    assert!(has_record(&mut body, record(0, Value::IntValue(7))));
    assert!(has_record(&mut body, record(0, text("cart"))));
    assert!(!has_record(&mut body, record(0, text("cart is empty"))));
    let mut severe = of(json!({"log_severity_number": {"min": 9}}));
    assert!(has_record(&mut severe, record(9, text(""))));
    assert!(!has_record(&mut severe, record(8, text(""))));
    assert!(!has_record(&mut severe, record(0, text(""))));
    let mut unknown = of(json!({"log_severity_number": {"min": 9, "match_undefined": true}}));
    assert!(has_record(&mut unknown, record(0, text(""))));
}

#[test]
fn metrics_match_by_name_and_resource() {
    let include = json!({
        "match_type": "regexp", "metric_names": ["^http\\."], "resources": [{"key": "host", "value": "a|b"}],
    });
    let mut filter = filter(include, Signal::Metrics).unwrap();
    let metric = |name: &str| {
        let metric = ProtoMetric {
            name: name.to_owned(),
            ..ProtoMetric::default()
        };
        metric.encode_to_vec()
    };
    assert!(!enter(&mut filter, vec![("host", text("c"))], ("", "")));
    assert!(enter(&mut filter, vec![("host", text("b"))], ("", "")));
    assert!(filter.metric(Metric::of(&metric("http.requests"))));
    assert!(!filter.metric(Metric::of(&metric("rpc.requests"))));
}

#[test]
fn what_is_excluded_is_taken_out_of_what_is_included() {
    let properties = |json| serde_json::from_value::<MatchProperties>(json).unwrap();
    let include = properties(json!({"match_type": "regexp", "span_names": ["a"]}));
    let exclude = properties(json!({"match_type": "strict", "span_names": ["ab"]}));
    let mut filter = Filter::new(Some(&include), Some(&exclude), Signal::Traces).unwrap();
    assert!(has_span(&mut filter, named("a")));
    assert!(!has_span(&mut filter, named("ab")));
    assert!(!has_span(&mut filter, named("b")));
}

#[test]
fn refuses_what_can_match_nothing() {
    let fault = |include, signal| {
        let error = filter(include, signal).err().unwrap();
        format!("{}: {}", error.path, error.message)
    };
    assert_eq!(
        fault(json!({"match_type": "strict"}), Signal::Logs),
        "include: there is nothing to match"
    );
    assert_eq!(
        fault(json!({"span_names": ["a"]}), Signal::Traces),
        "include: `match_type` is missing"
    );
    assert_eq!(
        fault(
            json!({"match_type": "strict", "services": ["a"]}),
            Signal::Logs
        ),
        "include::services: `services` matches nothing in a pipeline of logs"
    );
    let kinds = json!({"match_type": "strict", "span_kinds": ["client"]});
    assert_eq!(
        fault(kinds, Signal::Traces),
        "include::span_kinds::0: \"client\" is no kind of span"
    );
    let pattern = json!({"match_type": "regexp", "log_bodies": ["("]});
    assert!(fault(pattern, Signal::Logs).starts_with("include::log_bodies: "));
}
