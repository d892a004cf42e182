//! What is lost of a batch that the peer rejects.

use tidegate_pdata::Outcome;

use super::peer::Answer;
use super::*;

fn awaited() -> Keys {
    queue(|queue| queue.wait_for_result = true)
}

/// A peer that rejects every batch with one of these records in it.
fn rejects(bad: &'static [u32]) -> Peer {
    Peer::new(|records, _| {
        if records.iter().any(|record| bad.contains(record)) {
            Answer::Reject { divisible: true }
        } else {
            Answer::Take
        }
    })
}

#[tokio::test(start_paused = true)]
async fn only_the_offending_records_are_lost() {
    const BAD: [u32; 3] = [0, 317, 999];
    let rig = Rig::start(awaited(), rejects(&BAD)).await;
    let pending = rig.put_awaited(&(0..1000).collect::<Vec<_>>());
    let account = rig.rest().await;
    assert_eq!((account.consumed, rig.dropped("permanent")), (997, 3));
    let good: Vec<_> = (0..1000).filter(|record| !BAD.contains(record)).collect();
    assert_eq!(rig.peer.taken(), good);
    assert!(rig.peer.calls().len() <= 65);
    assert!(matches!(pending.now(), Some(Outcome::Rejected(_))));
    assert_eq!(rig.sink.health().error, None);
}

#[tokio::test(start_paused = true)]
async fn isolation_makes_at_most_64_extra_calls_and_accounts_for_the_rest() {
    let peer = Peer::new(|records, _| {
        if records.len() > 1 || records[0] % 2 == 0 {
            Answer::Reject { divisible: true }
        } else {
            Answer::Take
        }
    });
    let rig = Rig::start(awaited(), peer).await;
    rig.put(&(0..1000).collect::<Vec<_>>());
    let account = rig.rest().await;
    assert_eq!(rig.peer.calls().len(), 65);
    assert_eq!(account.consumed + rig.dropped("permanent"), 1000);
}

#[tokio::test(start_paused = true)]
async fn batch_rejected_for_another_reason_than_its_records_is_not_divided() {
    let rig = Rig::start(awaited(), Peer::always(Answer::Reject { divisible: false })).await;
    let pending = rig.put_awaited(&[1, 2]);
    rig.rest().await;
    assert_eq!((rig.peer.calls().len(), rig.dropped("permanent")), (1, 2));
    let outcome = pending.now();
    assert!(matches!(outcome, Some(Outcome::Rejected(why)) if why.contains("cannot read it")));
}

#[tokio::test(start_paused = true)]
async fn peer_that_rejects_everything_is_soon_not_asked_so_often() {
    let rig = Rig::start(awaited(), Peer::always(Answer::Reject { divisible: true })).await;
    let all: Vec<_> = (0..100).collect();
    for _ in 0..6 {
        rig.put(&all);
        rig.rest().await;
    }
    let before = rig.peer.calls().len();
    rig.put(&all);
    rig.rest().await;
    assert_eq!(rig.peer.calls().len() - before, 3);
    assert!(rig.sink.health().error.is_some());
}

#[tokio::test(start_paused = true)]
async fn one_good_part_brings_the_full_number_of_calls_back() {
    let peer = Peer::new(|records, call| {
        if call < 400 || records.contains(&3) {
            Answer::Reject { divisible: true }
        } else {
            Answer::Take
        }
    });
    let rig = Rig::start(awaited(), peer).await;
    let all: Vec<_> = (0..100).collect();
    while rig.peer.calls().len() < 400 {
        rig.put(&all);
        rig.rest().await;
    }
    let lost = rig.dropped("permanent");
    rig.put(&all);
    rig.rest().await;
    assert_eq!(rig.dropped("permanent") - lost, 1);
}

#[tokio::test(start_paused = true)]
async fn parts_wait_when_the_peer_goes_away_meanwhile() {
    let peer = Peer::new(|records, call| match call {
        2..5 => Answer::Away,
        _ if records.contains(&7) => Answer::Reject { divisible: true },
        _ => Answer::Take,
    });
    let rig = Rig::start(awaited(), peer).await;
    rig.put(&(0..8).collect::<Vec<_>>());
    let account = rig.rest().await;
    assert_eq!((account.consumed, rig.dropped("permanent")), (7, 1));
    assert_eq!(rig.peer.taken(), [0, 1, 2, 3, 4, 5, 6]);
}
