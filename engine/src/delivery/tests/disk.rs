//! Queues on disk: what is told durable arrives, whatever becomes of the peer and the process.

mod books;
mod ends;
mod letters;
mod order;
mod random;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use proptest::prelude::*;
use tidegate_component::delivery::{OnOverflow, QueueBatch, Retry};
use tidegate_component::{Promise, StartError, Storage};
use tidegate_journal::disk::memory::{Faults, MemoryDisk};
use tidegate_journal::{Fsync, Journal, Log, Options, Stored};
use tidegate_pdata::Outcome;

use super::peer::Answer;
use super::*;
use crate::sink::Room;

/// A storage on a disk in memory.
struct Shelf {
    journal: Journal,
    promise: Promise,
    max_age: Option<Duration>,
}

impl Storage for Shelf {
    fn promise(&self) -> Promise {
        self.promise
    }

    fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    fn log(&self, name: &str) -> Result<Log, StartError> {
        let log = self.journal.log(name);
        log.map_err(|error| StartError::new("cannot open the log", error))
    }

    fn unclaimed(&self) -> Result<Vec<Stored>, StartError> {
        Ok(self.journal.unclaimed().unwrap())
    }

    fn flush(&self) {
        self.journal.flush();
    }
}

/// One life of a process with a queue on disk.
struct Life {
    rig: Rig,
    shelf: Arc<Shelf>,
    disk: MemoryDisk,
}

impl Life {
    async fn begin(disk: &MemoryDisk, keys: Keys, peer: Peer) -> Self {
        Self::with(disk, keys, peer, (Options::default(), None)).await
    }

    async fn with(
        disk: &MemoryDisk,
        keys: Keys,
        peer: Peer,
        of: (Options, Option<Duration>),
    ) -> Self {
        Self::lettered(disk, keys, peer, of, None).await
    }

    async fn lettered(
        disk: &MemoryDisk,
        keys: Keys,
        peer: Peer,
        (options, max_age): (Options, Option<Duration>),
        letters: Option<&Rig>,
    ) -> Self {
        let promise = match options.fsync {
            Fsync::Interval(_) => Promise::Memory,
            _ => Promise::Durable,
        };
        let on: Arc<dyn tidegate_journal::disk::Disk> = Arc::new(disk.clone());
        // The clock of the test runs ahead while the journal's thread waits.
        let options = Options {
            group_commit: Duration::ZERO,
            ..options
        };
        let journal = Journal::open_on(on, Path::new("/queue"), options).unwrap();
        let shelf = Arc::new(Shelf {
            journal,
            promise,
            max_age,
        });
        let storage: Arc<dyn Storage> = Arc::clone(&shelf) as _;
        let rig = Rig::start_stored(keys, peer, Some(storage), letters).await;
        Self {
            rig,
            shelf,
            disk: disk.clone(),
        }
    }

    /// Puts a batch and waits for the answer to its sender.
    async fn put(&self, records: &[u32]) -> Outcome {
        let pending = self.rig.put_awaited(records);
        until(|| pending.now()).await
    }

    /// Waits until the peer has taken so many records.
    async fn taken(&self, records: usize) {
        let peer = &self.rig.peer;
        until(|| (peer.taken().len() >= records).then_some(())).await;
    }

    async fn drain(&self, time: Duration) {
        self.rig.sink.drain(Instant::now() + time).await;
    }

    /// Ends the process as `kill -9` does, once its marks are written, and gives what it leaves.
    fn kill_marked(self) -> MemoryDisk {
        self.shelf.flush();
        self.kill()
    }

    /// Ends the process as `kill -9` does, and gives what it leaves on disk.
    fn kill(self) -> MemoryDisk {
        let left = self.disk.after_kill();
        self.disk.set_faults(Faults {
            dies_after: Some(0),
            ..Faults::default()
        });
        left
    }
}

/// Looks until there is something; the log works on a thread of its own, whose time does not stop.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for round in 0..200_000 {
        if let Some(found) = look() {
            return found;
        }
        match round {
            0..10_000 => std::thread::yield_now(),
            // On a busy machine the log gets no turn otherwise.
            _ => std::thread::sleep(Duration::from_micros(50)),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it does not come")
}

