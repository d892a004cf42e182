//! What the books say of records that were merged, cut, damaged or deadly.

use super::*;
use crate::sink::Depth;

#[tokio::test(start_paused = true)]
async fn records_cut_from_one_request_leave_nothing_in_the_books() {
    let mut keys = soon();
    keys.sending_queue = queue(|queue| {
        queue.batch = Some(QueueBatch {
            min_size: 2,
            max_size: 2,
            ..QueueBatch::default()
        });
    })
    .sending_queue;
    let back = Arc::new(AtomicBool::new(false));
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys, back_when(&back)).await;
    for record in 0..40 {
        assert_eq!(life.put(&[record; 6]).await, Outcome::Durable);
    }
    tokio::time::sleep(secs(60)).await;
    back.store(true, SeqCst);
    let account = life.rig.rest().await;
    assert_eq!(account.consumed, 240);
    assert_eq!(life.rig.sink.depth(), Depth::default());
    assert_eq!(life.rig.sink.room(), Room::Free);
}

/// A peer that never answers, so that whatever dies leaves its records in flight.
fn hang() -> Peer {
    Peer::always(Answer::Hang)
}

/// A life in which these records were in flight at the end of the one before.
async fn after_a_death(records: std::ops::Range<u32>, keys: Keys, peer: Peer) -> Life {
    let disk = MemoryDisk::default();
    // Without a limit: the clock leaps, and what has timed out is not in flight any more.
    let unlimited = Keys {
        timeout: Some(tidegate_document::Duration::from_secs(0)),
        ..self::keys()
    };
    let life = Life::begin(&disk, unlimited, hang()).await;
    let count = records.len();
    for record in records {
        assert_eq!(life.put(&[record]).await, Outcome::Durable);
    }
    until(|| (life.rig.peer.calls().len() >= count).then_some(())).await;
    Life::begin(&life.kill(), keys, peer).await
}

#[tokio::test(start_paused = true)]
async fn suspect_that_is_damaged_meanwhile_holds_up_no_other() {
    let back = Arc::new(AtomicBool::new(false));
    let life = after_a_death(0..3, soon(), back_when(&back)).await;
    // They are read once to see what they are, and again when their turn comes.
    until(|| (life.rig.account().created == 3).then_some(())).await;
    until(|| (!life.rig.peer.calls().is_empty()).then_some(())).await;
    let first = life.rig.peer.calls()[0][0];
    let disk = life.disk.clone();
    let segments = disk.files().into_iter();
    for (segment, _) in segments.filter(|(path, _)| path.extension().is_some_and(|e| e == "seg")) {
        disk.tamper(&segment, |bytes| {
            let heads: Vec<_> = bytes
                .windows(4)
                .enumerate()
                .filter(|(_, bytes)| *bytes == *b"TdR\x01")
                .map(|(at, _)| at)
                .collect();
            if let Some(next) = heads.get(first as usize + 1) {
                bytes[next + 66] ^= 0x10;
            }
        })
        .unwrap();
    }
    back.store(true, SeqCst);
    let account = life.rig.rest().await;
    assert_eq!((account.consumed, account.dropped["damaged"]), (2, 1));
    assert_eq!(account.created, 3);
}

#[tokio::test(start_paused = true)]
async fn suspect_keeps_its_backoff_where_memory_is_crowded() {
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let peer = Peer::new(move |records, _| match records[0] {
        0 if seen.fetch_add(1, SeqCst) < 1000 => Answer::Busy(None),
        0..100 => Answer::Take,
        _ => Answer::Hang,
    });
    let life = after_a_death(0..1, soon(), peer).await;
    until(|| (calls.load(SeqCst) > 0).then_some(())).await;
    let many: Vec<u32> = (100..1200).collect();
    life.put(&many).await;
    tokio::time::sleep(secs(1)).await;
    let calls = calls.load(SeqCst);
    assert!(calls < 200, "{calls}");
}
