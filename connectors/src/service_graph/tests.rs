use std::time::Duration;

use tidegate_component::testing::{ConnectorBench, Contract, read, realistic};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::compose::{Request, span, status};
use tidegate_pdata::view::MetricData;
use tidegate_pdata::{Outcome, Payload, Signal};

use super::Config;

const FULL: &str = "
store: {ttl: 5s, max_items: 10}
dimensions: [region]
latency_histogram_buckets: [100ms, 1s, 10s]
virtual_node_peer_attributes: [peer.service]
virtual_node_extra_label: true
database_name_attributes: [db.name, db.namespace]
database_name_attribute: db.name
metrics_flush_interval: 15s
metrics_timestamp_offset: 1s
store_expiration_loop: 1s
cache_loop: 30s
max_series: 100
metrics_exporter: prometheus
exponential_histogram_max_size: 0
";

#[test]
fn keeps_the_contract() {
    let each = "{metrics_flush_interval: 0s, exponential_histogram_max_size: 20, virtual_node_peer_attributes: []}";
    Contract::<Config>::new("{}", &[FULL, each]).connector();
}

/// A span: its service, kind, own number, its parent's, how long it took, whether it failed, an attribute.
struct One(
    &'static str,
    u64,
    u8,
    u8,
    u64,
    bool,
    Option<(&'static str, &'static str)>,
);

fn spans(all: &[One]) -> Payload {
    let mut request = Request::new(Signal::Traces);
    for One(service, kind, own, parent, millis, failed, attribute) in all {
        request.resource(|resource| {
            resource.attribute(1, "service.name", *service);
            resource.attribute(1, "region", format!("of {service}").as_str());
        });
        request.record(|record| {
            record.some_bytes(span::TRACE_ID, &[1; 16]);
            record.some_bytes(span::SPAN_ID, &[*own; 8]);
            if *parent > 0 {
                record.some_bytes(span::PARENT_SPAN_ID, &[*parent; 8]);
            }
            record.uint(span::KIND, *kind);
            record.fixed64(span::START_TIME, 1_000_000_000);
            record.fixed64(span::END_TIME, 1_000_000_000 + millis * 1_000_000);
            if let Some((key, value)) = attribute {
                record.attribute(span::ATTRIBUTES, key, *value);
            }
            if *failed {
                record.message(span::STATUS, |out| out.uint(status::CODE, 2));
            }
        });
    }
    request.finish(None).unwrap()
}

/// The points of the last payload: metric, attributes, value or sum.
fn told(bench: &ConnectorBench) -> Vec<String> {
    let mut lines = Vec::new();
    let Some((_, payload)) = bench.emitted().last() else {
        return lines;
    };
    let scopes = payload.resource_metrics().flat_map(|group| group.scopes());
    for metric in scopes.flat_map(|scope| scope.metrics()) {
        let name = metric
            .name()
            .to_str()
            .replace("traces_service_graph_request_", "");
        let shown = |attributes: tidegate_pdata::view::Attributes<'_>| {
            let text = |value: tidegate_pdata::view::AnyValue<'_>| {
                let mut text = String::new();
                value.write_text(&mut text).unwrap();
                text
            };
            let all: Vec<String> = attributes.map(|(_, value)| text(value)).collect();
            all.join("/")
        };
        match metric.data() {
            MetricData::Sum(sum) => lines.extend(sum.data_points().map(|point| {
                let value = point
                    .value()
                    .map_or(0.0, tidegate_pdata::view::Number::to_double);
                format!("{name} {} {value}", shown(point.attributes()))
            })),
            MetricData::Histogram(histogram) => {
                lines.extend(histogram.data_points().map(|point| {
                    let fields = point.fields();
                    format!(
                        "{name} {} {:?} of {}",
                        shown(fields.attributes),
                        fields.sum.unwrap_or_default(),
                        fields.count
                    )
                }))
            }
            other => panic!("{other:?}"),
        }
    }
    lines.sort();
    lines
}

fn bench(yaml: &str) -> ConnectorBench {
    ConnectorBench::new::<Config>(yaml, Signal::Traces, &[Signal::Metrics])
}