/// Keys with retries that are soon over, as far as a queue in memory is concerned.
fn soon() -> Keys {
    Keys {
        retry_on_failure: Some(Retry {
            initial_interval: tidegate_document::Duration::from_millis(10),
            max_interval: tidegate_document::Duration::from_millis(50),
            max_elapsed_time: tidegate_document::Duration::from_millis(100),
            ..Retry::default()
        }),
        ..Keys::default()
    }
}

/// Whether a sender was told that its data is on disk, or with the peer already.
fn is_safe(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Durable | Outcome::Delivered)
}

fn take() -> Peer {
    Peer::always(Answer::Take)
}

/// A peer that is away until the flag says that it is back.
fn back_when(back: &Arc<AtomicBool>) -> Peer {
    let back = Arc::clone(back);
    Peer::new(move |_, _| {
        if back.load(SeqCst) {
            Answer::Take
        } else {
            Answer::Away
        }
    })
}

#[tokio::test(start_paused = true)]
async fn sender_is_told_that_it_is_safe_and_nothing_comes_again_once_it_is_delivered() {
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys(), take()).await;
    assert_eq!(life.rig.sink.promise(), Promise::Durable);
    assert!(life.rig.sink.binds());
    assert!(is_safe(&life.put(&[1, 2]).await));
    let account = life.rig.rest().await;
    assert_eq!((account.taken, account.consumed), (2, 2));
    life.drain(secs(5)).await;
    let disk = life.kill_marked();
    let life = Life::begin(&disk, keys(), take()).await;
    assert!(is_safe(&life.put(&[3]).await));
    life.rig.rest().await;
    assert_eq!(life.rig.peer.taken(), [3]);
}

#[tokio::test(start_paused = true)]
async fn storage_that_syncs_now_and_then_promises_memory() {
    let options = Options {
        fsync: Fsync::Interval(secs(1)),
        ..Options::default()
    };
    let disk = MemoryDisk::default();
    let away = Peer::always(Answer::Away);
    let life = Life::with(&disk, keys(), away, (options, None)).await;
    assert_eq!(life.rig.sink.promise(), Promise::Memory);
    assert!(!life.rig.sink.binds());
    assert_eq!(life.put(&[1]).await, Outcome::TakenOver);
}

#[tokio::test(start_paused = true)]
async fn outage_longer_than_the_retries_loses_nothing_and_fills_no_memory() {
    let back = Arc::new(AtomicBool::new(false));
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), back_when(&back)).await;
    for record in 0..400 {
        assert_eq!(life.put(&[record]).await, Outcome::Durable);
    }
    tokio::time::sleep(secs(3600)).await;
    let resident = life.rig.metric("tidegate_exporter_queue_resident_bytes");
    assert!(resident <= 40 << 10, "{resident}");
    assert_eq!(life.rig.account().held, 400);
    back.store(true, SeqCst);
    let account = life.rig.rest().await;
    assert_eq!((account.consumed, account.created), (400, 0));
    assert_eq!(life.rig.peer.taken(), (0..400).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn record_that_cannot_be_read_now_is_read_again_later() {
    let back = Arc::new(AtomicBool::new(false));
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys(), back_when(&back)).await;
    let many: Vec<u32> = (0..1000).collect();
    for _ in 0..10 {
        assert_eq!(life.put(&many).await, Outcome::Durable);
    }
    // Most of them have been tried once, and wait on disk alone for their next attempt.
    tokio::time::sleep(secs(1)).await;
    disk.set_faults(Faults {
        reads_fail: true,
        ..Faults::default()
    });
    back.store(true, SeqCst);
    tokio::time::sleep(secs(60)).await;
    assert!(life.rig.account().held > 0);
    disk.set_faults(Faults::default());
    assert_eq!(life.rig.rest().await.consumed, 10_000);
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_never_takes_holds_up_nothing_else() {
    let peer = Peer::new(|records, _| match records[0] % 4 {
        0 => Answer::Busy(None),
        _ => Answer::Take,
    });
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), peer).await;
    for record in 0..400 {
        life.put(&[record]).await;
    }
    life.taken(300).await;
    assert_eq!(life.rig.account().held, 100);
}

