//! Whatever the peer does: every item ends once, and every sender hears of it.

use proptest::prelude::*;
use tidegate_component::delivery::{OnOverflow, QueueBatch, Retry, Sizer};
use tidegate_document::Duration;
use tokio::time::Instant;

use super::peer::Answer;
use super::*;

#[derive(Clone, Debug)]
struct Scene {
    keys: Keys,
    /// Sizes of the batches, and milliseconds between them.
    puts: Vec<(u8, u16)>,
    /// What the peer answers to its calls, over and over.
    answers: Vec<Answer>,
    /// Records that the peer never takes.
    bad: Vec<u32>,
    /// When the delivery is drained, counted from the last put, and how long it may take.
    drain: (u16, u16),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Take),
        2 => Just(Answer::Away),
        1 => Just(Answer::Busy(Some(secs(1)))),
        1 => Just(Answer::Reject { divisible: true }),
        1 => Just(Answer::Reject { divisible: false }),
        1 => Just(Answer::Panic),
        1 => Just(Answer::Hang),
    ]
}

fn batching() -> impl Strategy<Value = QueueBatch> {
    (0_usize..8, 0_usize..8, any::<bool>()).prop_map(|(min, more, bytes)| QueueBatch {
        flush_timeout: Duration::from_millis(500),
        min_size: min,
        max_size: if more == 0 { 0 } else { min + more },
        sizer: Some(if bytes { Sizer::Bytes } else { Sizer::Items }),
        ..QueueBatch::default()
    })
}

fn delivery_keys() -> impl Strategy<Value = Keys> {
    let overflow = prop_oneof![
        Just(OnOverflow::Refuse),
        Just(OnOverflow::DropNew),
        Just(OnOverflow::DropOldest),
    ];
    let sizer = prop_oneof![
        Just(Sizer::Requests),
        Just(Sizer::Items),
        Just(Sizer::Bytes)
    ];
    let queue = (
        1_usize..4,
        8_usize..40,
        sizer,
        overflow,
        proptest::option::of(batching()),
    );
    (queue, any::<bool>()).prop_map(|((consumers, size, sizer, overflow, batch), retry)| Keys {
        timeout: Some(Duration::from_secs(2)),
        retry_on_failure: Some(Retry {
            enabled: Some(retry),
            initial_interval: Duration::from_millis(300),
            max_interval: Duration::from_secs(1),
            max_elapsed_time: Duration::from_secs(5),
            ..Retry::default()
        }),
        sending_queue: Some(SendingQueue {
            num_consumers: consumers,
            queue_size: Some(size),
            sizer,
            on_overflow: Some(overflow),
            wait_for_result: true,
            batch,
            ..SendingQueue::default()
        }),
        on_permanent_error: None,
    })
}

fn scene() -> impl Strategy<Value = Scene> {
    (
        delivery_keys(),
        proptest::collection::vec((0_u8..12, 0_u16..800), 1..40),
        proptest::collection::vec(answer(), 1..12),
        proptest::collection::vec(0_u32..200, 0..4),
        (0_u16..20_000, 0_u16..20_000),
    )
        .prop_map(|(keys, puts, answers, bad, drain)| Scene {
            keys,
            puts,
            answers,
            bad,
            drain,
        })
}

async fn play(scene: Scene) {
    let millis = |millis: u16| std::time::Duration::from_millis(millis.into());
    let (answers, bad) = (scene.answers, scene.bad);
    let peer = Peer::new(move |records, call| {
        if records.iter().any(|record| bad.contains(record)) {
            Answer::Reject { divisible: true }
        } else {
            answers[call % answers.len()].clone()
        }
    });
    let rig = Rig::start(scene.keys, peer).await;
    let (mut pending, mut next) = (Vec::new(), 0);
    for (size, pause) in scene.puts {
        let records: Vec<_> = (next..next + u32::from(size)).collect();
        next += u32::from(size);
        pending.push(rig.put_awaited(&records));
        tokio::time::sleep(millis(pause)).await;
    }
    tokio::time::sleep(millis(scene.drain.0)).await;
    rig.sink.drain(Instant::now() + millis(scene.drain.1)).await;
    let account = rig.account();
    assert_eq!((account.taken, account.held), (u64::from(next), 0));
    assert_eq!(account.dropped.get("lost"), None);
    assert_eq!(rig.sink.depth(), crate::sink::Depth::default());
    assert_eq!(rig.metric("otelcol_exporter_in_flight_requests"), 0);
    assert!(pending.iter().all(|pending| pending.now().is_some()));
    let mut taken = rig.peer.taken();
    assert_eq!(taken.len() as u64, account.consumed);
    taken.dedup();
    assert_eq!(taken.len() as u64, account.consumed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_item_ends_once_and_every_sender_hears_of_it(scene in scene()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(scene));
    }
}
