//! Retries, timeouts, the breaker, partial success and panics.

use tidegate_component::delivery::Retry;
use tidegate_document::Duration;
use tidegate_pdata::Outcome;

use super::peer::Answer;
use super::*;

/// A retry without chance in it.
fn exact(change: impl FnOnce(&mut Retry)) -> Retry {
    let mut retry = Retry {
        randomization_factor: 0.0,
        ..Retry::default()
    };
    change(&mut retry);
    retry
}

fn awaited(retry: Retry) -> Keys {
    Keys {
        retry_on_failure: Some(retry),
        ..queue(|queue| queue.wait_for_result = true)
    }
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_until_the_peer_is_there() {
    let rig = Rig::start(awaited(exact(|_| ())), Peer::away_for(secs(30))).await;
    let pending = rig.put_awaited(&[1, 2]);
    let account = rig.rest().await;
    assert_eq!(rig.peer.times(), [0, 5000, 12_500, 23_750, 40_625]);
    assert_eq!(pending.now(), Some(Outcome::Delivered));
    assert_eq!(account.consumed, 2);
    assert_eq!(rig.metric("otelcol_exporter_send_failed_log_records"), 0);
}

#[tokio::test(start_paused = true)]
async fn retries_until_max_elapsed_time_then_reports_the_loss() {
    let retry = exact(|retry| {
        retry.max_elapsed_time = Duration::from_secs(30);
    });
    let rig = Rig::start(awaited(retry), Peer::always(Answer::Away)).await;
    let pending = rig.put_awaited(&[1, 2, 3]);
    assert_eq!(rig.rest().await.consumed, 0);
    assert_eq!(rig.peer.times(), [0, 5000, 12_500, 23_750]);
    assert_eq!(rig.dropped("retry_exhausted"), 3);
    assert!(matches!(pending.now(), Some(Outcome::Refused(_))));
    assert_eq!(rig.metric("otelcol_exporter_send_failed_log_records"), 3);
    let error = rig.sink.health().error.unwrap();
    assert_eq!(error, "peer:4317 is unavailable: connection refused");
}

#[tokio::test(start_paused = true)]
async fn max_elapsed_time_of_zero_retries_for_ever() {
    let retry = exact(|retry| retry.max_elapsed_time = Duration::from_secs(0));
    let rig = Rig::start(awaited(retry), Peer::away_for(secs(86_400))).await;
    rig.put(&[1]);
    assert_eq!(rig.rest().await.consumed, 1);
}

#[tokio::test(start_paused = true)]
async fn without_retries_the_first_failure_is_the_last() {
    let retry = exact(|retry| retry.enabled = Some(false));
    let rig = Rig::start(awaited(retry), Peer::always(Answer::Away)).await;
    let pending = rig.put_awaited(&[1]);
    rig.rest().await;
    assert_eq!((rig.peer.calls().len(), rig.dropped("retry_off")), (1, 1));
    assert!(matches!(pending.now(), Some(Outcome::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn peer_that_asks_for_a_longer_wait_gets_it() {
    let asks = |after| {
        Peer::new(move |_, call| match call {
            0 => Answer::Busy(Some(after)),
            _ => Answer::Take,
        })
    };
    for (after, next) in [(secs(60), 60_000), (secs(1), 5000)] {
        let rig = Rig::start(awaited(exact(|_| ())), asks(after)).await;
        rig.put(&[1]);
        rig.rest().await;
        assert_eq!(rig.peer.times(), [0, next]);
    }
}

#[tokio::test(start_paused = true)]
async fn batch_in_backoff_holds_no_consumer() {
    let keys = Keys {
        retry_on_failure: Some(exact(|_| ())),
        ..queue(|queue| queue.num_consumers = 1)
    };
    let peer = Peer::new(|records, call| {
        if records == [1] && call == 0 {
            Answer::Away
        } else {
            Answer::Take
        }
    });
    let rig = Rig::start(keys, peer).await;
    rig.put(&[1]);
    rig.put(&[2]);
    rig.put(&[3]);
    settle().await;
    assert_eq!(rig.peer.calls(), [[1], [2], [3]]);
    assert_eq!(rig.rest().await.consumed, 3);
    assert_eq!(rig.peer.times(), [0, 0, 0, 5000]);
}

#[tokio::test(start_paused = true)]
async fn attempt_without_an_answer_ends_at_the_timeout_and_is_repeated() {
    let peer = Peer::new(|_, call| {
        if call == 0 {
            Answer::Hang
        } else {
            Answer::Take
        }
    });
    let keys = Keys {
        timeout: Some(Duration::from_secs(2)),
        ..awaited(exact(|_| ()))
    };
    let rig = Rig::start(keys, peer).await;
    rig.put(&[1]);
    tokio::time::sleep(secs(3)).await;
    let error = rig.sink.health().error.unwrap();
    assert_eq!(error, "otlp is unavailable: no answer within 2s");
    assert_eq!(rig.rest().await.consumed, 1);
    assert_eq!(rig.peer.times(), [0, 7000]);
    assert_eq!(rig.sink.health().error, None);
}

#[tokio::test(start_paused = true)]
async fn timeout_of_zero_sets_no_limit() {
    let keys = Keys {
        timeout: Some(Duration::from_secs(0)),
        ..keys()
    };
    let rig = Rig::start(keys, Peer::always(Answer::Take).slow(secs(3600))).await;
    rig.put(&[1]);
    assert_eq!(rig.rest().await.consumed, 1);
    assert_eq!(rig.peer.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn items_that_the_peer_rejected_are_counted_apart() {
    let rig = Rig::start(awaited(exact(|_| ())), Peer::always(Answer::TakeBut(2))).await;
    let pending = rig.put_awaited(&[1, 2, 3]);
    let account = rig.rest().await;
    assert_eq!((account.consumed, rig.dropped("rejected_by_peer")), (1, 2));
    assert_eq!(pending.now(), Some(Outcome::Delivered));
    assert_eq!(rig.metric("otelcol_exporter_sent_log_records"), 1);
}

#[tokio::test(start_paused = true)]
async fn panic_costs_its_batch_alone_and_the_consumer_lives() {
    let keys = queue(|queue| {
        queue.num_consumers = 1;
        queue.wait_for_result = true;
    });
    let peer = Peer::new(|records, _| {
        if records == [1] {
            Answer::Panic
        } else {
            Answer::Take
        }
    });
    let rig = Rig::start(keys, peer).await;
    let pending = rig.put_awaited(&[1]);
    rig.put(&[2]);
    let account = rig.rest().await;
    assert_eq!((account.consumed, rig.dropped("panic")), (1, 1));
    assert!(matches!(pending.now(), Some(Outcome::Rejected(why)) if why.contains("told it to")));
}

#[tokio::test(start_paused = true)]
async fn dead_peer_is_probed_instead_of_called_for_every_batch() {
    let keys = Keys {
        retry_on_failure: Some(exact(|_| ())),
        ..queue(|queue| queue.queue_size = Some(1000))
    };
    let rig = Rig::start(keys, Peer::away_for(secs(60))).await;
    for record in 0..500 {
        rig.put(&[record]);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(rig.peer.calls().len() < 30, "{}", rig.peer.calls().len());
    assert_eq!(rig.metric("tidegate_exporter_breaker_state"), 2);
    tokio::time::sleep(secs(50)).await;
    let during = rig.peer.calls().len();
    assert!(during < 60, "{during}");
    let account = rig.rest().await;
    assert_eq!(account.consumed, 500);
    assert_eq!(rig.metric("tidegate_exporter_breaker_state"), 0);
    // The first probe that is answered lets all go that waited for the breaker.
    let times = rig.peer.times();
    assert!(*times.last().unwrap() < 95_000, "{times:?}");
}
