//! The queue itself: who takes over when, how many deliveries run, what is merged.

use tidegate_component::Promise;
use tidegate_component::delivery::{QueueBatch, QueuePartition, Sizer};
use tidegate_document::Duration;
use tidegate_pdata::Outcome;

use super::peer::Answer;
use super::*;

#[tokio::test(start_paused = true)]
async fn memory_queue_takes_over_on_entry_and_delivers_in_order() {
    let keys = queue(|queue| queue.num_consumers = 1);
    let rig = Rig::start(keys, Peer::always(Answer::Take).slow(secs(1))).await;
    let pending = rig.put_awaited(&[1, 2]);
    assert_eq!(pending.now(), Some(Outcome::TakenOver));
    rig.put(&[3]);
    rig.put(&[4]);
    let account = rig.rest().await;
    assert_eq!((account.taken, account.consumed), (4, 4));
    assert_eq!(rig.peer.calls(), [vec![1, 2], vec![3], vec![4]]);
    assert_eq!(rig.sink.promise(), Promise::Memory);
    assert_eq!(rig.metric("otelcol_exporter_sent_log_records"), 4);
}

#[tokio::test(start_paused = true)]
async fn num_consumers_bounds_the_deliveries_at_a_time() {
    let keys = queue(|queue| queue.num_consumers = 3);
    let rig = Rig::start(keys, Peer::always(Answer::Take).slow(secs(1))).await;
    for record in 0..10 {
        rig.put(&[record]);
    }
    settle().await;
    assert_eq!(rig.metric("otelcol_exporter_in_flight_requests"), 3);
    assert_eq!(rig.metric("otelcol_exporter_queue_size"), 10);
    rig.rest().await;
    assert_eq!(rig.peer.most_active(), 3);
    assert_eq!(rig.metric("otelcol_exporter_in_flight_requests"), 0);
    assert_eq!(rig.metric("otelcol_exporter_queue_size"), 0);
    assert_eq!(rig.metric("otelcol_exporter_queue_capacity"), 1000);
}

