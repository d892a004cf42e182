//! Order through a queue on disk, and through a death.

use super::*;

/// A peer in order, that is away until the flag says that it is back.
fn in_order(back: &Arc<AtomicBool>) -> Peer {
    back_when(back).in_order()
}

#[tokio::test(start_paused = true)]
async fn what_piled_up_on_disk_goes_before_what_is_new() {
    let back = Arc::new(AtomicBool::new(false));
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), in_order(&back)).await;
    for record in 0..200 {
        life.put(&[record]).await;
    }
    back.store(true, SeqCst);
    for record in 200..300 {
        life.put(&[record]).await;
    }
    life.taken(300).await;
    let taken = life.rig.peer.taken_in_order();
    assert_eq!(taken, (0..300).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_a_former_life_left_goes_before_what_is_new() {
    let away = Arc::new(AtomicBool::new(false));
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), in_order(&away)).await;
    for record in 0..100 {
        life.put(&[record]).await;
    }
    let back = Arc::new(AtomicBool::new(true));
    let life = Life::begin(&life.kill(), soon(), in_order(&back)).await;
    for record in 100..150 {
        life.put(&[record]).await;
    }
    life.taken(150).await;
    let taken = life.rig.peer.taken_in_order();
    // One was in the air when the process died, so that it might be what it died of: it comes last.
    let suspect = taken.iter().position(|record| *record == 0);
    let others: Vec<u32> = taken.iter().copied().filter(|one| *one != 0).collect();
    assert!(suspect.is_some(), "{taken:?}");
    assert_eq!(others, (1..150).collect::<Vec<_>>());
}
