//! How long a series is shown, and how many.

use super::requests::*;
use super::*;

fn point(value: f64) -> Metrics {
    let resource = [("service.name", "s"), ("service.instance.id", "i")];
    from(&resource, gauge("m", &[(&[("x", "1")], value, TIME)]))
}

#[tokio::test(start_paused = true)]
async fn a_series_without_points_is_shown_no_more_and_freed() {
    let shown = Shown::new();
    shown.take(&point(1.0));
    tokio::time::advance(LONG / 2).await;
    shown.store.tidy();
    assert_eq!(shown.samples().len(), 2);
    tokio::time::advance(LONG / 2 + Duration::from_secs(1)).await;
    assert_eq!(shown.text(), "", "though nothing was tidied yet");
    shown.store.tidy();
    shown.store.tidy();
    assert_eq!(shown.store.sizes(), [0; 4]);
    assert!(shown.store.families().is_empty());
    assert_eq!(shown.store.meters.expired.value(), 2);
    shown.take(&point(2.0));
    assert_eq!(shown.samples().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_series_with_points_stays() {
    let shown = Shown::new();
    for _ in 0..10 {
        shown.take(&point(1.0));
        tokio::time::advance(LONG / 2).await;
        shown.store.tidy();
    }
    assert_eq!(shown.samples().len(), 2);
    assert_eq!(shown.store.sizes(), [2, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn zero_shows_series_for_ever() {
    let shown = Shown::with(r#"{"metric_expiration": "0s"}"#);
    shown.take(&point(1.0));
    tokio::time::advance(LONG * 1000).await;
    shown.store.tidy();
    assert_eq!(shown.samples().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_type_takes_a_name_that_is_free_again() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    shown.take(&request(gauge("a.total", &[(&[], 1.0, TIME)])));
    tokio::time::advance(LONG).await;
    shown.store.tidy();
    let taken = shown.take(&request(sum("a", 2, true, &[(&[], 2.0, TIME)])));
    assert_eq!(taken.rejected, 0);
    assert!(shown.text().contains("# TYPE a_total counter\na_total 2\n"));
}

#[test]
fn a_point_without_a_value_ends_its_series_and_no_other() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    let points = [
        (&[("x", "1")][..], 1.0, TIME),
        (&[("x", "2")], 2.0, TIME),
        (&[("x", "3")], 3.0, TIME),
    ];
    shown.take(&request(gauge("m", &points)));
    let end = |label| NumberDataPoint {
        attributes: attributes(&[("x", label)]),
        flags: 1,
        ..NumberDataPoint::default()
    };
    let later = NumberDataPoint {
        attributes: attributes(&[("x", "3")]),
        time_unix_nano: TIME + 1,
        ..NumberDataPoint::default()
    };
    let taken = shown.take(&request(gauge_of(
        "m",
        vec![end("2"), end("unknown"), later],
    )));
    assert_eq!(taken.rejected, 0);
    assert_eq!(shown.samples(), ["m{x=\"1\"} 1", "m{x=\"3\"} 0"]);
    assert_eq!(shown.store.sizes()[0], 2);
    shown.take(&request(gauge("m", &[(&[("x", "2")], 5.0, TIME)])));
    assert_eq!(shown.samples().len(), 3);
    shown.store.tidy();
    assert_eq!(shown.store.sizes()[..2], [3, 3]);
}

#[test]
fn a_series_too_many_is_rejected_and_the_others_go_on() {
    let shown = Shown::with(r#"{"without_scope_info": true, "max_series": 2}"#);
    let points = [
        (&[("x", "1")][..], 1.0, TIME),
        (&[("x", "2")], 2.0, TIME),
        (&[("x", "3")], 3.0, TIME),
        (&[("x", "1")], 4.0, TIME),
    ];
    assert_eq!(shown.take(&request(gauge("m", &points))).rejected, 1);
    assert_eq!(shown.samples(), ["m{x=\"1\"} 4", "m{x=\"2\"} 2"]);
}
