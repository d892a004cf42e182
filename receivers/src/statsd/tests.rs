//! What lines come to, and what comes in over sockets.

use std::time::Duration as Time;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use prost::Message;
use tidegate_component::testing::FakeDoor;
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::Payload;
use tidegate_pdata::Refusal;
use tokio::io::AsyncWriteExt;

use super::config::settings;
use super::*;

fn hub(yaml: &str) -> Hub {
    let budget = Budget::new(usize::MAX);
    Hub {
        settings: Arc::new(settings(yaml).unwrap()),
        table: Mutex::new(Table::new(1, &budget)),
        meters: Meters::new(&Metrics::default()),
        budget,
    }
}

fn from(port: u16) -> Sender {
    Sender::Address(([127, 0, 0, 1], port).into())
}

fn metrics(payload: &Payload) -> Vec<Metric> {
    let requests = payload
        .segments()
        .iter()
        .map(|segment| ExportMetricsServiceRequest::decode(&**segment.bytes()).unwrap());
    requests
        .flat_map(|request| request.resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics)
        .collect()
}

/// What lines come to by the end of an interval, sender by sender.
fn added(hub: &Hub) -> Vec<Vec<Metric>> {
    let full = std::mem::replace(&mut *hub.table(), Table::new(2, &hub.budget));
    emit::requests(full, 99, &hub.settings)
        .map(|(_, requests)| {
            let payloads = requests.into_iter().map(|one| one.finish(None).unwrap());
            payloads.flat_map(|payload| metrics(&payload)).collect()
        })
        .collect()
}

fn of(yaml: &str, lines: &str) -> Vec<Metric> {
    let hub = hub(yaml);
    hub.take(lines.as_bytes(), &from(1));
    let mut senders = added(&hub);
    assert_eq!(senders.len(), 1, "{lines}");
    senders.remove(0)
}

fn attributes(point: &NumberDataPoint) -> Vec<(String, String)> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    point
        .attributes
        .iter()
        .map(|one| {
            let value = one.value.as_ref().and_then(|value| value.value.as_ref());
            (one.key.clone(), value.map(text).unwrap_or_default())
        })
        .collect()
}

fn numbers(metric: &Metric) -> Vec<f64> {
    let points = match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => &sum.data_points,
        other => panic!("{other:?}"),
    };
    points
        .iter()
        .map(|point| match point.value {
            Some(Value::AsDouble(value)) => value,
            Some(Value::AsInt(value)) => value as f64,
            None => panic!("{point:?}"),
        })
        .collect()
}

#[test]
fn counters_add_up_and_rates_are_made_good() {
    let lines = "c:3000|c|#k:v\nc:20|c|@0.25|#k:v\nc:1|c\n\nc:-1|c";
    let found = of("{is_monotonic_counter: true}", lines);
    assert_eq!(found.len(), 1);
    let Some(Data::Sum(sum)) = &found[0].data else {
        panic!("{found:?}")
    };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true));
    assert_eq!(numbers(&found[0]), [3080.0, 0.0]);
    let point = &sum.data_points[0];
    assert_eq!(attributes(point), [("k".to_owned(), "v".to_owned())]);
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 99));
    assert!(matches!(point.value, Some(Value::AsInt(_))));
}

#[test]
fn counters_are_of_the_type_that_is_wanted() {
    let lines = "c:0.75|c\nc:0.75|c";
    assert_eq!(numbers(&of("{}", lines)[0]), [0.0]);
    assert_eq!(numbers(&of("{counter_type: float}", lines)[0]), [1.5]);
    let many = "c:0.5|c\n".repeat(4000);
    let sum = numbers(&of("{counter_type: stochastic_int}", &many)[0])[0];
    assert!((1700.0..2300.0).contains(&sum), "{sum}");
}

