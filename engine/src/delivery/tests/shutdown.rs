//! What is delivered at the end, and what is counted as lost.

use tidegate_component::delivery::QueueBatch;
use tidegate_pdata::Outcome;

use super::peer::Answer;
use super::*;

#[tokio::test(start_paused = true)]
async fn drain_delivers_what_is_queued() {
    let keys = queue(|queue| queue.num_consumers = 1);
    let rig = Rig::start(keys, Peer::always(Answer::Take).slow(secs(1))).await;
    for record in 0..5 {
        rig.put(&[record]);
    }
    let began = Instant::now();
    rig.sink.drain(began + secs(30)).await;
    assert_eq!(began.elapsed(), secs(5));
    assert_eq!(rig.account().consumed, 5);
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_a_backoff() {
    let rig = Rig::start(keys(), Peer::away_for(secs(3))).await;
    rig.put(&[1]);
    tokio::time::sleep(secs(1)).await;
    let began = Instant::now();
    rig.sink.drain(began + secs(30)).await;
    assert_eq!(rig.account().consumed, 1);
    assert!(began.elapsed() <= secs(3));
}

#[tokio::test(start_paused = true)]
async fn drain_sends_what_was_being_merged() {
    let keys = queue(|queue| {
        queue.batch = Some(QueueBatch {
            flush_timeout: tidegate_document::Duration::from_secs(3600),
            ..QueueBatch::default()
        });
    });
    let rig = Rig::start(keys, Peer::always(Answer::Take)).await;
    rig.put(&[1]);
    rig.put(&[2]);
    rig.sink.drain(Instant::now() + secs(30)).await;
    assert_eq!(rig.peer.calls(), [[1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_deadline_is_lost_by_shutdown() {
    let keys = queue(|queue| {
        queue.num_consumers = 1;
        queue.wait_for_result = true;
    });
    let peer = Peer::new(|records, _| match records {
        [1] => Answer::Away,
        [2] => Answer::Hang,
        _ => Answer::Take,
    });
    let rig = Rig::start(keys, peer).await;
    let away = rig.put_awaited(&[1]);
    settle().await;
    let pending: Vec<_> = [[2], [3]].iter().map(|r| rig.put_awaited(r)).collect();
    let began = Instant::now();
    rig.sink.drain(began + secs(4)).await;
    assert_eq!(began.elapsed(), secs(4));
    let account = rig.account();
    assert_eq!((account.held, rig.dropped("shutdown")), (0, 3));
    assert!(matches!(away.now(), Some(Outcome::Refused(_))));
    assert!(
        pending
            .iter()
            .all(|pending| pending.now().is_some_and(|o| !o.is_kept()))
    );
}
