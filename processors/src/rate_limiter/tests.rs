use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tidegate_component::metrics::Series;
use tidegate_component::testing::{Contract, realistic};
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Gate};
use tidegate_document::{read, yaml};
use tidegate_pdata::{Context, Payload, Refusal, Signal};
use tokio::time::advance;

use super::Config;

/// A limiter as the door sees it.
struct Rig {
    cx: BuildContext,
    gate: Arc<dyn Gate>,
}

fn config(text: &str) -> Config {
    read(&yaml::parse_str(text).unwrap()).unwrap()
}

fn context() -> BuildContext {
    let mut cx = BuildContext::detached("processor", "rate_limiter".parse().unwrap());
    cx.signal = Some(Signal::Traces);
    cx
}

fn fault(text: &str) -> String {
    let BuildError { path, message, .. } = config(text).build(&context()).err().unwrap();
    format!("{path}: {message}")
}

impl Rig {
    fn new(text: &str) -> Self {
        let cx = context();
        let _processor = config(text).build(&cx).unwrap();
        let gate = Arc::clone(&cx.gates.list()[0]);
        Self { cx, gate }
    }

    /// Sends a request as the door lets it in.
    fn send(&self, payload: &Payload, sender: &Context) -> Result<(), Refusal> {
        match self.gate.refusal(0, sender) {
            Some(refusal) => Err(refusal),
            None => self.gate.charge(payload, sender),
        }
    }

    /// How many of these requests get in before one does not.
    fn burst(&self, payload: &Payload, sender: &Context) -> usize {
        (0..1000)
            .take_while(|_| self.send(payload, sender).is_ok())
            .count()
    }

    fn counted(&self, name: &str) -> i64 {
        let families = self.cx.metrics.registry().families();
        let series = families[name].series.values();
        series
            .map(|series| match series {
                Series::Counter(counter) => counter.value() as i64,
                Series::GaugeOf(gauge) => gauge.value(),
                _ => 0,
            })
            .sum()
    }
}

fn tenant(name: &str) -> Context {
    Context::builder().metadata("x-tenant", name).build()
}

fn from(address: &str) -> Context {
    Context::builder().peer(address.parse().unwrap()).build()
}

fn spans(items: usize) -> Payload {
    realistic(Signal::Traces, items)
}

/// A request with so many spans of each tenant.
fn shared(tenants: &[(&str, usize)]) -> Payload {
    let resource = |(tenant, spans): &(&str, usize)| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![KeyValue {
                key: "tenant.id".to_owned(),
                value: Some(AnyValue {
                    value: Some(Value::StringValue((*tenant).to_owned())),
                }),
                ..KeyValue::default()
            }],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: vec![Span::default(); *spans],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: tenants.iter().map(resource).collect(),
    };
    let bytes = Bytes::from(request.encode_to_vec());
    Payload::admit(Signal::Traces, bytes, None).unwrap().payload
}

#[test]
fn keeps_the_contract() {
    let every_key = "{key_by: [client.address, resource.tenant.id], metadata_keys: [x-tenant], \
        strategy: bytes, rate: 1000, burst: 2000, max_keys: 5, type: local, throttle_behavior: error, \
        throttle_interval: 1s, retry_delay: 1s, overrides: {'client.address:a;resource.tenant.id:b;x-tenant:c': \
        {rate: 5, burst: 6, throttle_interval: 1s}}}";
    Contract::<Config>::new("rate: 10", &[every_key]).processor();
}

#[test]
fn what_cannot_be_kept_to_is_named() {
    assert_eq!(fault("{}"), "rate: there is no rate");
    assert_eq!(
        fault("{rate: 1, throttle_behavior: delay}"),
        "throttle_behavior: requests over the rate are refused, not held up"
    );
    assert_eq!(
        fault("{rate: 1, type: gubernator}"),
        "type: rates are counted in this process alone"
    );
    assert_eq!(
        fault("{rate: 1, key_by: [client.address, tenant]}"),
        "key_by::1: \"tenant\" is nothing that tells tenants apart"
    );
    assert_eq!(
        fault("{rate: 1, key_by: [metadata.X-Tenant], metadata_keys: [x-tenant]}"),
        "metadata_keys: \"x-tenant\" tells tenants apart twice"
    );
    assert_eq!(
        fault("{rate: 1, overrides: {a: {rate: 5}}}"),
        "overrides: nothing tells tenants apart"
    );
    assert_eq!(
        fault("{rate: 1, metadata_keys: [t], overrides: {a: {burst: 0}}}"),
        "overrides::a::burst: the burst must be more than 0"
    );
    assert_eq!(
        fault("{rate: 1, metadata_keys: [t], overrides: {a: {rate: 2}, 't:a': {rate: 3}}}"),
        "overrides: \"t:a\" is another spelling of a tenant that is there already"
    );
    assert_eq!(
        fault("{rate: 1, metadata_keys: [t], max_keys: 0}"),
        "max_keys: at least one tenant is told apart"
    );
}

