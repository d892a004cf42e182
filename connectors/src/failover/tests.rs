use std::time::Duration;

use tidegate_component::testing::{ConnectorBench, Contract, read, realistic};
use tidegate_component::{BuildContext, ComponentConfig, Route};
use tidegate_pdata::{Context, Outcome, Payload, Refusal, Signal};
use tokio::time::{Instant, advance};

use super::Config;

const LOGS: Signal = Signal::Logs;
const INTERVAL: Duration = Duration::from_secs(600);
const THREE: &str = "priority_levels: [[logs/0], [logs/1], [logs/2]]";

fn bench(yaml: &str) -> ConnectorBench {
    ConnectorBench::new::<Config>(yaml, LOGS, &[LOGS; 3])
}

fn away() -> Outcome {
    Outcome::Refused(Refusal::new("away", Duration::from_secs(1)))
}

fn logs(items: usize) -> Payload {
    realistic(LOGS, items)
}

/// Sends and lets what comes back go on until nothing does.
fn send(bench: &mut ConnectorBench, items: usize) -> Option<Outcome> {
    bench.send(logs(items));
    settle(bench);
    bench.outcomes().pop().flatten()
}

fn settle(bench: &mut ConnectorBench) {
    for _ in 0..8 {
        bench.flush();
    }
}

fn active(bench: &ConnectorBench) -> i64 {
    let metrics = &bench.context().metrics;
    let name = "otelcol_connector_failover_active_level";
    metrics.gauge(name, "", &[("signal", "logs")]).value()
}

fn left(bench: &ConnectorBench, level: &str) -> u64 {
    let metrics = &bench.context().metrics;
    let labels = [("signal", "logs"), ("level", level)];
    metrics
        .counter("otelcol_connector_failover_count", "", &labels)
        .value()
}

#[test]
fn keeps_the_contract() {
    let levels = "priority_levels: [[traces/0, metrics/0, logs/0], [traces/1, metrics/1, logs/1]]";
    let full = format!(
        "{levels}\nretry_interval: 5m\nstrategy: standard\nstandard: {{retry_interval: 1m}}\n\
         retry_gap: 1m\nmax_retries: 3\nsending_queue: {{enabled: true, queue_size: 10, sizer: items, \
         wait_for_result: false, num_consumers: 3, block_on_overflow: true, batch: {{}}}}"
    );
    let fan_out = "priority_levels: [[traces/0, traces/1, metrics/0, metrics/1, logs/0, logs/1]]";
    Contract::<Config>::new(levels, &[&full, fan_out]).connector();
}

#[tokio::test(start_paused = true)]
async fn batch_that_a_level_does_not_keep_goes_to_the_next_and_so_does_what_follows() {
    let mut bench = bench(THREE);
    assert_eq!(send(&mut bench, 1), Some(Outcome::Delivered));
    bench.answer(0, away());
    assert_eq!(send(&mut bench, 2), Some(Outcome::Delivered));
    assert_eq!(bench.items(), [3, 2, 0]);
    assert_eq!(send(&mut bench, 4), Some(Outcome::Delivered));
    assert_eq!(bench.items(), [3, 6, 0]);
    assert_eq!((active(&bench), left(&bench, "0")), (1, 1));
    bench.answer(1, Outcome::Lost);
    assert_eq!(send(&mut bench, 8), Some(Outcome::Delivered));
    assert_eq!(bench.items(), [3, 14, 8]);
    assert_eq!(active(&bench), 2);
}

#[tokio::test(start_paused = true)]
async fn higher_levels_are_tried_with_one_batch_when_the_interval_is_over() {
    let mut bench = bench(THREE);
    bench.answer(0, away());
    bench.answer(1, away());
    send(&mut bench, 1);
    bench.answer(1, Outcome::Delivered);
    advance(INTERVAL - Duration::from_secs(1)).await;
    send(&mut bench, 1);
    assert_eq!(bench.items(), [1, 1, 2]);
    advance(Duration::from_secs(1)).await;
    // The first level still fails, the second one works again.
    assert_eq!(send(&mut bench, 1), Some(Outcome::Delivered));
    assert_eq!((bench.items(), active(&bench)), (vec![2, 2, 2], 1));
    send(&mut bench, 1);
    assert_eq!(bench.items(), [2, 3, 2]);
    bench.answer(0, Outcome::Delivered);
    advance(INTERVAL).await;
    send(&mut bench, 1);
    assert_eq!((bench.items(), active(&bench)), (vec![3, 3, 2], 0));
    assert_eq!(left(&bench, "0") + left(&bench, "1"), 2);
}

