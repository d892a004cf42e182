//! Pages in, requests out: as the original makes them.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics, metric::Data, number_data_point,
};
use prost::Message;

use super::*;
use crate::prometheus::exposition::{Bounds, Format, Page};
use crate::prometheus::job::Job;
use crate::prometheus::testing;

const TIME: i64 = 1_700_000_000_000;
const NANOS: u64 = 1_700_000_000_000_000_000;

/// A target and its scrapes.
struct Scraped {
    job: Job,
    public: Vec<(String, String)>,
    series: Series,
    counts: Counts,
}

impl Scraped {
    fn new(keys: &str) -> Self {
        let public = [("job", "shop"), ("instance", "10.1.2.3:9090")];
        Self {
            job: testing::job(keys),
            public: public.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
            series: Series::new(),
            counts: Counts::default(),
        }
    }

    /// Scrapes a page and gives what came of it.
    fn page(&mut self, format: Format, page: &[u8], time: i64) -> ExportMetricsServiceRequest {
        let mut build = Build::new(&mut self.series, &self.job, &self.public, time);
        let read = read(&mut build, format, page);
        match read {
            Ok(()) => build.end_page(),
            Err(_) => build.abandon(),
        }
        let (request, counts) = build.finish("http", &[]);
        self.counts = counts;
        decoded(request)
    }

    fn text(&mut self, page: &str, time: i64) -> ExportMetricsServiceRequest {
        self.page(Format::Text, page.as_bytes(), time)
    }

    fn open(&mut self, page: &str, time: i64) -> ExportMetricsServiceRequest {
        let page = format!("{page}# EOF\n");
        self.page(Format::OpenMetrics, page.as_bytes(), time)
    }
}

fn read<'p>(build: &mut Build<'_, 'p>, format: Format, page: &'p [u8]) -> Result<(), String> {
    let (native, classic) = (build.job.native, build.job.classic);
    let page = Page::new(format, page, Bounds::default(), native, classic);
    let mut page = page.map_err(|fault| fault.to_string())?;
    while let Some(entry) = page.next_entry().map_err(|fault| fault.to_string())? {
        build
            .entry(&page, entry)
            .map_err(|fault| fault.to_string())?;
    }
    Ok(())
}

fn decoded(request: tidegate_pdata::compose::Request) -> ExportMetricsServiceRequest {
    let payload = request.finish(None).expect("it keeps to the schema");
    let segments = payload.segments().iter();
    let bytes: Vec<u8> = segments.flat_map(|s| s.bytes().to_vec()).collect();
    ExportMetricsServiceRequest::decode(bytes.as_slice()).expect("it is OTLP")
}

fn attributes(list: &[KeyValue]) -> Vec<(String, String)> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|v| v.value.clone()) {
        Some(any_value::Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    let mut all: Vec<_> = list
        .iter()
        .map(|entry| (entry.key.clone(), text(&entry.value)))
        .collect();
    all.sort();
    all
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The scopes of the only resource.
fn scopes(request: &ExportMetricsServiceRequest) -> &[ScopeMetrics] {
    assert_eq!(request.resource_metrics.len(), 1, "{request:?}");
    &request.resource_metrics[0].scope_metrics
}

fn metric<'r>(request: &'r ExportMetricsServiceRequest, name: &str) -> &'r Metric {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|r| &r.scope_metrics);
    let mut all = scopes.flat_map(|scope| &scope.metrics);
    all.find(|metric| metric.name == name)
        .unwrap_or_else(|| panic!("no {name} in {request:?}"))
}

fn numbers(metric: &Metric) -> &[NumberDataPoint] {
    match metric.data.as_ref() {
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        Some(Data::Sum(sum)) => &sum.data_points,
        other => panic!("{other:?}"),
    }
}

fn value(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        ref other => panic!("{other:?}"),
    }
}