#[tokio::test(start_paused = true)]
async fn tenant_over_its_rate_is_refused_by_name_until_there_is_room() {
    let rig = Rig::new("{metadata_keys: [X-Tenant], rate: 10, burst: 20}");
    assert_eq!(rig.burst(&spans(1), &tenant("acme")), 20);
    let refusal = rig.send(&spans(1), &tenant("acme")).unwrap_err();
    assert_eq!(
        refusal.reason,
        "X-Tenant \"acme\": over the limit of 10 requests a second with bursts of 20"
    );
    assert_eq!(refusal.after, Duration::from_millis(100));
    // Others have what is theirs.
    assert_eq!(rig.burst(&spans(1), &tenant("other")), 20);
    advance(refusal.after).await;
    assert_eq!(rig.burst(&spans(1), &tenant("acme")), 1);
    assert_eq!(rig.counted("tidegate_rate_limiter_tenants"), 2);
    assert_eq!(rig.counted("tidegate_rate_limiter_refused_requests"), 4);
    assert_eq!(rig.counted("tidegate_rate_limiter_refused_items"), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_without_the_key_are_one_tenant_that_is_told_what_is_missing() {
    let rig = Rig::new("{metadata_keys: [x-tenant], rate: 1}");
    assert_eq!(rig.burst(&spans(1), &Context::default()), 1);
    let refusal = rig.send(&spans(1), &from("10.0.0.1:1")).unwrap_err();
    assert!(
        refusal.reason.starts_with("senders without x-tenant: over"),
        "{refusal:?}"
    );
    assert_eq!(rig.burst(&spans(1), &tenant("acme")), 1);
}

#[tokio::test(start_paused = true)]
async fn address_is_the_clients_whatever_its_port() {
    let rig = Rig::new("{key_by: [client.address], rate: 1, burst: 2}");
    assert_eq!(rig.burst(&spans(1), &from("10.0.0.1:1000")), 2);
    assert_eq!(rig.burst(&spans(1), &from("10.0.0.1:2000")), 0);
    assert_eq!(rig.burst(&spans(1), &from("10.0.0.2:1000")), 2);
}

#[tokio::test(start_paused = true)]
async fn items_and_bytes_are_counted_when_the_body_is_there() {
    for strategy in ["records", "items"] {
        let rig = Rig::new(&format!("{{strategy: {strategy}, rate: 100}}"));
        assert_eq!(rig.burst(&spans(30), &Context::default()), 3);
        let refusal = rig.send(&spans(30), &Context::default()).unwrap_err();
        assert_eq!(
            refusal.reason,
            "all senders together: over the limit of 100 items a second with bursts of 100"
        );
        assert_eq!(refusal.after, Duration::from_millis(200));
        assert_eq!(rig.counted("tidegate_rate_limiter_refused_items"), 60);
    }
    let size = spans(1).bytes();
    let rig = Rig::new(&format!("{{strategy: bytes, rate: {}}}", 3 * size));
    assert_eq!(rig.burst(&spans(1), &Context::default()), 3);
}

#[tokio::test(start_paused = true)]
async fn request_larger_than_a_burst_passes_when_the_bucket_is_full() {
    let rig = Rig::new("{strategy: items, rate: 10}");
    assert_eq!(rig.send(&spans(50), &Context::default()), Ok(()));
    let refusal = rig.send(&spans(1), &Context::default()).unwrap_err();
    assert_eq!(refusal.after, Duration::from_millis(4100));
    advance(Duration::from_secs(5)).await;
    assert_eq!(rig.send(&spans(50), &Context::default()), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn overrides_are_named_by_value_or_by_name_and_value() {
    let rig = Rig::new(
        "{metadata_keys: [x-tenant], rate: 1, burst: 2, \
          overrides: {big: {rate: 5}, 'x-tenant:wide': {burst: 9}}}",
    );
    assert_eq!(rig.burst(&spans(1), &tenant("small")), 2);
    assert_eq!(rig.burst(&spans(1), &tenant("big")), 5);
    assert_eq!(rig.burst(&spans(1), &tenant("wide")), 9);
    let rig = Rig::new(
        "{key_by: [client.address], metadata_keys: [x-tenant], rate: 1, \
          overrides: {'client.address:10.0.0.1;x-tenant:a,b': {rate: 4}}}",
    );
    let sender = from("10.0.0.1:1").extend();
    let sender = sender.metadata("x-tenant", "a").metadata("x-tenant", "b");
    assert_eq!(rig.burst(&spans(1), &sender.build()), 4);
}

#[tokio::test(start_paused = true)]
async fn request_of_several_tenants_is_let_in_or_refused_as_a_whole() {
    let rig = Rig::new("{key_by: [resource.tenant.id], strategy: items, rate: 10}");
    let sender = Context::default();
    let mixed = shared(&[("a", 4), ("b", 2), ("a", 3)]);
    assert_eq!(rig.send(&mixed, &sender), Ok(()));
    let refusal = rig.send(&mixed, &sender).unwrap_err();
    assert!(
        refusal.reason.starts_with("resource.tenant.id \"a\": over"),
        "{refusal:?}"
    );
    assert_eq!(refusal.after, Duration::from_millis(400));
    // What was refused cost nobody anything.
    assert_eq!(rig.send(&shared(&[("b", 8)]), &sender), Ok(()));
    assert_eq!(rig.send(&shared(&[("a", 3)]), &sender), Ok(()));
    assert!(rig.send(&shared(&[("a", 1)]), &sender).is_err());
}

#[tokio::test(start_paused = true)]
async fn every_tenant_of_a_request_pays_for_a_request_and_for_its_own_bytes() {
    let sender = Context::default();
    let mixed = shared(&[("a", 1), ("b", 1), ("a", 1)]);
    let rig = Rig::new("{key_by: [resource.tenant.id], rate: 2}");
    assert_eq!(rig.burst(&mixed, &sender), 2);
    let rig = Rig::new("{key_by: [resource.tenant.id], strategy: bytes, rate: 1000000}");
    assert_eq!(rig.send(&mixed, &sender), Ok(()));
    rig.gate.discharge(&mixed, &sender);
    assert_eq!(rig.send(&shared(&[("a", 1)]), &sender), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn points_are_the_items_of_metrics() {
    let whole = realistic(Signal::Metrics, 60);
    let (mut single, mut several) = (Payload::empty(Signal::Metrics), 0);
    single.append(whole.clone());
    single.append(whole.clone());
    for (_, cost) in super::costs(
        super::Strategy::Items,
        &super::KeyBy::new(&["resource.service.name".to_owned()], &[]).unwrap(),
        &single,
        &Context::default(),
    ) {
        several += cost;
    }
    assert_eq!(several, 2 * whole.items() as u64);
}

#[tokio::test(start_paused = true)]
async fn tenants_beyond_the_most_share_a_limit() {
    let rig = Rig::new("{metadata_keys: [x-tenant], rate: 1, burst: 3, max_keys: 2}");
    assert_eq!(rig.burst(&spans(1), &tenant("a")), 3);
    assert_eq!(rig.burst(&spans(1), &tenant("b")), 3);
    assert_eq!(rig.send(&spans(1), &tenant("c")), Ok(()));
    assert_eq!(rig.burst(&spans(1), &tenant("d")), 2);
    let refusal = rig.send(&spans(1), &tenant("e")).unwrap_err();
    assert!(
        refusal
            .reason
            .ends_with("shares with other tenants beyond max_keys"),
        "{refusal:?}"
    );
    assert_eq!(rig.counted("tidegate_rate_limiter_shared_requests"), 5);
    advance(Duration::from_secs(3)).await;
    assert_eq!(rig.burst(&spans(1), &tenant("d")), 3);
    assert_eq!(rig.counted("tidegate_rate_limiter_tenants"), 1);
}

#[tokio::test(start_paused = true)]
async fn endless_keys_are_cut() {
    let rig = Rig::new("{metadata_keys: [x-tenant], rate: 1}");
    let long = |end: &str| tenant(&format!("{}{end}", "é".repeat(200)));
    assert_eq!(rig.burst(&spans(1), &long("a")), 1);
    let refusal = rig.send(&spans(1), &long("b")).unwrap_err();
    assert!(refusal.reason.len() < 400, "{refusal:?}");
}

#[tokio::test(start_paused = true)]
async fn workers_and_pipelines_draw_from_the_same_buckets() {
    let mut cx = context();
    let config = config("{rate: 10}");
    let _first = config.build(&cx).unwrap();
    (cx.worker, cx.signal) = (1, Some(Signal::Logs));
    let _second = config.build(&cx).unwrap();
    assert_eq!(cx.gates.list().len(), 1);
}
