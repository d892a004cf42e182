//! Deltas add up to running totals.

use super::requests::*;
use super::*;

const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

fn plain() -> Shown {
    Shown::with(r#"{"without_scope_info": true}"#)
}

/// Takes a delta of the counter `a`.
fn take_delta(shown: &Shown, value: i64, start: u64, time: u64) {
    let point = over(value, start, time);
    shown.take(&request(sum_of("a", DELTA, true, vec![point])));
}

fn rejected(shown: &Shown, metric: Metric) -> u64 {
    shown.take(&request(metric)).rejected
}

#[test]
fn deltas_that_follow_each_other_add_up() {
    let shown = plain();
    for (value, start, time) in [(5, 10, 20), (3, 20, 30), (i64::from(i32::MAX), 30, 40)] {
        take_delta(&shown, value, start, time);
    }
    assert_eq!(shown.samples(), ["a_total 2.147483655e+09"]);
}

#[test]
fn a_delta_after_a_gap_begins_anew() {
    let shown = plain();
    for (value, start, time) in [(5, 10, 20), (3, 25, 30)] {
        take_delta(&shown, value, start, time);
    }
    assert_eq!(shown.samples(), ["a_total 3"]);
}

#[test]
fn a_delta_that_is_sent_again_counts_once() {
    let shown = plain();
    for (value, start, time) in [
        (5, 10, 20),
        (3, 20, 30),
        (3, 20, 30),
        (5, 10, 20),
        (2, 30, 40),
    ] {
        take_delta(&shown, value, start, time);
    }
    assert_eq!(shown.samples(), ["a_total 10"]);
}

#[test]
fn deltas_that_come_in_the_other_order_add_up() {
    let shown = plain();
    for (value, start, time) in [(3, 20, 30), (5, 10, 20), (2, 30, 40)] {
        take_delta(&shown, value, start, time);
    }
    assert_eq!(shown.samples(), ["a_total 10"]);
}

#[test]
fn whole_numbers_past_their_range_go_on_as_doubles() {
    let shown = plain();
    for (start, time) in [(10, 20), (20, 30)] {
        shown.take(&request(sum_of(
            "a",
            DELTA,
            true,
            vec![over(i64::MAX, start, time)],
        )));
    }
    assert_eq!(shown.samples(), ["a_total 1.8446744073709552e+19"]);
}

#[test]
fn sums_without_a_running_total_are_rejected() {
    let shown = plain();
    let points = [
        (&[("x", "1")][..], 1.0, TIME),
        (&[("x", "2")][..], 1.0, TIME),
    ];
    assert_eq!(rejected(&shown, sum("a", DELTA, false, &points)), 2);
    assert_eq!(rejected(&shown, sum("b", 0, true, &points)), 2);
    assert_eq!(
        rejected(
            &shown,
            histogram("c", 7, vec![HistogramDataPoint::default()])
        ),
        1
    );
    assert_eq!(rejected(&shown, sum("d", CUMULATIVE, false, &points)), 0);
    assert_eq!(shown.samples(), ["d{x=\"1\"} 1", "d{x=\"2\"} 1"]);
}

fn buckets(counts: &[u64], bounds: &[f64], start: u64, time: u64) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: counts.iter().sum(),
        sum: Some(1.5),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

#[test]
fn histograms_add_up_while_their_bounds_stay() {
    let shown = plain();
    for point in [
        buckets(&[1, 2, 3], &[1.0, 2.0], 10, 20),
        buckets(&[1, 0, 1], &[1.0, 2.0], 20, 30),
    ] {
        assert_eq!(rejected(&shown, histogram("a", DELTA, vec![point])), 0);
    }
    let expected = [
        "a_bucket{le=\"+Inf\"} 8",
        "a_bucket{le=\"1\"} 2",
        "a_bucket{le=\"2\"} 4",
        "a_count 8",
        "a_sum 3",
    ];
    assert_eq!(shown.samples(), expected);
    let other = buckets(&[1, 1], &[5.0], 30, 40);
    assert_eq!(rejected(&shown, histogram("a", DELTA, vec![other])), 0);
    let expected = [
        "a_bucket{le=\"+Inf\"} 2",
        "a_bucket{le=\"5\"} 1",
        "a_count 2",
        "a_sum 1.5",
    ];
    assert_eq!(shown.samples(), expected);
    let overlapping = buckets(&[1, 1], &[5.0], 35, 50);
    assert_eq!(
        rejected(&shown, histogram("a", DELTA, vec![overlapping])),
        1
    );
}

#[test]
fn bounds_are_shown_in_order_and_once() {
    let shown = plain();
    let point = buckets(&[1, 2, 4, 8, 16], &[5.0, 0.5, 5.0, f64::INFINITY], 0, 20);
    for _ in 0..2 {
        shown.take(&request(histogram("a", CUMULATIVE, vec![point.clone()])));
    }
    let expected = [
        "a_bucket{le=\"+Inf\"} 11",
        "a_bucket{le=\"0.5\"} 2",
        "a_bucket{le=\"5\"} 3",
        "a_count 31",
        "a_sum 1.5",
    ];
    assert_eq!(shown.samples(), expected);
    let unreal = buckets(&[1, 2], &[f64::NAN], 0, 30);
    assert_eq!(
        rejected(&shown, histogram("a", CUMULATIVE, vec![unreal])),
        1
    );
}

#[test]
fn histograms_that_count_nothing_or_too_much_are_shown() {
    let shown = plain();
    let none = buckets(&[], &[], 0, 20);
    let few = HistogramDataPoint {
        bucket_counts: vec![u64::MAX],
        explicit_bounds: vec![1.0, 2.0],
        sum: None,
        count: u64::MAX,
        ..HistogramDataPoint::default()
    };
    shown.take(&request(histogram("a", CUMULATIVE, vec![none])));
    shown.take(&request(histogram("b", CUMULATIVE, vec![few])));
    let expected = [
        "a_bucket{le=\"+Inf\"} 0",
        "a_count 0",
        "a_sum 1.5",
        "b_bucket{le=\"+Inf\"} 1.8446744073709552e+19",
        "b_bucket{le=\"1\"} 1.8446744073709552e+19",
        "b_bucket{le=\"2\"} 1.8446744073709552e+19",
        "b_count 1.8446744073709552e+19",
        "b_sum 0",
    ];
    assert_eq!(shown.samples(), expected);
}

#[test]
fn the_last_exemplar_of_each_bucket_is_shown() {
    let shown = plain();
    let exemplar = |value, seed| Exemplar {
        value: Some(opentelemetry_proto::tonic::metrics::v1::exemplar::Value::AsDouble(value)),
        time_unix_nano: 1_500_000_000,
        trace_id: vec![seed; 16],
        ..Exemplar::default()
    };
    let point = HistogramDataPoint {
        exemplars: vec![
            exemplar(0.5, 1),
            exemplar(1.0, 2),
            exemplar(9.0, 3),
            exemplar(0.1, 0),
        ],
        ..buckets(&[3, 1], &[1.0], 0, 20)
    };
    shown.take(&request(histogram("a", CUMULATIVE, vec![point])));
    let text = shown.open();
    let third = "03".repeat(16);
    assert!(
        text.contains("a_bucket{le=\"1.0\"} 3\n"),
        "the last there tells no trace: {text}"
    );
    let last = format!("a_bucket{{le=\"+Inf\"}} 4 # {{trace_id=\"{third}\"}} 9.0 1.5\n");
    assert!(text.contains(&last), "{text}");
    assert!(!shown.text().contains(&third));
}

#[test]
fn summaries_show_their_quantiles_in_order() {
    use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
    let shown = plain();
    let at = |quantile, value| ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        count: 3,
        sum: 7.5,
        quantile_values: vec![at(1.0, 4.0), at(0.5, 1.0), at(0.5, 2.0)],
        ..SummaryDataPoint::default()
    };
    shown.take(&request(summary("a", vec![point])));
    let expected = [
        "a_count 3",
        "a_sum 7.5",
        "a{quantile=\"0.5\"} 2",
        "a{quantile=\"1\"} 4",
    ];
    assert_eq!(shown.samples(), expected);
    assert!(shown.open().contains("a{quantile=\"1.0\"} 4.0\n"));
}
