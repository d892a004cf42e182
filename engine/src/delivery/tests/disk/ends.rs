//! How a queue on disk ends: at a shutdown, and where the disk is full.

use super::*;

#[tokio::test(start_paused = true)]
async fn drain_delivers_although_something_failed_long_ago() {
    let peer = Peer::new(|records, _| match records {
        [7] => Answer::Reject { divisible: false },
        _ => Answer::Take,
    });
    let keys = queue(|queue| queue.num_consumers = 1);
    let disk = MemoryDisk::default();
    let peer = peer.slow(Duration::from_millis(10));
    let life = Life::begin(&disk, keys, peer).await;
    life.put(&[7]).await;
    life.rig.rest().await;
    tokio::time::sleep(secs(3600)).await;
    for record in 10..30 {
        life.put(&[record]).await;
    }
    life.drain(secs(3600)).await;
    assert_eq!(life.rig.account().consumed, 20);
}

#[tokio::test(start_paused = true)]
async fn drain_reads_what_former_lives_left_to_its_end() {
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), Peer::always(Answer::Away)).await;
    for record in 0..100 {
        life.put(&[record]).await;
    }
    let life = Life::begin(&life.kill(), soon(), take()).await;
    life.drain(secs(3600)).await;
    let account = life.rig.account();
    assert_eq!((account.created, account.consumed), (100, 100));
}

#[tokio::test(start_paused = true)]
async fn what_was_still_being_collected_at_the_end_goes_to_disk() {
    let mut keys = soon();
    keys.sending_queue = queue(|queue| {
        queue.batch = Some(QueueBatch {
            min_size: 100,
            flush_timeout: tidegate_document::Duration::from_secs(3600),
            ..QueueBatch::default()
        });
    })
    .sending_queue;
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys, Peer::always(Answer::Away)).await;
    life.put(&[1]).await;
    until(|| life.rig.sink.health().error).await;
    let pending = life.rig.put_awaited(&[2]);
    life.rig.put(&[3]);
    life.drain(secs(60)).await;
    assert_eq!(until(|| pending.now()).await, Outcome::Durable);
    life.shelf.flush();
    let account = life.rig.account();
    assert_eq!((account.held, account.dropped.len()), (3, 0));
    let life = Life::begin(&life.kill(), self::keys(), take()).await;
    life.taken(3).await;
}

#[tokio::test(start_paused = true)]
async fn full_disk_drops_no_more_of_the_oldest_than_makes_room() {
    let mut keys = soon();
    keys.sending_queue =
        queue(|queue| queue.on_overflow = Some(OnOverflow::DropOldest)).sending_queue;
    let disk = MemoryDisk::default();
    let options = Options {
        max_size: Some(512 << 10),
        ..Options::default()
    };
    let back = Arc::new(AtomicBool::new(false));
    let life = Life::with(&disk, keys, back_when(&back), (options, None)).await;
    let many: Vec<u32> = (0..500).collect();
    let mut durable = 0;
    while life.put(&many).await == Outcome::Durable {
        durable += 1;
    }
    until(|| (life.rig.dropped("queue_full") > 500).then_some(())).await;
    // More than the time for which a full disk is not asked again.
    std::thread::sleep(Duration::from_millis(400));
    tokio::time::sleep(secs(10)).await;
    let dropped = life.rig.dropped("queue_full") / 500;
    assert!(dropped * 2 < durable, "{dropped} of {durable}");
    assert_eq!(life.put(&many).await, Outcome::Durable);
    back.store(true, SeqCst);
    life.rig.rest().await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_the_shutdown_stays_on_disk_though_nothing_is_retried() {
    let mut keys = soon();
    keys.retry_on_failure = Some(Retry {
        enabled: Some(false),
        ..Retry::default()
    });
    keys.timeout = Some(tidegate_document::Duration::from_secs(0));
    let disk = MemoryDisk::default();
    // All of it is under way or waits when the shutdown begins.
    let slow = Peer::always(Answer::Away).slow(secs(600));
    let life = Life::begin(&disk, keys.clone(), slow).await;
    for record in 0..20 {
        life.put(&[record]).await;
    }
    life.drain(secs(3600)).await;
    let account = life.rig.account();
    assert_eq!((account.held, account.dropped.len()), (20, 0));
    let life = Life::begin(&life.kill(), keys, take()).await;
    life.taken(20).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_exporter_reads_of_a_context_outlives_the_process() {
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), Peer::always(Answer::Away)).await;
    life.rig.put_from(&[1], "tenant", "acme");
    life.rig.put_from(&[2], "other", "acme");
    // An answer to the last one says that all are on disk.
    life.put(&[3]).await;
    let life = Life::begin(&life.kill(), keys(), take()).await;
    life.taken(3).await;
    let mut tenants = life.rig.peer.tenants();
    tenants.sort();
    assert_eq!(tenants, [None, None, Some("acme".to_owned())]);
}