#[tokio::test(start_paused = true)]
async fn sender_is_refused_where_no_level_takes_its_data() {
    let mut bench = bench(THREE);
    for level in 0..3 {
        bench.answer(level, away());
    }
    let outcome = send(&mut bench, 5);
    assert!(matches!(outcome, Some(Outcome::Refused(_))), "{outcome:?}");
    assert_eq!(
        (bench.items(), bench.dropped("refused")),
        (vec![5, 5, 5], 5)
    );
    assert_eq!((bench.held(), active(&bench)), ((0, 0), -1));
    bench.answer(1, Outcome::Delivered);
    assert_eq!(send(&mut bench, 5), Some(Outcome::Delivered));
    assert_eq!(active(&bench), 1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_waits_until_a_level_works() {
    let mut bench = bench(THREE);
    for level in 0..3 {
        bench.answer(level, away());
    }
    for _ in 0..4 {
        bench.send_unawaited(logs(10));
        settle(&mut bench);
    }
    assert_eq!(bench.held().0, 40);
    let due = bench.deadline().unwrap();
    assert_eq!(due, Instant::now() + Duration::from_secs(1));
    // One goes to see, and comes back.
    advance(Duration::from_secs(1)).await;
    settle(&mut bench);
    assert_eq!(bench.held().0, 40);
    assert!(bench.deadline().unwrap() > Instant::now() + Duration::from_secs(1));
    bench.answer(2, Outcome::Delivered);
    advance(Duration::from_secs(2)).await;
    settle(&mut bench);
    assert_eq!((bench.held(), bench.deadline()), ((0, 0), None));
    assert_eq!((bench.dropped("retry_exhausted"), active(&bench)), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_vain_is_a_counted_loss() {
    let mut bench = bench(THREE);
    for level in 0..3 {
        bench.answer(level, away());
    }
    bench.send_unawaited(logs(10));
    while let Some(due) = {
        settle(&mut bench);
        bench.deadline()
    } {
        advance(due - Instant::now()).await;
    }
    assert_eq!(
        (bench.held(), bench.dropped("retry_exhausted")),
        ((0, 0), 10)
    );
}

#[tokio::test(start_paused = true)]
async fn full_room_shuts_the_door_and_what_still_comes_is_a_counted_loss() {
    let queue = "sending_queue: {enabled: false, queue_size: 15, sizer: items}";
    let mut bench = bench(&format!("{THREE}\n{queue}"));
    for level in 0..3 {
        bench.answer(level, away());
    }
    let gates = bench.context().gates.list();
    for _ in 0..2 {
        assert_eq!(gates[0].refusal(1, &Context::default()), None);
        bench.send_unawaited(logs(8));
        settle(&mut bench);
    }
    assert_eq!((bench.held().0, bench.dropped("queue_full")), (8, 8));
    bench.send_unawaited(logs(7));
    settle(&mut bench);
    assert!(gates[0].refusal(1, &Context::default()).is_some());
    // Each level is tried for a last time.
    for _ in 0..5 {
        bench.finish();
    }
    assert_eq!((bench.held().0, bench.dropped("shutdown")), (0, 15));
    assert_eq!(gates[0].refusal(1, &Context::default()), None);
}

#[tokio::test(start_paused = true)]
async fn rejected_batch_goes_on_and_leaves_its_level_in_use() {
    let mut bench = bench(THREE);
    bench.answer(0, Outcome::Rejected("bad".into()));
    assert_eq!(send(&mut bench, 2), Some(Outcome::Delivered));
    assert_eq!((bench.items(), active(&bench)), (vec![2, 2, 0], 0));
    // Where all reject it, the first takes it as if there were no other, and answers itself.
    bench.answer(1, Outcome::Rejected("bad".into()));
    bench.answer(2, Outcome::Rejected("bad".into()));
    let outcome = send(&mut bench, 3);
    assert_eq!(outcome, Some(Outcome::Rejected("bad".into())));
    assert_eq!(bench.items(), [8, 5, 3]);
}

#[tokio::test(start_paused = true)]
async fn every_pipeline_of_a_level_gets_the_data_and_one_that_fails_fails_the_level() {
    let mut bench = bench("priority_levels: [[logs/0, logs/1], [logs/2]]");
    assert_eq!(send(&mut bench, 2), Some(Outcome::Delivered));
    assert_eq!(bench.items(), [2, 2, 0]);
    bench.answer(1, away());
    assert_eq!(send(&mut bench, 3), Some(Outcome::Delivered));
    assert_eq!(bench.items(), [5, 5, 3]);
}

#[tokio::test(start_paused = true)]
async fn queue_takes_over_at_once() {
    let mut bench = bench(&format!("{THREE}\nsending_queue: {{enabled: true}}"));
    bench.answer(0, away());
    assert_eq!(bench.send(logs(1)), Some(Outcome::TakenOver));
    settle(&mut bench);
    assert_eq!(bench.items(), [1, 1, 0]);
}

#[test]
fn settings_that_cannot_work_are_refused_with_their_key() {
    let mut context = BuildContext::detached("connector", "failover".parse().unwrap());
    context.signal = Some(LOGS);
    context.signals = LOGS.into();
    context.routes = ["logs/a", "logs/b"]
        .map(|name| Route {
            pipeline: name.to_owned(),
            signal: LOGS,
        })
        .into();
    for (yaml, path, message) in [
        ("[]", "priority_levels", "has no level"),
        (
            "[[logs/a], [], [logs/b]]",
            "priority_levels::1",
            "has no pipeline",
        ),
        (
            "[[logs/a, log/b]]",
            "priority_levels::0::1",
            "is no pipeline's name",
        ),
        (
            "[[logs/a], [logs/b], [logs/c]]",
            "priority_levels::2::0",
            "does not receive from",
        ),
        ("[[logs/a]]", "priority_levels", "`logs/b` receives from"),
        (
            "[[logs/a], [logs/b, logs/a]]",
            "priority_levels::1::1",
            "stands at two places",
        ),
        (
            "[[logs/a, traces], [logs/b]]",
            "priority_levels::0::1",
            "no pipeline of traces exports",
        ),
        (
            "[[logs/a], [logs/b]]\nretry_interval: 0s",
            "retry_interval",
            "above 0",
        ),
        (
            "[[logs/a], [logs/b]]\nstandard: {retry_interval: 0s}",
            "standard::retry_interval",
            "above 0",
        ),
        (
            "[[logs/a], [logs/b]]\nsending_queue: {storage: file_storage}",
            "sending_queue::storage",
            "nothing on disk",
        ),
    ] {
        let built = read::<Config>(&format!("priority_levels: {yaml}")).build(&context);
        let error = built.err().unwrap_or_else(|| panic!("{yaml} is built"));
        assert_eq!(error.path, path, "{yaml}");
        assert!(error.message.contains(message), "{yaml}: {}", error.message);
    }
}
