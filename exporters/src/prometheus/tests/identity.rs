//! Which points are of one series.

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, any_value::Value};

use super::requests::*;
use super::*;

#[test]
fn attributes_in_another_order_are_the_same_series() {
    let shown = Shown::new();
    for (at, order) in [[0, 1, 2], [2, 1, 0], [1, 2, 0]].into_iter().enumerate() {
        let pairs = order.map(|at| [("a", "1"), ("b", "2"), ("c", "3")][at]);
        shown.take(&request(gauge("m", &[(&pairs, at as f64, TIME)])));
    }
    assert_eq!(shown.store.sizes()[..2], [1, 1]);
    assert_eq!(shown.samples().len(), 1);
}

#[test]
fn known_series_are_found_without_allocating() {
    let shown = Shown::new();
    let labels = [("http.route", "/cart"), ("code", "200")];
    let exemplar = Exemplar {
        trace_id: vec![1; 16],
        ..Exemplar::default()
    };
    let numbers = vec![NumberDataPoint {
        attributes: attributes(&labels),
        exemplars: vec![exemplar],
        ..NumberDataPoint::default()
    }];
    let buckets = vec![HistogramDataPoint {
        attributes: attributes(&labels),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.5],
        ..HistogramDataPoint::default()
    }];
    let resource = [("service.name", "a"), ("service.instance.id", "b")];
    for metric in [sum_of("n", 2, true, numbers), histogram("h", 2, buckets)] {
        let payload = payload(&from(&resource, metric));
        ingest::take(&shown.store, &payload);
        let again = allocation_counter::measure(|| {
            ingest::take(&shown.store, &payload);
        });
        assert_eq!(again.count_total, 0);
    }
}

#[test]
fn a_series_takes_less_than_a_kilobyte() {
    const SERIES: u64 = 5000;
    let requests: Vec<Payload> = (0..SERIES)
        .map(|at| {
            let pod = format!("shop-5d9c7b-{at:08}");
            let labels = [
                ("http.request.method", "GET"),
                ("http.route", "/api/v1/carts/{id}"),
                ("server.address", "node-12.example.com"),
                ("k8s.pod.name", pod.as_str()),
                ("http.response.status_code", "200"),
            ];
            let resource = [("service.name", "cart"), ("service.instance.id", "i-1")];
            payload(&from(&resource, gauge("m", &[(&labels, 1.0, TIME)])))
        })
        .collect();
    let mut shown = None;
    let taken = allocation_counter::measure(|| {
        let store = Shown::new();
        for request in &requests {
            ingest::take(&store.store, request);
        }
        shown = Some(store);
    });
    let bytes = taken.bytes_current.unsigned_abs() / SERIES;
    assert!(bytes < 1000, "{bytes} bytes a series");
    assert_eq!(shown.map(|shown| shown.store.sizes()[0]), Some(5001));
}

#[test]
fn attributes_that_come_to_the_same_labels_are_one_series_and_counted() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    for (key, value) in [("a.b", 1.0), ("a_b", 2.0), ("a/b", 3.0), ("a.b", 4.0)] {
        shown.take(&request(gauge("m", &[(&[(key, "x")], value, TIME)])));
    }
    assert_eq!(shown.samples(), ["m{a_b=\"x\"} 4"]);
    assert_eq!(shown.store.meters.collided.value(), 2);
    let number = NumberDataPoint {
        attributes: vec![typed("n", Value::IntValue(1))],
        time_unix_nano: TIME,
        ..NumberDataPoint::default()
    };
    shown.take(&request(gauge("m", &[(&[("n", "1")], 5.0, TIME)])));
    shown.take(&request(gauge_of("m", vec![number])));
    assert_eq!(
        shown.store.meters.collided.value(),
        2,
        "1 and \"1\" are told apart by nobody"
    );
}

#[test]
fn two_labels_of_one_name_are_rejected_and_nothing_else_is() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    let points = [
        (&[("a.b", "1"), ("a_b", "2")][..], 1.0, TIME),
        (&[("ok", "1")], 2.0, TIME),
        (&[("..", "1")], 3.0, TIME),
        (&[("__name__", "x")], 4.0, TIME),
    ];
    let delivered = shown.take(&request(gauge("m", &points)));
    assert_eq!(delivered.rejected, 3);
    assert!(delivered.message.is_some());
    let job = shown.take(&from(
        &[("service.name", "s")],
        gauge("m", &[(&[("job", "x")], 1.0, TIME)]),
    ));
    assert_eq!(job.rejected, 1);
    let point = HistogramDataPoint {
        attributes: attributes(&[("le", "1")]),
        ..HistogramDataPoint::default()
    };
    assert_eq!(
        shown
            .take(&request(histogram("h", 2, vec![point])))
            .rejected,
        1
    );
    assert_eq!(shown.samples(), ["m{ok=\"1\"} 2"]);
}