#[tokio::test(start_paused = true)]
async fn wait_for_result_settles_receipts_by_the_delivery() {
    let keys = queue(|queue| queue.wait_for_result = true);
    let rig = Rig::start(keys, Peer::always(Answer::Take).slow(secs(1))).await;
    let pending = rig.put_awaited(&[1]);
    settle().await;
    assert_eq!(pending.now(), None);
    rig.rest().await;
    assert_eq!(pending.now(), Some(Outcome::Delivered));
    assert_eq!(
        (rig.sink.promise(), rig.sink.binds()),
        (Promise::Delivered, true)
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_delivery_is_awaited_and_many_run_at_a_time() {
    let keys = queue(|queue| queue.enabled = Some(false));
    let rig = Rig::start(keys, Peer::always(Answer::Take).slow(secs(1))).await;
    let pending: Vec<_> = (0..50).map(|record| rig.put_awaited(&[record])).collect();
    settle().await;
    assert!(pending.iter().all(|pending| pending.now().is_none()));
    rig.rest().await;
    assert!(pending.iter().all(|p| p.now() == Some(Outcome::Delivered)));
    assert_eq!(rig.peer.most_active(), 50);
    assert_eq!(
        (rig.sink.promise(), rig.sink.binds()),
        (Promise::Delivered, false)
    );
}

#[tokio::test(start_paused = true)]
async fn batch_whose_senders_gave_up_is_not_tried() {
    let keys = queue(|queue| {
        queue.wait_for_result = true;
        queue.num_consumers = 1;
    });
    let rig = Rig::start(keys, Peer::always(Answer::Take).slow(secs(1))).await;
    rig.put(&[1]);
    let pending = rig.put_awaited(&[2]);
    pending.expire();
    let account = rig.rest().await;
    assert_eq!(rig.peer.calls(), [[1]]);
    assert_eq!((account.consumed, rig.dropped("expired")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn empty_batch_is_delivered_without_a_call() {
    let rig = Rig::start(
        queue(|queue| queue.wait_for_result = true),
        Peer::always(Answer::Take),
    )
    .await;
    assert_eq!(rig.put_awaited(&[]).now(), Some(Outcome::Delivered));
    settle().await;
    assert!(rig.peer.calls().is_empty());
}

fn batching(change: impl FnOnce(&mut QueueBatch)) -> Keys {
    let mut batch = QueueBatch::default();
    change(&mut batch);
    queue(|queue| {
        queue.batch = Some(batch);
        queue.wait_for_result = true;
    })
}

#[tokio::test(start_paused = true)]
async fn batches_are_merged_until_min_size_or_flush_timeout() {
    let keys = batching(|batch| batch.min_size = 3);
    let rig = Rig::start(keys, Peer::always(Answer::Take)).await;
    let pending = rig.put_awaited(&[1]);
    rig.put(&[2]);
    settle().await;
    assert!(rig.peer.calls().is_empty());
    rig.put(&[3]);
    settle().await;
    assert_eq!(rig.peer.calls(), [vec![1, 2, 3]]);
    assert_eq!(pending.now(), Some(Outcome::Delivered));
    rig.put(&[4]);
    tokio::time::sleep(std::time::Duration::from_millis(199)).await;
    assert_eq!(rig.peer.calls().len(), 1);
    let account = rig.rest().await;
    assert_eq!(rig.peer.calls()[1], [4]);
    assert_eq!(account.consumed, 4);
}

#[tokio::test(start_paused = true)]
async fn merged_batch_is_cut_to_max_size_and_its_rest_waits() {
    let keys = batching(|batch| {
        batch.min_size = 2;
        batch.max_size = 3;
    });
    let rig = Rig::start(keys, Peer::always(Answer::Take)).await;
    rig.put(&[1]);
    let pending = rig.put_awaited(&[2, 3, 4, 5, 6, 7]);
    settle().await;
    assert_eq!(rig.peer.calls(), [vec![1, 2, 3], vec![4, 5, 6]]);
    assert_eq!(pending.now(), None);
    let account = rig.rest().await;
    assert_eq!(rig.peer.calls()[2], [7]);
    assert_eq!(pending.now(), Some(Outcome::Delivered));
    assert_eq!(account.consumed, 7);
}

#[tokio::test(start_paused = true)]
async fn record_larger_than_max_size_goes_alone() {
    let keys = batching(|batch| {
        batch.sizer = Some(Sizer::Bytes);
        batch.min_size = 0;
        batch.max_size = 1;
    });
    let rig = Rig::start(keys, Peer::always(Answer::Take)).await;
    rig.put(&[1, 2]);
    rig.rest().await;
    assert_eq!(rig.peer.calls(), [[1], [2]]);
}

#[tokio::test(start_paused = true)]
async fn partition_keeps_clients_apart_whatever_the_case_of_the_key() {
    let keys = batching(|batch| {
        batch.partition = QueuePartition {
            metadata_keys: vec!["Tenant".to_owned()],
        };
        batch.flush_timeout = Duration::from_secs(1);
    });
    let rig = Rig::start(keys, Peer::always(Answer::Take)).await;
    rig.put_from(&[1], "tenant", "a");
    rig.put_from(&[2], "tenant", "b");
    rig.put_from(&[3], "tenant", "a");
    rig.put(&[4]);
    rig.rest().await;
    let mut calls = rig.peer.calls();
    calls.sort();
    assert_eq!(calls, [vec![1, 3], vec![2], vec![4]]);
}

#[tokio::test]
async fn many_threads_lose_and_double_nothing() {
    let pool = Pool::start(3).unwrap();
    let keys = queue(|queue| queue.num_consumers = 5);
    let rig = Rig::start_on(pool.clone(), keys, Peer::always(Answer::Take), true).await;
    let put = |worker: u32| {
        let (pool, sink) = (pool.clone(), Arc::clone(&rig.sink));
        async move {
            for record in (0..500).map(|record| worker * 500 + record) {
                let sink = Arc::clone(&sink);
                let put = move || sink.put(batch(&[record], Receipt::none()));
                pool.run(worker as usize, put).await.unwrap();
            }
        }
    };
    tokio::join!(put(0), put(1), put(2));
    rig.sink.drain(Instant::now() + secs(60)).await;
    assert_eq!(rig.account().consumed, 1500);
    assert_eq!(rig.peer.taken(), (0..1500).collect::<Vec<_>>());
    assert!(rig.peer.most_active() <= 5);
    pool.stop().await;
}