#[test]
fn gauges_have_their_last_value_and_are_changed_by_signs() {
    assert_eq!(numbers(&of("{}", "g:500|g\ng:400|g")[0]), [400.0]);
    assert_eq!(numbers(&of("{}", "g:500|g\ng:+2|g\ng:-1|g")[0]), [501.0]);
    assert_eq!(numbers(&of("{}", "g:-5|g")[0]), [-5.0]);
    let found = of("{enable_metric_type: true}", "g:1|g|T1700000000");
    let Some(Data::Gauge(gauge)) = &found[0].data else {
        panic!("{found:?}")
    };
    let point = &gauge.data_points[0];
    assert_eq!(point.time_unix_nano, 1_700_000_000_000_000_000);
    let kind = ("metric_type".to_owned(), "gauge".to_owned());
    assert_eq!(attributes(point), [kind]);
}

#[test]
fn observed_values_are_gauges_unless_told() {
    let found = of("{}", "t:1|ms\nt:2|ms\nh:3|h\nd:4|d");
    let names: Vec<&str> = found.iter().map(|metric| &*metric.name).collect();
    assert_eq!(names, ["d", "h", "t"]);
    assert_eq!(numbers(&found[2]), [1.0, 2.0]);
    let off = "{timer_histogram_mapping: [{statsd_type: timer, observer_type: disabled}]}";
    assert_eq!(of(off, "t:1|ms\nc:1|c").len(), 1);
}

#[test]
fn observed_values_become_percentiles() {
    let yaml = "{timer_histogram_mapping: [{statsd_type: timing, observer_type: summary, summary: {percentiles: [0, 50, 100]}}]}";
    let found = of(yaml, "t:3|ms\nt:1|ms|@0.5\nt:10|ms");
    let Some(Data::Summary(summary)) = &found[0].data else {
        panic!("{found:?}")
    };
    let point = &summary.data_points[0];
    assert_eq!((point.count, point.sum), (4, 15.0));
    let quantiles: Vec<(f64, f64)> = point
        .quantile_values
        .iter()
        .map(|one| (one.quantile, one.value))
        .collect();
    assert_eq!(quantiles, [(0.0, 1.0), (0.5, 1.0), (1.0, 10.0)]);
}

#[test]
fn observed_values_become_histograms() {
    let yaml = "{timer_histogram_mapping: [{statsd_type: distribution, observer_type: histogram, \
                histogram: {max_size: 10, explicit_buckets: [{matcher_pattern: '^web', buckets: [1, 5]}]}}]}";
    let found = of(
        yaml,
        "web.d:1|d\nweb.d:2|d|@0.5\nother:4|d\nother:0|d\nother:-4|d\nother:4|d",
    );
    let explicit = found.iter().find_map(|metric| match &metric.data {
        Some(Data::Histogram(histogram)) if metric.name == "web.d" => {
            Some(&histogram.data_points[0])
        }
        _ => None,
    });
    let explicit = explicit.unwrap();
    assert_eq!(explicit.bucket_counts, [1, 2, 0]);
    assert_eq!((explicit.count, explicit.sum), (3, Some(5.0)));
    assert_eq!((explicit.min, explicit.max), (Some(1.0), Some(2.0)));
    let exponential = found.iter().find_map(|metric| match &metric.data {
        Some(Data::ExponentialHistogram(histogram)) if metric.name == "other" => {
            assert_eq!(histogram.aggregation_temporality, 1);
            Some(&histogram.data_points[0])
        }
        _ => None,
    });
    let point = exponential.unwrap();
    assert_eq!((point.count, point.zero_count, point.scale), (4, 1, 20));
    assert_eq!((point.min, point.max), (Some(-4.0), Some(4.0)));
    assert_eq!(point.positive.as_ref().unwrap().bucket_counts, [2]);
    assert_eq!(point.negative.as_ref().unwrap().bucket_counts, [1]);
}