#[test]
fn the_first_type_of_a_name_stays_while_it_is_shown() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    shown.take(&request(gauge("a.total", &[(&[], 1.0, TIME)])));
    let clash = shown.take(&request(sum("a", 2, true, &[(&[], 2.0, TIME)])));
    assert_eq!(clash.rejected, 1);
    let other = shown.take(&request(sum("a.total", 2, false, &[(&[], 3.0, TIME)])));
    assert_eq!(other.rejected, 0, "a sum that may fall is a gauge");
    assert_eq!(shown.text().matches("# TYPE").count(), 1);
    assert_eq!(shown.samples(), ["a_total 3"]);
}

#[test]
fn metrics_that_have_no_name_left_are_rejected() {
    let shown = Shown::new();
    assert_eq!(
        shown
            .take(&request(gauge("..", &[(&[], 1.0, TIME)])))
            .rejected,
        1
    );
}

#[test]
fn endless_labels_are_rejected() {
    let shown = Shown::new();
    let long = "x".repeat(100_000);
    let point = (&[("a", long.as_str())][..], 1.0, TIME);
    assert_eq!(shown.take(&request(gauge("m", &[point]))).rejected, 1);
    assert_eq!(shown.store.sizes()[0], 0);
}

#[test]
fn scopes_are_labels_unless_they_are_not_wanted() {
    let scope = |name: &str| InstrumentationScope {
        name: name.to_owned(),
        version: "1".to_owned(),
        attributes: attributes(&[("k", "v")]),
        ..InstrumentationScope::default()
    };
    for (keys, expected) in [("{}", 2), (r#"{"without_scope_info": true}"#, 1)] {
        let shown = Shown::with(keys);
        for name in ["a", "b"] {
            shown.take(&from_scope(
                &[],
                scope(name),
                gauge("m", &[(&[], 1.0, TIME)]),
            ));
        }
        assert_eq!(shown.samples().len(), expected, "{keys}");
    }
    let shown = Shown::new();
    shown.take(&from_scope(
        &[],
        scope("a"),
        gauge("m", &[(&[], 1.0, TIME)]),
    ));
    let expected = "m{otel_scope_k=\"v\",otel_scope_name=\"a\",otel_scope_schema_url=\"\",otel_scope_version=\"1\"} 1";
    assert_eq!(shown.samples(), [expected]);
}

#[test]
fn a_restarted_process_goes_on_with_its_series_and_tells_of_itself_anew() {
    let shown = Shown::with(r#"{"without_scope_info": true, "namespace": "n"}"#);
    for pid in ["1", "2"] {
        let resource = [
            ("service.name", "s"),
            ("service.namespace", "ns"),
            ("service.instance.id", "i"),
            ("process.pid", pid),
            ("process_pid", "!"),
        ];
        shown.take(&from(&resource, gauge("m", &[(&[], 1.0, TIME)])));
    }
    let expected = [
        "n_m{instance=\"i\",job=\"ns/s\"} 1",
        "n_target_info{instance=\"i\",job=\"ns/s\",process_pid=\"2;!\"} 1",
    ];
    assert_eq!(shown.samples(), expected);
    assert_eq!(shown.store.sizes()[..3], [2, 1, 1]);
}

#[test]
fn resources_without_points_or_without_an_instance_tell_nothing() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    let whole = [("service.name", "s"), ("service.instance.id", "i")];
    shown.take(&from(&whole, gauge("m", &[])));
    shown.take(&from(&whole[..1], gauge("m", &[(&[], 1.0, TIME)])));
    assert_eq!(shown.samples(), ["m{job=\"s\"} 1"]);
}

#[test]
fn attributes_of_resources_become_labels_and_win() {
    let resource = [("service.name", "s"), ("host.name", "h")];
    let point = (&[("host.name", "other"), ("x", "1")][..], 1.0, TIME);
    for (exclude, expected) in [
        (
            false,
            "m{host_name=\"h\",job=\"s\",service_name=\"s\",x=\"1\"} 1",
        ),
        (true, "m{host_name=\"h\",job=\"s\",x=\"1\"} 1"),
    ] {
        let shown = Shown::with(&format!(
            r#"{{"without_scope_info": true, "resource_to_telemetry_conversion":
            {{"enabled": true, "exclude_service_attributes": {exclude}}}}}"#
        ));
        shown.take(&from(&resource, gauge("m", &[point])));
        assert_eq!(shown.samples(), [expected]);
    }
}
