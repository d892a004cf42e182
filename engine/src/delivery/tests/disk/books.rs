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
    // Slow, so that the first is on its way while the next is damaged.
    let life = after_a_death(0..3, soon(), take().slow(secs(3))).await;
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

#[tokio::test(start_paused = true)]
async fn suspect_is_tried_while_nothing_else_is_in_flight() {
    const SLOW: u128 = 50;
    let slow = Duration::from_millis(SLOW as u64);
    let life = after_a_death(0..4, keys(), take().slow(slow)).await;
    for record in 100..130 {
        life.rig.put(&[record]);
    }
    life.taken(34).await;
    let (calls, times) = (life.rig.peer.calls(), life.rig.peer.times());
    let calls: Vec<_> = calls.iter().zip(times).collect();
    assert!(life.rig.peer.most_active() > 1);
    for (suspect, at) in calls.iter().filter(|(records, _)| records[0] < 4) {
        let beside = |other: &u128| other.abs_diff(*at) < SLOW;
        let beside = calls.iter().filter(|(_, other)| beside(other));
        assert_eq!(beside.count(), 1, "{suspect:?} in {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn kills_in_a_row_condemn_no_record_that_an_attempt_is_outlived_with() {
    let mut disk = MemoryDisk::default();
    let unlimited = || Keys {
        timeout: Some(tidegate_document::Duration::from_secs(0)),
        ..keys()
    };
    let life = Life::begin(&disk, unlimited(), hang()).await;
    for record in 0..3 {
        life.put(&[record]).await;
    }
    until(|| (life.rig.peer.calls().len() == 3).then_some(())).await;
    disk = life.kill();
    for _ in 0..12 {
        // Each is tried alone and told to come again, then all of them are in flight at the kill.
        let peer = Peer::new(|_, call| match call {
            0..3 => Answer::Busy(Some(Duration::from_millis(1))),
            _ => Answer::Hang,
        });
        let life = Life::begin(&disk, unlimited(), peer).await;
        until(|| (life.rig.peer.calls().len() == 6).then_some(())).await;
        disk = life.kill();
    }
    let life = Life::begin(&disk, keys(), take()).await;
    life.taken(3).await;
    let account = life.rig.rest().await;
    assert_eq!((account.consumed, account.dropped.len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn record_that_kills_ends_in_quarantine_and_the_others_arrive() {
    let mut disk = MemoryDisk::default();
    let unlimited = || Keys {
        timeout: Some(tidegate_document::Duration::from_secs(0)),
        ..keys()
    };
    // The process dies as soon as record 1 is on its way.
    let deadly = || {
        Peer::new(|records, _| match records {
            [1] => Answer::Hang,
            _ => Answer::Take,
        })
    };
    let life = Life::begin(&disk, unlimited(), deadly()).await;
    for record in 0..3 {
        life.put(&[record]).await;
    }
    let called = |life: &Life| life.rig.peer.calls().contains(&vec![1]);
    let mut deaths = 0;
    let mut life = life;
    loop {
        let rest = until(|| match called(&life) {
            true => Some(false),
            false => (life.rig.account().dropped.contains_key("damaged")).then_some(true),
        });
        if rest.await {
            break;
        }
        deaths += 1;
        disk = life.kill_marked();
        life = Life::begin(&disk, unlimited(), deadly()).await;
    }
    assert_eq!(deaths, 3);
    let account = life.rig.rest().await;
    assert_eq!(account.dropped["damaged"], 1);
}
