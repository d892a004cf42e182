use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::json;
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Payload, Signal};

use super::Config;

/// The name and the attributes' keys of a span of this name behind the processor.
fn named(yaml: &str, name: &str) -> (String, Vec<String>) {
    let request = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": name}]}]}]});
    let request = request.to_string();
    let bytes = from_json(Signal::Traces, request.as_bytes(), &mut |_| true).unwrap();
    let admitted = Payload::admit(Signal::Traces, bytes.into(), None).unwrap();
    let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Traces);
    bench.send(admitted.payload);
    let bytes = bench.emitted()[0].segments()[0].bytes().clone();
    let request = ExportTraceServiceRequest::decode(bytes).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    let keys = span
        .attributes
        .iter()
        .map(|attribute| attribute.key.clone());
    (span.name.clone(), keys.collect())
}

#[test]
fn groups_without_a_name_or_a_match_are_left_alone() {
    let yaml = "name: {to_attributes: {rules: ['^/(a|b)/(?P<id>[0-9]+)(?P<rest>/x)?$']}}";
    let (name, keys) = named(yaml, "/b/12");
    assert_eq!(
        (name.as_str(), &keys[..]),
        ("/b/{id}", &["id".to_owned()][..])
    );
}

#[test]
fn a_group_within_another_becomes_an_attribute_too() {
    let yaml = "name: {to_attributes: {rules: ['^/(?P<outer>x(?P<inner>[0-9]+))$']}}";
    let (name, keys) = named(yaml, "/x12");
    assert_eq!((name.as_str(), keys.len()), ("/{outer}", 2));
}

#[test]
fn what_does_nothing_is_refused() {
    let fault = |yaml: &str| {
        let cx = BuildContext::detached("processor", "s".parse().unwrap());
        let error = read::<Config>(yaml).build(&cx).err().unwrap();
        assert!(error.remedy.is_some(), "{yaml}");
        error.path
    };
    assert_eq!(fault("{}"), "");
    assert_eq!(fault("name: {separator: x}"), "");
    assert_eq!(
        fault("status: {code: Ok, description: fine}"),
        "status::description"
    );
    let rules = |rule: &str| fault(&format!("name: {{to_attributes: {{rules: ['{rule}']}}}}"));
    assert_eq!(rules("("), "name::to_attributes::rules::0");
    assert_eq!(rules("(a)"), "name::to_attributes::rules::0");
}