#[tokio::test(start_paused = true)]
async fn killed_process_leaves_what_it_told_durable_to_the_next() {
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), Peer::always(Answer::Away)).await;
    for record in 0..100 {
        assert_eq!(life.put(&[record, record + 1000]).await, Outcome::Durable);
    }
    let disk = life.kill();
    let life = Life::begin(&disk, soon(), take()).await;
    // New data does not wait for the old.
    assert!(is_safe(&life.put(&[5000]).await));
    life.taken(201).await;
    let account = life.rig.rest().await;
    let sums = (account.taken, account.created, account.consumed);
    assert_eq!(sums, (1, 200, 201));
}

#[tokio::test(start_paused = true)]
async fn drain_stops_where_the_peer_fails_and_the_rest_stays_on_disk() {
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), Peer::always(Answer::Away)).await;
    for record in 0..10 {
        life.put(&[record]).await;
    }
    let began = Instant::now();
    life.drain(secs(60)).await;
    assert!(began.elapsed() < secs(5), "{:?}", began.elapsed());
    let account = life.rig.account();
    assert_eq!((account.held, account.dropped.len()), (10, 0));
    let life = Life::begin(&life.kill(), keys(), take()).await;
    life.taken(10).await;
    life.drain(secs(60)).await;
    assert_eq!(life.rig.account().held, 0);
}

#[tokio::test(start_paused = true)]
async fn drain_empties_the_disk_while_the_peer_takes_it() {
    let keys = queue(|queue| queue.num_consumers = 1);
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys, take().slow(Duration::from_millis(10))).await;
    for record in 0..100 {
        life.put(&[record]).await;
    }
    life.drain(secs(3600)).await;
    assert_eq!(life.rig.account().consumed, 100);
}

#[tokio::test(start_paused = true)]
async fn bad_records_are_dropped_for_good_and_their_record_with_them() {
    let peer = Peer::new(|records, _| match records.contains(&3) {
        true => Answer::Reject { divisible: true },
        false => Answer::Take,
    });
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), peer).await;
    life.put(&[1, 2, 3, 4, 5]).await;
    let account = life.rig.rest().await;
    assert_eq!((account.consumed, account.dropped["permanent"]), (4, 1));
    let life = Life::begin(&life.kill_marked(), keys(), take()).await;
    life.put(&[9]).await;
    life.rig.rest().await;
    assert_eq!(life.rig.peer.taken(), [9]);
}

