//! An exporter that asks for order: no batch overtakes another.

use proptest::prelude::*;
use tidegate_component::delivery::OnOverflow;

use super::peer::Answer;
use super::*;

#[tokio::test(start_paused = true)]
async fn batch_that_is_tried_again_holds_up_what_came_after_it() {
    let peer = Peer::away_for(secs(60)).in_order();
    let rig = Rig::start(queue(|queue| queue.num_consumers = 10), peer).await;
    for record in 0..50 {
        rig.put(&[record]);
        tokio::time::sleep(secs(1)).await;
    }
    assert_eq!(rig.rest().await.consumed, 50);
    let calls = rig.peer.calls();
    let before = calls.iter().take_while(|records| **records == [0]).count();
    assert!(before > 1, "{calls:?}");
    assert_eq!(
        rig.peer.taken_in_order(),
        (0..50).collect::<Vec<_>>(),
        "{calls:?}"
    );
    assert_eq!(rig.peer.most_active(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_lets_the_next_one_go() {
    let peer = Peer::new(|records, _| match records {
        [1] => Answer::Reject { divisible: false },
        [2] => Answer::Away,
        _ => Answer::Take,
    });
    let rig = Rig::start(keys(), peer.in_order()).await;
    for record in 0..5 {
        rig.put(&[record]);
    }
    rig.rest().await;
    assert_eq!(rig.peer.taken_in_order(), [0, 3, 4]);
    assert_eq!(rig.dropped("permanent"), 1);
    assert_eq!(rig.dropped("retry_exhausted"), 1);
}

#[tokio::test(start_paused = true)]
async fn full_queue_drops_the_oldest_though_that_is_being_waited_for() {
    let keys = queue(|queue| {
        queue.queue_size = Some(3);
        queue.on_overflow = Some(OnOverflow::DropOldest);
    });
    let rig = Rig::start(keys, Peer::away_for(secs(20)).in_order()).await;
    for record in 0..10 {
        rig.put(&[record]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let account = rig.rest().await;
    let taken = rig.peer.taken_in_order();
    assert!(taken.is_sorted() && taken.ends_with(&[8, 9]), "{taken:?}");
    assert_eq!(account.consumed + rig.dropped("queue_full"), 10);
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_a_backoff() {
    let peer = Peer::new(|_, call| match call {
        0 => Answer::Busy(Some(secs(100))),
        _ => Answer::Take,
    });
    let rig = Rig::start(keys(), peer.in_order()).await;
    rig.put(&[1]);
    rig.put(&[2]);
    tokio::time::sleep(secs(1)).await;
    rig.sink.drain(Instant::now() + secs(10)).await;
    assert_eq!(rig.peer.taken_in_order(), [1, 2]);
    assert!(rig.peer.times().iter().all(|at| *at < 10_000));
}

#[tokio::test(start_paused = true)]
async fn drain_past_its_deadline_counts_what_waits() {
    let rig = Rig::start(keys(), Peer::always(Answer::Away).in_order()).await;
    for record in 0..3 {
        rig.put(&[record]);
    }
    tokio::time::sleep(secs(1)).await;
    rig.sink.drain(Instant::now() + secs(5)).await;
    let account = rig.account();
    assert_eq!((account.held, rig.dropped("shutdown")), (0, 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_a_whimsical_peer_takes_is_in_order(whims in prop::collection::vec(0_u8..5, 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let peer = Peer::new(move |_, call| match whims.get(call) {
                Some(0) => Answer::Away,
                Some(1) => Answer::Busy(Some(secs(2))),
                Some(2) => Answer::Reject { divisible: true },
                _ => Answer::Take,
            });
            let rig = Rig::start(keys(), peer.slow(Duration::from_millis(30)).in_order()).await;
            for record in (0..80).step_by(2) {
                rig.put(&[record, record + 1]);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let account = rig.rest().await;
            let taken = rig.peer.taken_in_order();
            // Of the parts of one batch, which a peer rejected as a whole, any may come first.
            let batches: Vec<u32> = taken.iter().map(|record| record / 2).collect();
            assert!(batches.is_sorted(), "{taken:?}");
            assert_eq!(account.consumed, taken.len() as u64);
        });
    }
}
