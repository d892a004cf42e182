//! The rounds, with scrapers that do as they are told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_component::metrics::Metrics;
use tidegate_component::testing::FakeDoor;
use tidegate_component::{BuildContext, Shut, async_trait};
use tidegate_pdata::compose::{Kind, number_point};
use tidegate_pdata::{Outcome, Refusal};
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::{Blocking, Controller, Faults, Part, Reader, Running, Schedule, Scraper};

/// A scraper that takes as long as its script says, and a second then a millisecond for ever.
struct Scripted {
    name: &'static str,
    calls: Arc<Mutex<Vec<Instant>>>,
    takes: VecDeque<Duration>,
    parts: usize,
}

impl Scripted {
    fn new(name: &'static str, takes: &[u64]) -> (Self, Arc<Mutex<Vec<Instant>>>) {
        let calls = Arc::default();
        let scripted = Self {
            name,
            calls: Arc::clone(&calls),
            takes: takes
                .iter()
                .map(|seconds| Duration::from_secs(*seconds))
                .collect(),
            parts: 0,
        };
        (scripted, calls)
    }
}

fn one_point() -> Part {
    let mut part = Part::new();
    part.request.metric("up", "", "1", Kind::Gauge);
    part.request
        .point(|point| point.int(number_point::AS_INT, 1));
    part.metrics = 1;
    part
}

#[async_trait]
impl Scraper for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn scrape(&mut self) -> Part {
        self.calls.lock().unwrap().push(Instant::now());
        if let Some(takes) = self.takes.pop_front() {
            sleep(takes).await;
        }
        let mut part = one_point();
        part.more = self.parts > 0;
        self.parts = self.parts.saturating_sub(1);
        part
    }
}

struct Rig {
    door: Arc<FakeDoor>,
    metrics: Metrics,
    running: Option<Running>,
    began: Instant,
}

impl Rig {
    fn start(schedule: &str, scrapers: Vec<Box<dyn Scraper>>) -> Self {
        Self::behind(Arc::new(FakeDoor::default()), schedule, scrapers)
    }

    fn behind(door: Arc<FakeDoor>, schedule: &str, scrapers: Vec<Box<dyn Scraper>>) -> Self {
        let build = BuildContext::detached("receiver", "scraped".parse().unwrap());
        let node = tidegate_document::yaml::parse_str(schedule).unwrap();
        let schedule: Schedule = tidegate_document::read(&node).unwrap();
        let cx = door.receiver(build.id.clone());
        let controller = Controller::new(&cx, &build.metrics, schedule, scrapers).unwrap();
        Self {
            running: Some(controller.start(&cx.workers)),
            door,
            metrics: build.metrics,
            began: Instant::now(),
        }
    }

    async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    fn counter(&self, name: &str, scraper: &str) -> u64 {
        let labels = [("scraper", scraper)];
        let labels = if scraper.is_empty() { &[][..] } else { &labels };
        self.metrics.counter(name, "", labels).value()
    }

    fn errored(&self, scraper: &str) -> u64 {
        self.counter("otelcol_scraper_errored_metric_points", scraper)
    }

