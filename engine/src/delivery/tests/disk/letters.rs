//! Dead letters of a queue on disk: their record stays until somebody else has them.

use super::super::letters::picky;
use super::*;

async fn life(disk: &MemoryDisk, keeper: &Rig) -> Life {
    Life::lettered(
        disk,
        soon(),
        picky(),
        (Options::default(), None),
        Some(keeper),
    )
    .await
}

/// A keeper without a queue.
async fn keeper(peer: Peer) -> Rig {
    let mut keys = soon();
    keys.sending_queue = queue(|queue| queue.enabled = Some(false)).sending_queue;
    Rig::start(keys, peer).await
}

#[tokio::test(start_paused = true)]
async fn record_is_marked_when_the_other_exporter_has_taken_over_and_not_before() {
    let hanging = keeper(Peer::always(Answer::Hang)).await;
    let disk = MemoryDisk::default();
    let life = self::life(&disk, &hanging).await;
    assert_eq!(life.put(&[0, 1]).await, Outcome::Durable);
    until(|| (hanging.peer.calls() == [[0]]).then_some(())).await;
    assert_eq!(life.rig.account().held, 1);
    let disk = life.kill_marked();

    let taking = keeper(take()).await;
    let life = self::life(&disk, &taking).await;
    until(|| (taking.peer.taken() == [0]).then_some(())).await;
    let account = life.rig.rest().await;
    assert_eq!((account.created, account.consumed), (2, 1));
    assert_eq!(account.dead_letters["permanent"], 1);
    assert_eq!(taking.peer.taken(), [0]);
    let disk = life.kill_marked();

    let idle = keeper(take()).await;
    let life = self::life(&disk, &idle).await;
    life.put(&[5]).await;
    life.rig.rest().await;
    assert_eq!(life.rig.peer.taken(), [5]);
    assert!(idle.peer.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn letter_that_is_not_taken_before_the_end_stays_on_disk() {
    let away = keeper(Peer::always(Answer::Away)).await;
    let disk = MemoryDisk::default();
    let life = self::life(&disk, &away).await;
    let _pending = life.rig.put_awaited(&[0, 1]);
    until(|| (!away.peer.calls().is_empty()).then_some(())).await;
    life.drain(Duration::from_millis(20)).await;
    away.sink.drain(Instant::now()).await;
    let account = life.rig.account();
    assert_eq!((account.held, account.dropped.len()), (2, 0));

    let taking = keeper(take()).await;
    let life = self::life(&life.kill_marked(), &taking).await;
    until(|| (taking.peer.taken() == [0]).then_some(())).await;
    let account = life.rig.rest().await;
    assert_eq!(account.dead_letters["permanent"], 1);
    assert_eq!(taking.peer.taken(), [0]);
}

#[tokio::test(start_paused = true)]
async fn letter_that_is_refused_is_lost_and_does_not_come_again() {
    let refusing = keeper(Peer::always(Answer::Reject { divisible: true })).await;
    let disk = MemoryDisk::default();
    let life = self::life(&disk, &refusing).await;
    life.put(&[0]).await;
    let account = life.rig.rest().await;
    assert_eq!((account.lost["permanent"], account.held), (1, 0));
    let life = self::life(&life.kill_marked(), &refusing).await;
    life.put(&[5]).await;
    life.rig.rest().await;
    assert_eq!(refusing.peer.calls().len(), 1);
}