#[test]
fn senders_are_kept_apart_by_address_or_by_ip() {
    for (yaml, senders) in [("{}", 2), ("{enable_ip_only_aggregation: true}", 1)] {
        let hub = hub(yaml);
        for port in [1, 2] {
            let sender = match hub.settings.ip_only {
                true => Sender::Ip([127, 0, 0, 1].into()),
                false => from(port),
            };
            hub.take(b"c:1|c", &sender);
        }
        assert_eq!(added(&hub).len(), senders, "{yaml}");
    }
}

#[test]
fn lines_that_cannot_be_taken_are_counted_and_cost_no_other() {
    let hub = hub("{}");
    hub.take(
        b"a:1|c\nnothing\nb:x|c\nc:1|s\na:1|c|#x\r\na:2|c\r\n",
        &from(1),
    );
    assert_eq!(numbers(&added(&hub)[0][0]), [3.0]);
    assert_eq!(hub.meters.lines.value(), 2);
    let faults: Vec<u64> = hub.meters.faults.iter().map(Counter::value).collect();
    assert_eq!(faults, [1, 1, 1, 1, 0, 0]);
}

#[test]
fn metrics_beyond_the_budget_are_refused_and_known_ones_go_on() {
    let mut hub = hub("{}");
    hub.budget = Budget::new(1 << 20);
    *hub.table() = Table::new(1, &hub.budget);
    for at in 0..20_000 {
        hub.take(format!("metric.{at}:1|c").as_bytes(), &from(1));
    }
    let refused = hub.meters.faults[Fault::NoRoom as usize].value();
    assert!(refused > 0 && refused < 20_000, "{refused}");
    let before = hub.meters.lines.value();
    hub.take(b"metric.0:1|c", &from(1));
    assert_eq!(hub.meters.lines.value(), before + 1);
    added(&hub);
    assert_eq!(hub.budget.used(), 0);
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    for (yaml, path) in [
        ("{endpoint: nowhere}", "endpoint"),
        ("{aggregation_interval: 0s}", "aggregation_interval"),
        (
            "{timer_histogram_mapping: [{statsd_type: timer, observer_type: gauge, histogram: {max_size: 5}}]}",
            "timer_histogram_mapping::0::histogram",
        ),
        (
            "{timer_histogram_mapping: [{statsd_type: timer, observer_type: histogram, histogram: {max_size: 1}}]}",
            "timer_histogram_mapping::0::histogram::max_size",
        ),
        (
            "{timer_histogram_mapping: [{statsd_type: timer, observer_type: gauge, summary: {percentiles: [5]}}]}",
            "timer_histogram_mapping::0::summary",
        ),
        (
            "{timer_histogram_mapping: [{statsd_type: timer, observer_type: summary, summary: {percentiles: [500]}}]}",
            "timer_histogram_mapping::0::summary::percentiles",
        ),
        (
            "{timer_histogram_mapping: [{statsd_type: timer, observer_type: histogram, histogram: {explicit_buckets: [{matcher_pattern: a, buckets: [2, 1]}]}}]}",
            "timer_histogram_mapping::0::histogram::explicit_buckets::0::buckets",
        ),
        (
            "{timer_histogram_mapping: [{statsd_type: timer, observer_type: histogram, histogram: {explicit_buckets: [{matcher_pattern: '(', buckets: [1]}]}}]}",
            "timer_histogram_mapping::0::histogram::explicit_buckets::0::matcher_pattern",
        ),
    ] {
        assert_eq!(settings(yaml).unwrap_err().path, path, "{yaml}");
    }
}

/// A receiver that runs.
struct Rig {
    receiver: StatsD,
    door: Arc<FakeDoor>,
}

impl Rig {
    async fn start(yaml: &str) -> Self {
        let metrics = BuildContext::detached("receiver", Config::TYPE.parse().unwrap()).metrics;
        let mut receiver = StatsD::new(settings(yaml).unwrap(), metrics);
        let door = Arc::new(FakeDoor::default());
        let cx = door.receiver(Config::TYPE.parse().unwrap());
        receiver.start(cx).await.unwrap();
        Self { receiver, door }
    }