#[tokio::test(start_paused = true)]
async fn record_of_which_a_part_could_not_be_delivered_comes_again_as_a_whole() {
    let back = Arc::new(AtomicBool::new(false));
    let is_back = Arc::clone(&back);
    // The second half finds nobody there.
    let peer = Peer::new(move |records, _| match records {
        _ if is_back.load(SeqCst) => Answer::Take,
        [1, 2, 3, 4] => Answer::Reject { divisible: true },
        [1, 2] => Answer::Take,
        _ => Answer::Away,
    });
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), peer).await;
    life.put(&[1, 2, 3, 4]).await;
    life.taken(2).await;
    life.drain(secs(5)).await;
    assert_eq!(life.rig.account().held, 4);
    let life = Life::begin(&life.kill(), keys(), take()).await;
    life.taken(4).await;
    assert_eq!(life.rig.peer.taken(), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn sender_that_waits_for_the_result_is_told_delivered() {
    let keys = queue(|queue| queue.wait_for_result = true);
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys, take()).await;
    assert_eq!(life.rig.sink.promise(), Promise::Delivered);
    assert_eq!(life.put(&[1]).await, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_to_a_sender_that_waits_is_not_delivered_as_well() {
    let mut keys = soon();
    keys.sending_queue = queue(|queue| queue.wait_for_result = true).sending_queue;
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys, Peer::always(Answer::Away)).await;
    let pending = life.rig.put_awaited(&[1]);
    tokio::time::sleep(secs(8)).await;
    assert_eq!(pending.now(), None);
    pending.expire();
    let outcome = until(|| pending.now()).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    life.rig.put_awaited(&[2]);
    life.shelf.flush();
    life.drain(secs(5)).await;
    let account = life.rig.account();
    assert_eq!(
        (account.dropped["expired"], account.dropped["shutdown"]),
        (1, 1)
    );
    let life = Life::begin(&life.kill_marked(), self::keys(), take()).await;
    life.put(&[3]).await;
    life.rig.rest().await;
    assert_eq!(life.rig.peer.taken(), [3]);
}

#[tokio::test(start_paused = true)]
async fn full_disk_shuts_the_door_and_refuses_while_deliveries_go_on() {
    let back = Arc::new(AtomicBool::new(false));
    let disk = MemoryDisk::default();
    let options = Options {
        max_size: Some(512 << 10),
        ..Options::default()
    };
    let life = Life::with(&disk, soon(), back_when(&back), (options, None)).await;
    let many: Vec<u32> = (0..4000).collect();
    let mut durable = 0;
    let refused = loop {
        match life.put(&many).await {
            Outcome::Durable => durable += 1,
            outcome => break outcome,
        }
    };
    assert!(matches!(&refused, Outcome::Refused(_)), "{refused:?}");
    assert!(matches!(life.rig.sink.room(), Room::Refused(_)));
    assert_eq!(life.rig.dropped("queue_full"), 4000);
    back.store(true, SeqCst);
    life.taken(durable * 4000).await;
    life.rig.rest().await;
    until(|| (life.rig.sink.room() == Room::Free).then_some(())).await;
    assert!(is_safe(&life.put(&[1]).await));
}

#[tokio::test(start_paused = true)]
async fn failed_sync_refuses_and_is_not_pretended_away() {
    let back = Arc::new(AtomicBool::new(true));
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys(), back_when(&back)).await;
    assert!(is_safe(&life.put(&[1]).await));
    disk.set_faults(Faults {
        syncs_fail: true,
        ..Faults::default()
    });
    back.store(false, SeqCst);
    // The backoff before its second attempt is much longer than the answer takes.
    let outcome = life.put(&[2]).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(life.rig.dropped("storage_failed"), 1);
    disk.set_faults(Faults::default());
    back.store(true, SeqCst);
    assert!(is_safe(&life.put(&[3]).await));
    life.rig.rest().await;
    assert_eq!(life.rig.peer.taken(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn disk_that_fails_refuses_nothing_that_is_delivered_meanwhile() {
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys(), take().slow(Duration::from_millis(50))).await;
    disk.set_faults(Faults {
        syncs_fail: true,
        ..Faults::default()
    });
    assert_eq!(life.put(&[1]).await, Outcome::Delivered);
    let account = life.rig.rest().await;
    assert_eq!((account.consumed, account.dropped.len()), (1, 0));
    let life = Life::begin(&life.kill_marked(), keys(), take()).await;
    life.put(&[2]).await;
    life.rig.rest().await;
    assert_eq!(life.rig.peer.taken(), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_dropped_and_counted_while_the_peer_is_away() {
    let disk = MemoryDisk::default();
    let age = Duration::from_millis(1);
    let peer = Peer::always(Answer::Away);
    let life = Life::with(&disk, soon(), peer, (Options::default(), Some(age))).await;
    for record in 0..200 {
        life.put(&[record]).await;
    }
    let account = life.rig.rest().await;
    assert_eq!(account.dropped["max_age"], 200);
}

#[tokio::test(start_paused = true)]
async fn oldest_make_room_for_new_ones_where_that_is_wanted() {
    let mut keys = soon();
    keys.sending_queue = queue(|queue| {
        queue.on_overflow = Some(OnOverflow::DropOldest);
        queue.queue_size = Some(100);
    })
    .sending_queue;
    let back = Arc::new(AtomicBool::new(false));
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys, back_when(&back)).await;
    for record in 0..300 {
        assert_eq!(life.put(&[record]).await, Outcome::Durable);
    }
    until(|| (life.rig.account().held <= 100).then_some(())).await;
    back.store(true, SeqCst);
    let account = life.rig.rest().await;
    assert_eq!(account.consumed + account.dropped["queue_full"], 300);
    assert!(account.consumed >= 90, "{account:?}");
    assert!(life.rig.peer.taken().contains(&299));
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_one_record() {
    let keys = queue(|queue| {
        queue.batch = Some(QueueBatch {
            min_size: 3,
            flush_timeout: tidegate_document::Duration::from_secs(3600),
            ..QueueBatch::default()
        });
    });
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, keys, take()).await;
    let pending: Vec<_> = (0..3).map(|r| life.rig.put_awaited(&[r])).collect();
    for pending in pending {
        assert!(is_safe(&until(|| pending.now()).await));
    }
    life.rig.rest().await;
    assert_eq!(life.rig.peer.calls(), [[0, 1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn damaged_record_is_counted_and_the_others_arrive() {
    let disk = MemoryDisk::default();
    let life = Life::begin(&disk, soon(), Peer::always(Answer::Away)).await;
    for record in 0..20 {
        life.put(&[record, 777]).await;
    }
    let disk = life.kill();
    let (segment, _) = disk
        .files()
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|e| e == "seg"))
        .unwrap();
    disk.tamper(&segment, |bytes| {
        let heads = bytes.windows(4).enumerate();
        let mut heads = heads.filter(|(_, bytes)| *bytes == *b"TdR\x01");
        let (fourth, _) = heads.nth(3).unwrap();
        bytes[fourth + 70] ^= 0x10;
    })
    .unwrap();
    let life = Life::begin(&disk, keys(), take()).await;
    let account = until(|| {
        let account = life.rig.account();
        (account.consumed >= 38 && account.dropped.contains_key("damaged")).then_some(account)
    })
    .await;
    assert_eq!((account.consumed, account.dropped["damaged"]), (38, 2));
}

#[derive(Clone, Debug)]
struct Past {
    /// For each life: batches, what the peer answers over and over, and whether it ends by a kill.
    lives: Vec<(u8, Vec<Answer>, bool)>,
}

fn past() -> impl Strategy<Value = Past> {
    let answer = prop_oneof![
        6 => Just(Answer::Take),
        2 => Just(Answer::Away),
        1 => Just(Answer::Busy(None)),
    ];
    let life = (1_u8..60, prop::collection::vec(answer, 1..6), any::<bool>());
    prop::collection::vec(life, 1..4).prop_map(|lives| Past { lives })
}

async fn relive(past: Past) {
    let mut disk = MemoryDisk::default();
    let (mut durable, mut next) = (BTreeSet::new(), 0);
    let arrived = Arc::new(Mutex::new(BTreeSet::new()));
    for (batches, answers, killed) in past.lives {
        let seen = Arc::clone(&arrived);
        let peer = Peer::new(move |records, call| {
            let answer = answers[call % answers.len()].clone();
            if matches!(answer, Answer::Take) {
                seen.lock().unwrap().extend(records.iter().copied());
            }
            answer
        });
        let life = Life::begin(&disk, soon(), peer).await;
        for _ in 0..batches {
            if is_safe(&life.put(&[next, next + 1]).await) {
                durable.extend([next, next + 1]);
            }
            next += 2;
        }
        if !killed {
            life.drain(secs(10)).await;
            life.rig.account();
        }
        disk = life.kill();
    }
    let life = Life::begin(&disk, keys(), take()).await;
    let all = |arrived: &BTreeSet<u32>| durable.is_subset(arrived);
    until(|| {
        let mut arrived = arrived.lock().unwrap();
        arrived.extend(life.rig.peer.taken());
        all(&arrived).then_some(())
    })
    .await;
    assert!(arrived.lock().unwrap().iter().all(|record| *record < next));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn nothing_told_durable_is_lost_over_lives(past in past()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(relive(past));
    }
}
