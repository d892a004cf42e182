//! What becomes of data that is given up where another exporter keeps it.

use tidegate_component::delivery::Retry;
use tidegate_pdata::Outcome;

use super::peer::Answer;
use super::*;

const BAD: [u32; 3] = [0, 317, 999];

fn awaited() -> Keys {
    queue(|queue| queue.wait_for_result = true)
}

/// As a `file`: no queue, so that whoever puts hears of the delivery.
fn unqueued() -> Keys {
    queue(|queue| queue.enabled = Some(false))
}

/// A peer that rejects every batch with a bad record in it.
pub(super) fn picky() -> Peer {
    Peer::new(
        |records, _| match records.iter().any(|record| BAD.contains(record)) {
            true => Answer::Reject { divisible: true },
            false => Answer::Take,
        },
    )
}

async fn keeper(keys: Keys) -> Rig {
    Rig::start(keys, Peer::always(Answer::Take)).await
}

fn letters(rig: &Rig, reason: &str) -> u64 {
    let letters = rig.account().dead_letters;
    letters.get(reason).copied().unwrap_or(0)
}

fn lost(rig: &Rig) -> u64 {
    rig.account().lost.values().sum()
}

#[tokio::test(start_paused = true)]
async fn only_the_offending_records_go_to_the_other_exporter_and_nothing_is_lost() {
    let keeper = keeper(unqueued()).await;
    let rig = Rig::start_lettered(awaited(), picky(), &keeper).await;
    let pending = rig.put_awaited(&(0..1000).collect::<Vec<_>>());
    let account = rig.rest().await;
    keeper.rest().await;
    assert_eq!((account.consumed, letters(&rig, "permanent")), (997, 3));
    assert_eq!(keeper.peer.taken(), BAD);
    // Somebody answers for all of it.
    assert_eq!(pending.now(), Some(Outcome::Delivered));
    assert_eq!(account.dropped.len() + account.lost.len(), 0);
    assert_eq!(rig.metric("tidegate_lost_items"), 0);
    assert_eq!(rig.metric("tidegate_dead_letter_items"), 3);
    assert_eq!(rig.metric("otelcol_exporter_send_failed_log_records"), 3);
    assert_eq!(rig.metric("otelcol_exporter_sent_log_records"), 997);
}

#[tokio::test(start_paused = true)]
async fn queue_of_the_other_exporter_takes_over() {
    let keeper = keeper(keys()).await;
    let rig = Rig::start_lettered(awaited(), picky(), &keeper).await;
    let pending = rig.put_awaited(&[0]);
    rig.rest().await;
    assert_eq!(pending.now(), Some(Outcome::TakenOver));
    keeper.rest().await;
    assert_eq!(keeper.peer.taken(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_retries_end_without_a_delivery_is_kept_unless_its_sender_can_send_it_again() {
    let keeper = keeper(unqueued()).await;
    let retry = |enabled| {
        Some(Retry {
            enabled: Some(enabled),
            ..Retry::default()
        })
    };
    let away = || Peer::always(Answer::Away);
    for (enabled, reason) in [(true, "retry_exhausted"), (false, "retry_off")] {
        let mut keys = keys();
        keys.retry_on_failure = retry(enabled);
        let rig = Rig::start_lettered(keys.clone(), away(), &keeper).await;
        rig.put(&[7, 8]);
        let account = rig.rest().await;
        assert_eq!((letters(&rig, reason), account.dropped.len()), (2, 0));
        keys.sending_queue = awaited().sending_queue;
        let rig = Rig::start_lettered(keys, away(), &keeper).await;
        let pending = rig.put_awaited(&[9]);
        rig.rest().await;
        assert!(matches!(pending.now(), Some(Outcome::Refused(_))));
        assert_eq!((rig.dropped(reason), lost(&rig)), (1, 0));
    }
    keeper.rest().await;
    assert_eq!(keeper.peer.taken(), [7, 7, 8, 8]);
}

#[tokio::test(start_paused = true)]
async fn batch_over_which_the_exporter_panics_is_kept() {
    let keeper = keeper(unqueued()).await;
    let rig = Rig::start_lettered(keys(), Peer::always(Answer::Panic), &keeper).await;
    rig.put(&[1, 2]);
    rig.rest().await;
    assert_eq!((letters(&rig, "panic"), lost(&rig)), (2, 0));
    assert_eq!(keeper.peer.taken(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_the_other_exporter_rejects_as_well_is_lost_once_for_its_reason() {
    let keeper = Rig::start(unqueued(), Peer::always(Answer::Reject { divisible: true })).await;
    let rig = Rig::start_lettered(keys(), picky(), &keeper).await;
    rig.put(&[0, 1]);
    let account = rig.rest().await;
    assert_eq!((account.consumed, rig.dropped("permanent")), (1, 1));
    assert_eq!((lost(&rig), letters(&rig, "permanent")), (1, 0));
    assert_eq!(rig.metric("tidegate_dead_letter_items"), 0);
    // It is tried once, and who gave it away has counted it.
    assert_eq!(keeper.peer.calls(), [[0]]);
    assert_eq!((keeper.dropped("permanent"), lost(&keeper)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn full_queue_of_the_other_exporter_is_not_overfilled() {
    let narrow = queue(|queue| {
        queue.queue_size = Some(2);
        queue.num_consumers = 1;
    });
    let keeper = Rig::start(narrow, Peer::always(Answer::Hang)).await;
    let rig = Rig::start_lettered(keys(), picky(), &keeper).await;
    for _ in 0..5 {
        rig.put(&[0]);
    }
    rig.rest().await;
    assert_eq!((letters(&rig, "permanent"), lost(&rig)), (2, 3));
    assert_eq!(keeper.account().held, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_took_but_for_some_items_is_not_kept_as_nobody_knows_which() {
    let keeper = keeper(unqueued()).await;
    let rig = Rig::start_lettered(keys(), Peer::always(Answer::TakeBut(2)), &keeper).await;
    rig.put(&[1, 2, 3]);
    let account = rig.rest().await;
    assert_eq!((account.consumed, rig.dropped("rejected_by_peer")), (1, 2));
    assert!(account.dead_letters.is_empty());
    assert!(keeper.peer.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn letter_on_its_way_at_the_end_is_counted_by_who_gave_it_up() {
    let keeper = Rig::start(unqueued(), Peer::always(Answer::Away)).await;
    let rig = Rig::start_lettered(keys(), picky(), &keeper).await;
    rig.put(&[0]);
    tokio::time::sleep(secs(1)).await;
    assert_eq!(rig.account().held, 1);
    rig.sink.drain(Instant::now() + secs(2)).await;
    keeper.sink.drain(Instant::now() + secs(2)).await;
    assert_eq!((rig.account().held, rig.dropped("permanent")), (0, 1));
    assert_eq!((keeper.account().held, lost(&keeper)), (0, 0));
}