    fn address(&self) -> std::net::SocketAddr {
        let (listening, _) = self.receiver.running.as_ref().unwrap();
        listening.address().unwrap()
    }

    /// What has come by the time that this counter is at so much.
    async fn counted(&self, sum: f64) -> Vec<(Payload, Context)> {
        let mut all = Vec::new();
        loop {
            all.extend(self.door.take());
            let found = all.iter().flat_map(|(payload, _)| metrics(payload));
            let found = found.filter(|metric| metric.name == "c");
            if found.map(|metric| numbers(&metric)[0]).sum::<f64>() >= sum {
                return all;
            }
            tokio::time::sleep(Time::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn datagrams_add_up_until_the_interval_is_over() {
    for transport in ["udp", "udp4"] {
        let yaml = format!(
            "{{endpoint: '127.0.0.1:0', transport: {transport}, aggregation_interval: 100ms}}"
        );
        let mut rig = Rig::start(&yaml).await;
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for _ in 0..3 {
            socket
                .send_to(b"c:1|c\nc:1|c", rig.address())
                .await
                .unwrap();
        }
        let all = rig.counted(6.0).await;
        let peer = all[0].1.peer().unwrap();
        assert_eq!(peer, socket.local_addr().unwrap());
        assert_eq!(rig.door.transports(), ["udp"]);
        rig.receiver.stop().await;
    }
}

#[tokio::test]
async fn lines_of_streams_are_read_however_they_are_cut() {
    let mut rig =
        Rig::start("{endpoint: '127.0.0.1:0', transport: tcp, aggregation_interval: 50ms}").await;
    let mut stream = tokio::net::TcpStream::connect(rig.address()).await.unwrap();
    for piece in ["c:1", "|c\nc:", "2|c\nc:3|c\nc:4|", "c"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Time::from_millis(2)).await;
    }
    let long = "x".repeat(100_000);
    stream
        .write_all(format!("\n{long}\nc:5|c").as_bytes())
        .await
        .unwrap();
    drop(stream);
    rig.counted(15.0).await;
    rig.receiver.stop().await;
}

#[tokio::test]
async fn datagrams_on_this_machine_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("statsd.sock");
    // What a process that died has left behind.
    drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
    let yaml = format!(
        "{{endpoint: '{}', transport: unixgram, socket_permissions: '0600', socket_buffer_size: 100000, aggregation_interval: 50ms}}",
        path.display()
    );
    let mut rig = Rig::start(&yaml).await;
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let socket = tokio::net::UnixDatagram::unbound().unwrap();
    socket.send_to(b"c:7|c", &path).await.unwrap();
    rig.counted(7.0).await;
    rig.receiver.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_there_at_the_end_goes_and_what_is_refused_is_offered_again() {
    let mut rig = Rig::start("{endpoint: '127.0.0.1:0', aggregation_interval: 1h}").await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"c:3|c", rig.address()).await.unwrap();
    let hub_has_it = async {
        // The line is in the table once it is counted.
        while rig.receiver.metrics_of("tidegate_statsd_lines") == 0 {
            tokio::time::sleep(Time::from_millis(2)).await;
        }
    };
    hub_has_it.await;
    let refusal = Refusal::new("full", Time::from_millis(1));
    rig.door.answer(Some(Outcome::Refused(refusal)));
    let door = Arc::clone(&rig.door);
    let opened = tokio::spawn(async move {
        tokio::time::sleep(Time::from_millis(1500)).await;
        let refused = door.take().len();
        door.answer(Some(Outcome::TakenOver));
        refused
    });
    rig.receiver.stop().await;
    assert!(opened.await.unwrap() > 0);
    let taken = rig.door.take();
    assert_eq!(numbers(&metrics(&taken[0].0)[0]), [3.0]);
    assert_eq!(rig.door.failed(), 0);
}

impl StatsD {
    fn metrics_of(&self, name: &str) -> u64 {
        self.metrics.counter(name, "", &[]).value()
    }
}