    fn seconds(&self, calls: &Mutex<Vec<Instant>>) -> Vec<u64> {
        let calls = calls.lock().unwrap();
        let since = calls.iter().map(|at| at.duration_since(self.began));
        since.map(|since| since.as_secs()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn rounds_begin_after_the_delay_and_come_once_an_interval() {
    let (scraper, calls) = Scripted::new("a", &[]);
    let mut rig = Rig::start("{}", vec![Box::new(scraper)]);
    sleep(Duration::from_secs(130)).await;
    rig.stop().await;
    assert_eq!(rig.seconds(&calls), [1, 61, 121]);
    assert_eq!(rig.door.items(), 3);
    assert_eq!(rig.counter("otelcol_scraper_scraped_metric_points", "a"), 3);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(rig.door.items(), 3, "it scrapes after its stop");
}

#[tokio::test(start_paused = true)]
async fn scrapers_of_a_round_share_a_batch() {
    let (one, _) = Scripted::new("a", &[]);
    let (mut two, _) = Scripted::new("b", &[]);
    two.parts = 2;
    let mut rig = Rig::start("{}", vec![Box::new(one), Box::new(two)]);
    sleep(Duration::from_secs(10)).await;
    rig.stop().await;
    let taken = rig.door.take();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0.items(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_scraper_that_takes_too_long_costs_its_own_metrics_alone() {
    let (slow, calls) = Scripted::new("slow", &[1, 100, 100]);
    let (quick, _) = Scripted::new("quick", &[]);
    let schedule = "{collection_interval: 10s, initial_delay: 0s, timeout: 2s}";
    let mut rig = Rig::start(schedule, vec![Box::new(slow), Box::new(quick)]);
    sleep(Duration::from_secs(35)).await;
    rig.stop().await;
    assert_eq!(
        rig.counter("otelcol_scraper_scraped_metric_points", "quick"),
        4
    );
    assert_eq!(
        rig.counter("otelcol_scraper_scraped_metric_points", "slow"),
        2
    );
    assert_eq!(rig.errored("slow"), 2);
    assert_eq!(rig.seconds(&calls), [0, 10, 20, 30]);
    assert_eq!(rig.door.items(), 6);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_scraped_before_a_door_that_is_shut() {
    let door = Arc::new(FakeDoor::default());
    let refusal = Refusal::new("the memory budget is spent", Duration::from_secs(1));
    door.shut(Some(Shut::Refused(refusal)));
    let (scraper, calls) = Scripted::new("a", &[]);
    let mut rig = Rig::behind(door, "{collection_interval: 10s}", vec![Box::new(scraper)]);
    sleep(Duration::from_secs(35)).await;
    assert!(calls.lock().unwrap().is_empty());
    rig.door.shut(None);
    sleep(Duration::from_secs(3)).await;
    rig.stop().await;
    assert_eq!(rig.door.items(), 1);
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_offered_until_it_is_taken() {
    let (scraper, calls) = Scripted::new("a", &[]);
    let schedule = "{collection_interval: 10s, initial_delay: 0s}";
    let door = Arc::new(FakeDoor::default());
    let refusal = Refusal::new("the far end is full", Duration::from_secs(4));
    door.answer(Some(Outcome::Refused(refusal)));
    let mut rig = Rig::behind(door, schedule, vec![Box::new(scraper)]);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(rig.seconds(&calls), [0], "one at a time");
    assert_eq!(rig.door.items(), 8, "once every four seconds");
    let _ = rig.door.take();
    rig.door.answer(Some(Outcome::TakenOver));
    sleep(Duration::from_secs(15)).await;
    rig.stop().await;
    assert_eq!(rig.seconds(&calls), [0, 40]);
    assert_eq!(rig.door.items(), 2);
    assert_eq!(rig.counter("tidegate_scraper_skipped_rounds", ""), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_and_finds_no_room_before_the_stop_is_counted() {
    let door = Arc::new(FakeDoor::default());
    let (slow, _) = Scripted::new("a", &[3]);
    let schedule = "{collection_interval: 10s, initial_delay: 0s}";
    let mut rig = Rig::behind(door, schedule, vec![Box::new(slow)]);
    sleep(Duration::from_secs(1)).await;
    let refusal = Refusal::new("the memory budget is spent", Duration::from_secs(1));
    rig.door.shut(Some(Shut::Refused(refusal)));
    sleep(Duration::from_secs(5)).await;
    rig.stop().await;
    assert_eq!((rig.door.items(), rig.door.failed()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_scraper_that_hangs() {
    let (slow, calls) = Scripted::new("a", &[10_000]);
    let mut rig = Rig::start("{initial_delay: 0s, timeout: 1h}", vec![Box::new(slow)]);
    sleep(Duration::from_secs(5)).await;
    let asked = Instant::now();
    rig.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(calls.lock().unwrap().len(), 1);
}

/// Panics at its first call, and counts how often it was made.
struct Breaking {
    made: Arc<AtomicUsize>,
    calls: usize,
}

impl Reader for Breaking {
    fn read(&mut self, part: &mut Part) {
        self.calls += 1;
        assert!(self.made.load(Relaxed) > 1 || self.calls < 2, "as asked");
        *part = one_point();
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_panics_is_made_anew() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let blocking = Blocking::new("breaking", move || {
        counted.fetch_add(1, Relaxed);
        let made = Arc::clone(&counted);
        Breaking { made, calls: 0 }
    });
    let schedule = "{collection_interval: 10s, initial_delay: 0s}";
    let mut rig = Rig::start(schedule, vec![Box::new(blocking)]);
    sleep(Duration::from_secs(35)).await;
    rig.stop().await;
    assert_eq!(made.load(Relaxed), 2);
    assert_eq!(rig.errored("breaking"), 1);
    assert_eq!(rig.door.items(), 3);
}

/// Waits until it is let go.
struct Hanging {
    go: Arc<Mutex<()>>,
    calls: Arc<AtomicUsize>,
}

impl Reader for Hanging {
    fn read(&mut self, part: &mut Part) {
        self.calls.fetch_add(1, Relaxed);
        drop(self.go.lock().unwrap());
        *part = one_point();
    }
}

#[test]
fn a_reader_that_hangs_is_waited_for_and_never_doubled() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (go, calls) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
    let reader = (Arc::clone(&go), Arc::clone(&calls));
    let mut blocking = Blocking::new("hanging", move || Hanging {
        go: Arc::clone(&reader.0),
        calls: Arc::clone(&reader.1),
    });
    let mut scrape = |limit| {
        let scrape = async { tokio::time::timeout(limit, blocking.scrape()).await };
        runtime.block_on(scrape)
    };
    let held = go.lock().unwrap();
    for _ in 0..3 {
        assert!(scrape(Duration::from_millis(20)).is_err());
    }
    drop(held);
    let part = scrape(Duration::from_secs(30)).unwrap();
    assert_eq!(part.request.items(), 1);
    assert_eq!(calls.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_once_an_hour_and_counted_always() {
    let build = BuildContext::detached("receiver", "scraped".parse().unwrap());
    let mut account = Account::new(&build.metrics, "a");
    let mut faults = Faults::default();
    for _ in 0..10_000 {
        faults.add("a file cannot be read", 2, || "it is gone".to_owned());
    }
    faults.add("another", 1, String::new);
    assert_eq!(faults.iter().count(), 2);
    account.add(5, &faults, &build.id, "a");
    let errored = build.metrics.counter(
        "otelcol_scraper_errored_metric_points",
        "",
        &[("scraper", "a")],
    );
    assert_eq!(errored.value(), 20_001);
    assert!(!account.is_news("a file cannot be read"));
    assert!(account.is_news("a third"));
    sleep(Duration::from_secs(3601)).await;
    assert!(account.is_news("a file cannot be read"));
}