#[test]
fn both_sides_of_a_request_meet_in_any_order() {
    for order in [[0, 1], [1, 0]] {
        let mut bench = bench("dimensions: [region]");
        for at in order {
            let one = match at {
                0 => One("shop", 3, 1, 0, 500, false, None),
                _ => One("cart", 2, 2, 1, 250, true, None),
            };
            assert_eq!(bench.send(spans(&[one])), Some(Outcome::TakenOver));
        }
        bench.finish();
        let key = "shop/cart//true/of shop/of cart";
        assert_eq!(
            told(&bench),
            [
                format!("client {key} 0.5 of 1"),
                format!("failed_total {key} 1"),
                format!("server {key} 0.25 of 1"),
                format!("total {key} 1"),
            ]
        );
    }
}

#[test]
fn databases_and_messages_are_told_apart() {
    let mut bench = bench("{}");
    bench.send(spans(&[
        One("cart", 3, 1, 0, 100, false, Some(("db.name", "stock"))),
        One("cart", 4, 2, 0, 200, false, None),
        One("mail", 5, 3, 2, 300, false, None),
        One("mail", 1, 4, 3, 300, false, None),
    ]));
    bench.finish();
    let told = told(&bench);
    for expected in [
        "total cart/stock/database/false 1",
        "server cart/stock/database/false 0.1 of 1",
        "total cart/mail/messaging_system/false 1",
    ] {
        assert!(
            told.iter().any(|line| line == expected),
            "{expected}: {told:#?}"
        );
    }
    assert_eq!(told.len(), 6, "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn sides_that_send_no_spans_are_told_as_virtual() {
    let mut bench = bench("{virtual_node_extra_label: true, metrics_flush_interval: 1h}");
    bench.send(spans(&[
        One("shop", 2, 1, 0, 100, false, None),
        One("shop", 3, 2, 1, 100, false, Some(("peer.service", "bank"))),
        One("shop", 3, 3, 1, 100, false, None),
        One("orphan", 2, 9, 8, 100, false, None),
    ]));
    tokio::time::advance(Duration::from_secs(3)).await;
    bench.flush();
    bench.finish();
    let told = told(&bench);
    let totals: Vec<&String> = told
        .iter()
        .filter(|line| line.starts_with("total"))
        .collect();
    assert_eq!(
        totals,
        [
            "total shop/bank/virtual_node/false/server 1",
            "total shop/unknown/virtual_node/false/server 1",
            "total user/shop/virtual_node/false/client 1",
        ]
    );
}

#[test]
fn what_waits_is_bounded() {
    let mut bench = bench("store: {max_items: 2}");
    bench.send(spans(&[
        One("a", 3, 1, 0, 1, false, None),
        One("a", 3, 2, 0, 1, false, None),
        One("a", 3, 3, 0, 1, false, None),
        One("b", 2, 4, 1, 1, false, None),
    ]));
    assert_eq!(bench.dropped("store_full"), 1);
    bench.finish();
    assert!(told(&bench).contains(&"total a/b//false 1".to_owned()));
}

#[test]
fn without_an_interval_each_batch_is_told() {
    let mut bench = bench("{metrics_flush_interval: 0s, exponential_histogram_max_size: 20}");
    for _ in 0..2 {
        bench.send(spans(&[
            One("a", 3, 1, 0, 1, false, None),
            One("b", 2, 2, 1, 1, false, None),
        ]));
    }
    assert_eq!(bench.items(), [6]);
    bench.send(realistic(Signal::Traces, 100));
}

#[test]
fn what_cannot_be_is_told_at_its_key() {
    for (yaml, expected) in [
        (
            "latency_histogram_buckets: [1s, 1s]",
            "latency_histogram_buckets::1",
        ),
        (
            "exponential_histogram_max_size: 1",
            "exponential_histogram_max_size",
        ),
        (
            "{latency_histogram_buckets: [1s], exponential_histogram_max_size: 20}",
            "exponential_histogram_max_size",
        ),
    ] {
        let cx = BuildContext::detached("connector", "service_graph".parse().unwrap());
        let error = read::<Config>(yaml).build(&cx).err();
        let error = error.unwrap_or_else(|| panic!("`{yaml}` is built"));
        assert_eq!(error.path, expected, "{yaml}: {error}");
    }
}
