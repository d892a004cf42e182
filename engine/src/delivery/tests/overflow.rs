//! What a full queue does.

use tidegate_component::delivery::{OnOverflow, Sizer};
use tidegate_pdata::Outcome;

use super::peer::Answer;
use super::*;
use crate::sink::Room;

/// A queue for two batches with one consumer.
fn small(change: impl FnOnce(&mut SendingQueue)) -> Keys {
    queue(|queue| {
        queue.queue_size = Some(2);
        queue.num_consumers = 1;
        change(queue);
    })
}

fn slow() -> Peer {
    Peer::always(Answer::Take).slow(secs(1))
}

#[tokio::test(start_paused = true)]
async fn only_exporter_shuts_the_door_and_still_takes_what_is_inside() {
    let rig = Rig::start(small(|_| ()), slow()).await;
    rig.put(&[1]);
    assert_eq!(rig.sink.room(), Room::Free);
    rig.put(&[2]);
    assert!(matches!(rig.sink.room(), Room::Refused(refusal) if refusal.after >= secs(1)));
    rig.put(&[3]);
    assert_eq!(rig.rest().await.consumed, 3);
    assert_eq!(rig.sink.room(), Room::Free);
}

#[tokio::test(start_paused = true)]
async fn exporter_beside_siblings_drops_what_is_new() {
    let rig = Rig::start_with(small(|_| ()), slow(), false).await;
    for record in 1..=3 {
        assert_eq!(rig.sink.room(), Room::Free);
        let pending = rig.put_awaited(&[record, record]);
        assert_eq!(pending.now(), Some(Outcome::TakenOver));
    }
    let account = rig.rest().await;
    assert_eq!((account.taken, account.consumed), (6, 4));
    assert_eq!(rig.dropped("queue_full"), 2);
    assert_eq!(rig.peer.taken(), [1, 1, 2, 2]);
    assert_eq!(rig.metric("otelcol_exporter_enqueue_failed_log_records"), 2);
    assert_eq!(rig.metric("otelcol_exporter_send_failed_log_records"), 0);
}

#[tokio::test(start_paused = true)]
async fn sender_that_waits_for_the_result_hears_of_a_full_queue() {
    let keys = small(|queue| {
        queue.on_overflow = Some(OnOverflow::DropNew);
        queue.wait_for_result = true;
    });
    let rig = Rig::start(keys, slow()).await;
    rig.put(&[1]);
    rig.put(&[2]);
    let pending = rig.put_awaited(&[3]);
    assert!(matches!(pending.now(), Some(Outcome::Refused(_))));
    rig.rest().await;
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_makes_room_from_the_queue() {
    let keys = small(|queue| queue.on_overflow = Some(OnOverflow::DropOldest));
    let rig = Rig::start(keys, slow()).await;
    rig.put(&[1]);
    settle().await;
    for record in 2..=4 {
        rig.put(&[record]);
    }
    let account = rig.rest().await;
    assert_eq!(rig.peer.taken(), [1, 4]);
    assert_eq!((account.consumed, rig.dropped("queue_full")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_takes_what_waits_for_its_next_attempt_first() {
    let keys = small(|queue| queue.on_overflow = Some(OnOverflow::DropOldest));
    let peer = Peer::new(|records, _| {
        if records == [1] {
            Answer::Away
        } else {
            Answer::Take
        }
    });
    let rig = Rig::start(keys, peer.slow(secs(1))).await;
    rig.put(&[1]);
    tokio::time::sleep(secs(2)).await;
    rig.put(&[2]);
    settle().await;
    rig.put(&[3]);
    rig.rest().await;
    assert_eq!(rig.peer.taken(), [2, 3]);
    assert_eq!(rig.dropped("queue_full"), 1);
}

#[tokio::test(start_paused = true)]
async fn blocked_door_hears_the_bell_when_there_is_room() {
    let rig = Rig::start(small(|queue| queue.block_on_overflow = true), slow()).await;
    rig.put(&[1]);
    rig.put(&[2]);
    assert_eq!(rig.sink.room(), Room::Later);
    let began = Instant::now();
    let look = || (rig.sink.room() == Room::Free).then_some(());
    rig.budget.wait(look).await;
    assert_eq!(began.elapsed(), secs(1));
    rig.rest().await;
}

#[tokio::test(start_paused = true)]
async fn sizer_says_what_fills_the_queue() {
    let full = async |sizer, size| {
        let keys = queue(|queue| {
            queue.sizer = sizer;
            queue.queue_size = Some(size);
        });
        let rig = Rig::start(keys, slow()).await;
        rig.put(&[1, 2, 3]);
        let full = rig.sink.room() != Room::Free;
        let size = rig.metric("otelcol_exporter_queue_size");
        rig.rest().await;
        assert_eq!(rig.metric("otelcol_exporter_queue_size"), 0);
        (full, size)
    };
    let bytes = payload(&[1, 2, 3]).bytes();
    assert_eq!(full(Sizer::Requests, 2).await, (false, 1));
    assert_eq!(full(Sizer::Items, 3).await, (true, 3));
    assert_eq!(full(Sizer::Items, 4).await, (false, 3));
    assert_eq!(full(Sizer::Bytes, bytes).await, (true, bytes as i64));
    assert_eq!(full(Sizer::Bytes, bytes + 1).await, (false, bytes as i64));
}

#[tokio::test(start_paused = true)]
async fn batch_larger_than_the_queue_is_taken_where_nothing_else_is() {
    let keys = queue(|queue| {
        queue.sizer = Sizer::Items;
        queue.queue_size = Some(2);
        queue.on_overflow = Some(OnOverflow::DropNew);
    });
    let rig = Rig::start(keys, slow()).await;
    rig.put(&[1, 2, 3]);
    assert_eq!(rig.rest().await.consumed, 3);
}