fn histograms(metric: &Metric) -> &[HistogramDataPoint] {
    match metric.data.as_ref() {
        Some(Data::Histogram(histogram)) => &histogram.data_points,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_type_becomes_what_the_original_makes_of_it() {
    let mut scraped = Scraped::new("");
    let request = scraped.open(
        "\
# TYPE sold counter
# UNIT sold
# HELP sold Things sold.
sold_total{kind=\"a\"} 5
sold_created{kind=\"a\"} 1600000000.5
# TYPE heat_celsius gauge
# UNIT heat_celsius celsius
heat_celsius 21.5
# TYPE build info
build_info{version=\"1\"} 1
# TYPE lamp stateset
lamp{lamp=\"on\"} 1
untold 4
"
        .replace("# UNIT sold\n", "")
        .as_str(),
        TIME,
    );
    let sold = metric(&request, "sold_total");
    let Some(Data::Sum(sum)) = &sold.data else {
        panic!("{sold:?}");
    };
    assert!(sum.is_monotonic);
    assert_eq!(sum.aggregation_temporality, 2);
    assert_eq!((&*sold.description, &*sold.unit), ("Things sold.", ""));
    assert_eq!(
        attributes(&sold.metadata),
        pairs(&[("prometheus.type", "counter")])
    );
    let point = &numbers(sold)[0];
    assert_eq!(point.time_unix_nano, NANOS);
    assert_eq!(point.start_time_unix_nano, 1_600_000_000_500_000_000);
    assert_eq!((value(point), numbers(sold).len()), (5.0, 1));
    assert_eq!(attributes(&point.attributes), pairs(&[("kind", "a")]));
    let heat = metric(&request, "heat_celsius");
    assert!(matches!(heat.data, Some(Data::Gauge(_))));
    assert_eq!(heat.unit, "Cel");
    for (name, kind) in [("build", "info"), ("lamp", "stateset")] {
        let metric = metric(&request, name);
        let Some(Data::Sum(sum)) = &metric.data else {
            panic!("{metric:?}");
        };
        assert!(!sum.is_monotonic);
        assert_eq!(
            attributes(&metric.metadata),
            pairs(&[("prometheus.type", kind)])
        );
    }
    let untold = metric(&request, "untold");
    assert!(matches!(untold.data, Some(Data::Gauge(_))));
    assert_eq!(
        attributes(&untold.metadata),
        pairs(&[("prometheus.type", "unknown")])
    );
    assert_eq!((scraped.counts.scraped, scraped.counts.kept), (6, 6));
    assert_eq!(scraped.counts.added, 6);
}

#[test]
fn histograms_and_summaries_come_together_whatever_their_order() {
    let mut scraped = Scraped::new("");
    let page = "\
# TYPE wait histogram
wait_sum{a=\"1\"} 7
wait_bucket{a=\"1\",le=\"+Inf\"} 6
wait_bucket{a=\"2\",le=\"1\"} 1
wait_count{a=\"1\"} 6
wait_bucket{a=\"1\",le=\"2\"} 5
wait_bucket{le=\"0.5\",a=\"1\"} 2
wait_bucket{a=\"2\",le=\"+Inf\"} 1
wait_count{a=\"2\"} 1
# TYPE size summary
size{quantile=\"0.99\"} 9
size{quantile=\"0.5\"} 3
size_sum 30
size_count 8
";
    let request = scraped.text(page, TIME);
    let wait = histograms(metric(&request, "wait"));
    assert_eq!(wait.len(), 2);
    assert_eq!(attributes(&wait[0].attributes), pairs(&[("a", "1")]));
    assert_eq!((wait[0].count, wait[0].sum), (6, Some(7.0)));
    assert_eq!(wait[0].explicit_bounds, [0.5, 2.0]);
    assert_eq!(wait[0].bucket_counts, [2, 3, 1]);
    assert_eq!((wait[1].count, wait[1].sum), (1, None));
    assert_eq!(wait[1].bucket_counts, [1, 0]);
    let Some(Data::Summary(size)) = &metric(&request, "size").data else {
        panic!("{request:?}");
    };
    let point = &size.data_points[0];
    assert_eq!((point.count, point.sum), (8, 30.0));
    let quantiles: Vec<_> = point
        .quantile_values
        .iter()
        .map(|q| (q.quantile, q.value))
        .collect();
    assert_eq!(quantiles, [(0.5, 3.0), (0.99, 9.0)]);
    // When both go, their ends have the bounds that they had.
    let request = scraped.text("", TIME + 1000);
    let wait = histograms(metric(&request, "wait"));
    assert_eq!((wait.len(), wait[0].flags, wait[0].count), (2, 1, 0));
    assert_eq!(wait[0].explicit_bounds, [0.5, 2.0]);
    assert_eq!(wait[0].bucket_counts, [0, 0, 0]);
    let Some(Data::Summary(size)) = &metric(&request, "size").data else {
        panic!("{request:?}");
    };
    assert_eq!(size.data_points[0].flags, 1);
    assert_eq!(size.data_points[0].quantile_values.len(), 2);
    assert_eq!(scraped.series.len(), 0);
}

#[test]
fn samples_that_make_no_point_are_counted() {
    let mut scraped = Scraped::new("");
    let page = "\
twice{a=\"1\"} 1
twice{a=\"1\"} 2
# TYPE falls histogram
falls_bucket{le=\"1\"} 5
falls_bucket{le=\"2\"} 4
falls_count 6
# TYPE open histogram
open_bucket 5
open_count 5
# TYPE doubled histogram
doubled_bucket{le=\"1\"} 1
doubled_bucket{le=\"1.0\"} 2
doubled_count 3
# TYPE torn summary
torn_sum 5 1000
torn_count 5 2000
";
    let request = scraped.text(page, TIME);
    let twice = numbers(metric(&request, "twice"));
    assert_eq!((twice.len(), value(&twice[0])), (1, 1.0));
    assert_eq!(
        histograms(metric(&request, "doubled"))[0].bucket_counts,
        [1, 2]
    );
    let rejected = Rejected {
        duplicate: 2,
        times: 1,
        unbounded: 1,
        falling: 1,
    };
    assert_eq!(scraped.counts.rejected, rejected);
}

#[test]
fn resources_and_scopes_come_from_labels() {
    let mut scraped = Scraped::new("honor_labels: true");
    let request = scraped.text(
        "\
target_info{service_version=\"2\",\"k8s.pod.name\"=\"p\"} 1
plain 1
scoped{otel_scope_name=\"lib\",otel_scope_version=\"3\",otel_scope_colour=\"red\",a=\"b\"} 1
told{otel_scope_name=\"old\"} 1
otel_scope_info{otel_scope_name=\"old\",size=\"big\"} 1
other{job=\"else\",instance=\"localhost:1\"} 1
",
        TIME,
    );
    let [own, other] = &request.resource_metrics[..] else {
        panic!("{request:?}");
    };
    assert_eq!(
        attributes(&own.resource.as_ref().unwrap().attributes),
        pairs(&[
            ("k8s.pod.name", "p"),
            ("server.address", "10.1.2.3"),
            ("server.port", "9090"),
            ("service.instance.id", "10.1.2.3:9090"),
            ("service.name", "shop"),
            ("service_version", "2"),
            ("url.scheme", "http"),
        ])
    );
    assert_eq!(
        attributes(&other.resource.as_ref().unwrap().attributes),
        pairs(&[
            ("server.port", "1"),
            ("service.instance.id", "localhost:1"),
            ("service.name", "else"),
            ("url.scheme", "http"),
        ])
    );
    let mut named: Vec<_> = own
        .scope_metrics
        .iter()
        .map(|scope| {
            let about = scope.scope.as_ref().unwrap();
            let metrics: Vec<_> = scope.metrics.iter().map(|m| m.name.clone()).collect();
            (
                about.name.rsplit('/').next().unwrap().to_owned(),
                about.version.clone(),
                attributes(&about.attributes),
                metrics,
            )
        })
        .collect();
    named.sort();
    let scope = |name: &str, version: &str, list: &[(&str, &str)], metric: &str| {
        (
            name.to_owned(),
            version.to_owned(),
            pairs(list),
            vec![metric.to_owned()],
        )
    };
    assert_eq!(
        named,
        [
            scope("lib", "3", &[("colour", "red")], "scoped"),
            scope("old", "", &[("size", "big")], "told"),
            scope(
                "prometheusreceiver",
                env!("CARGO_PKG_VERSION"),
                &[],
                "plain"
            ),
        ]
    );
    let scoped = numbers(metric(&request, "scoped"));
    assert_eq!(attributes(&scoped[0].attributes), pairs(&[("a", "b")]));
}

#[test]
fn labels_of_the_target_win_unless_honored() {
    let page = "a{job=\"mine\",exported_job=\"b\",x=\"\"} 1\n";
    let mut scraped = Scraped::new("");
    let request = scraped.text(page, TIME);
    let point = &numbers(metric(&request, "a"))[0];
    assert_eq!(
        attributes(&point.attributes),
        pairs(&[("exported_exported_job", "mine"), ("exported_job", "b")])
    );
    let mut scraped = Scraped::new("honor_labels: true");
    let request = scraped.text(page, TIME);
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert!(attributes(&resource.attributes).contains(&("service.name".into(), "mine".into())));
}

#[test]
fn series_that_go_are_told_once_and_failures_end_all() {
    let mut scraped = Scraped::new("");
    let flags = |request: &ExportMetricsServiceRequest, name: &str| {
        let points = numbers(metric(request, name));
        assert_eq!(points.len(), 1);
        (points[0].flags, points[0].value.is_some())
    };
    scraped.text("# HELP a Told.\na{x=\"1\"} 1\nb 2\n", TIME);
    let request = scraped.text("b 2\n", TIME + 1);
    assert_eq!(flags(&request, "a"), (1, false));
    assert_eq!(metric(&request, "a").description, "Told.");
    assert_eq!(flags(&request, "b"), (0, true));
    let request = scraped.text("b 2\n", TIME + 2);
    assert_eq!(scopes(&request)[0].metrics.len(), 1);
    // A page that breaks in its second line ends everything, and brings nothing.
    let request = scraped.text("c 1\nb x\n", TIME + 3);
    assert_eq!(flags(&request, "b"), (1, false));
    assert_eq!(scopes(&request)[0].metrics.len(), 1);
    assert_eq!((scraped.counts.scraped, scraped.series.len()), (1, 0));
    let request = scraped.text("b 3\n", TIME + 4);
    assert_eq!(flags(&request, "b"), (0, true));
}

#[test]
fn series_with_times_of_their_own_end_untold_unless_tracked() {
    for (keys, ends) in [("", false), ("track_timestamps_staleness: true", true)] {
        let mut scraped = Scraped::new(keys);
        let request = scraped.text("a 1 5000\n", TIME);
        let point = &numbers(metric(&request, "a"))[0];
        assert_eq!(point.time_unix_nano, 5_000_000_000);
        let request = scraped.text("", TIME + 1);
        assert_eq!(!request.resource_metrics.is_empty(), ends, "{keys}");
        assert_eq!(scraped.series.len(), 0);
    }
    let mut scraped = Scraped::new("honor_timestamps: false");
    let request = scraped.text("a 1 5000\n", TIME);
    assert_eq!(numbers(metric(&request, "a"))[0].time_unix_nano, NANOS);
}

#[test]
fn metrics_are_relabelled_and_held_to_limits() {
    let mut scraped = Scraped::new(
        "metric_relabel_configs: [{source_labels: [__name__], regex: 'go_.*', action: drop}, {source_labels: [__name__], regex: 'old_(.*)', target_label: __name__, replacement: 'new_$1'}, {regex: secret, action: labeldrop}]",
    );
    let request = scraped.text("go_x 1\nold_y{secret=\"s\",a=\"1\"} 2\n", TIME);
    let point = &numbers(metric(&request, "new_y"))[0];
    assert_eq!(attributes(&point.attributes), pairs(&[("a", "1")]));
    assert_eq!((scraped.counts.scraped, scraped.counts.kept), (2, 1));
    for (keys, page, fault) in [
        (
            "sample_limit: 1",
            "a 1\nb 1\n",
            "line 2, column 1: there are more than 1 samples",
        ),
        (
            "label_limit: 3",
            "a{b=\"1\"} 1\n",
            "line 1, column 1: the series has more than 3 labels",
        ),
        (
            "label_name_length_limit: 8",
            "a{long_name=\"1\"} 1\n",
            "line 1, column 1: the label name `long_name`",
        ),
        (
            "label_value_length_limit: 13",
            "a{b=\"12345678901234\"} 1\n",
            "line 1, column 1: the value of the label `b`",
        ),
        (
            "",
            "a{b=\"1\",b=\"2\"} 1\n",
            "line 1, column 1: the label `b` comes twice",
        ),
        (
            "metric_name_validation_scheme: legacy",
            "{\"a.b\"} 1\n",
            "line 1, column 1: the name `a.b`",
        ),
    ] {
        let job = testing::job(keys);
        let public = pairs(&[("instance", "i"), ("job", "j")]);
        let mut series = Series::new();
        let mut build = Build::new(&mut series, &job, &public, TIME);
        let found = read(&mut build, Format::Text, page.as_bytes()).unwrap_err();
        assert!(found.starts_with(fault), "{found}\n{fault}");
    }
}

#[test]
fn exemplars_become_those_of_otlp() {
    let mut scraped = Scraped::new("");
    let request = scraped.open(
        "\
# TYPE sold counter
sold_total 5 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b71\",shop=\"x\",Trace_ID=\"zz\"} 2 1.5
",
        TIME,
    );
    let point = &numbers(metric(&request, "sold_total"))[0];
    let example = &point.exemplars[0];
    assert_eq!(example.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(example.span_id, [0, 0, 0, 0, 0xb7, 0xad, 0x6b, 0x71]);
    assert_eq!(example.time_unix_nano, 1_500_000_000);
    assert_eq!(
        attributes(&example.filtered_attributes),
        pairs(&[("Trace_ID", "zz"), ("shop", "x")])
    );
}

#[test]
fn names_are_trimmed_where_that_is_wanted() {
    let mut scraped = Scraped::new("");
    scraped.job.trim = true;
    let request = scraped.open(
        "# TYPE sung_seconds counter\n# UNIT sung_seconds seconds\nsung_seconds_total 1\n",
        TIME,
    );
    assert_eq!(metric(&request, "sung").unit, "s");
}

#[test]
fn what_the_scrape_tells_of_itself_outlives_the_target_and_ends_with_it() {
    let mut scraped = Scraped::new("");
    let own = |value| {
        [Own {
            name: "up",
            help: "The scraping was successful",
            unit: "",
            kind: Type::Gauge,
            value,
        }]
    };
    for (page, value) in [(Some("a 1\n"), 1.0), (None, 0.0)] {
        let mut build = Build::new(&mut scraped.series, &scraped.job, &scraped.public, TIME);
        match page {
            Some(page) => {
                read(&mut build, Format::Text, page.as_bytes()).unwrap();
                build.end_page();
            }
            None => build.abandon(),
        }
        build.own(&own(value));
        let (request, counts) = build.finish("http", &[]);
        assert_eq!(counts.scraped, u64::from(page.is_some()));
        let request = decoded(request);
        let up = metric(&request, "up");
        assert_eq!(up.description, "The scraping was successful");
        assert_eq!(self::value(&numbers(up)[0]), value);
        assert_eq!(
            numbers(metric(&request, "a"))[0].flags,
            u32::from(page.is_none())
        );
    }
    let mut build = Build::new(&mut scraped.series, &scraped.job, &scraped.public, TIME);
    build.end_target();
    let request = decoded(build.finish("http", &[]).0);
    assert_eq!(numbers(metric(&request, "up"))[0].flags, 1);
    assert_eq!(scraped.series.len(), 0);
}

#[test]
fn external_labels_are_given_to_every_series() {
    let mut scraped = Scraped::new("");
    scraped.job.external = pairs(&[("region", "eu"), ("a", "theirs")]);
    let request = scraped.text("x{a=\"mine\"} 1\n", TIME);
    let point = &numbers(metric(&request, "x"))[0];
    assert_eq!(
        attributes(&point.attributes),
        pairs(&[("a", "theirs"), ("region", "eu")])
    );
}

#[test]
fn what_nobody_uses_any_more_is_let_go() {
    let mut scraped = Scraped::new("");
    for round in 0..40 {
        let page: String = (0..200)
            .map(|number| format!("m{round}_{number}{{otel_scope_name=\"s{round}\"}} 1\n"))
            .collect();
        scraped.text(&format!("stays 1\n{page}"), TIME + round);
    }
    let request = scraped.text("stays 2\n", TIME + 100);
    assert_eq!(value(&numbers(metric(&request, "stays"))[0]), 2.0);
    assert!(scraped.series.families.all.len() < 3000);
    assert!(scraped.series.scopes.len() < 20);
    assert_eq!(scraped.series.len(), 1);
}

#[test]
fn a_series_takes_less_than_a_kilobyte() {
    let mut scraped = Scraped::new("");
    let series = 20_000;
    let page: String = (0..series)
        .map(|number| {
            format!(
                "http_requests_total{{method=\"POST\",path=\"/api/v1/orders/{number}\",status=\"200\",pod=\"checkout-5d8f7b9c6-x{number}\",zone=\"eu-west-1a\"}} {number}\n"
            )
        })
        .collect();
    let page = format!("# TYPE http_requests_total counter\n{page}");
    scraped.text(&page, TIME);
    let kept = allocation_counter::measure(|| {
        let mut series = Series::new();
        std::mem::swap(&mut series, &mut scraped.series);
        drop(series);
    });
    let each = -kept.bytes_current / series;
    assert!((50..1024).contains(&each), "{each} bytes");
    assert_eq!(scraped.series.len(), 0);
}
