//! Random lives of a queue on disk, with a peer and a disk that do what they like.

use std::sync::atomic::AtomicU64;

use super::*;

/// The most that may be in memory: what is read at a time comes on top of what is there.
const MOST_RESIDENT: i64 = (32 + 24 + 256) << 10;

#[derive(Clone, Debug)]
enum Step {
    /// Puts so many records as one request and waits for the answer.
    Put(u8),
    /// Lets so many milliseconds pass.
    Pass(u16),
    /// Syncs fail from here on, or do not.
    Syncs(bool),
    /// The disk has room for so many bytes more, or for all there is.
    Room(Option<u16>),
}

/// One life of a process.
#[derive(Clone, Debug)]
struct Era {
    answers: Vec<Answer>,
    steps: Vec<Step>,
    overflow: Option<OnOverflow>,
    queue_size: Option<usize>,
    /// The size of batches that requests are merged and cut into.
    batch: Option<usize>,
    max_age: Option<Duration>,
    /// How long it may drain at its end; none is killed.
    drain: Option<u64>,
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        8 => Just(Answer::Take),
        4 => Just(Answer::Away),
        2 => Just(Answer::Busy(None)),
        1 => Just(Answer::Reject { divisible: true }),
        1 => Just(Answer::TakeBut(1)),
        1 => Just(Answer::Panic),
        1 => Just(Answer::Hang),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (1_u8..40).prop_map(Step::Put),
        4 => (0_u16..3000).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Syncs),
        1 => prop::option::of(any::<u16>()).prop_map(Step::Room),
    ]
}

fn era() -> impl Strategy<Value = Era> {
    let overflow = prop_oneof![
        2 => Just(None),
        1 => Just(Some(OnOverflow::DropOldest)),
        1 => Just(Some(OnOverflow::DropNew)),
    ];
    (
        prop::collection::vec(answer(), 1..6),
        prop::collection::vec(step(), 1..60),
        overflow,
        prop::option::of(1_usize..40),
        prop::option::of(1_usize..30),
        prop::option::weighted(0.2, (1_u64..5000).prop_map(Duration::from_millis)),
        prop::option::of(0_u64..20),
    )
        .prop_map(
            |(answers, steps, overflow, queue_size, batch, max_age, drain)| Era {
                answers,
                steps,
                overflow,
                queue_size,
                batch,
                max_age,
                drain,
            },
        )
}

/// What is known over all lives.
#[derive(Default)]
struct World {
    next: u32,
    durable: BTreeSet<u32>,
    arrived: Arc<Mutex<BTreeSet<u32>>>,
    /// Items that the ledger has as lost.
    lost: u64,
    /// Those of them of which nothing durable was promised.
    unpromised: u64,
}

impl World {
    fn missing(&self) -> usize {
        let arrived = self.arrived.lock().unwrap();
        self.durable.difference(&arrived).count()
    }

    /// A peer that answers these over and over while the process lives.
    fn peer(&self, answers: Vec<Answer>, lives: &Arc<AtomicBool>) -> Peer {
        let (arrived, lives) = (Arc::clone(&self.arrived), Arc::clone(lives));
        Peer::new(move |records, call| {
            if !lives.load(SeqCst) {
                return Answer::Hang;
            }
            let answer = answers[call % answers.len()].clone();
            if matches!(answer, Answer::Take | Answer::TakeBut(_)) {
                arrived.lock().unwrap().extend(records.iter().copied());
            }
            answer
        })
    }

    async fn live(&mut self, disk: &MemoryDisk, era: Era) -> MemoryDisk {
        let mut keys = soon();
        keys.sending_queue = queue(|queue| {
            queue.on_overflow = era.overflow;
            queue.queue_size = era.queue_size;
            queue.batch = era.batch.map(|size| QueueBatch {
                min_size: size,
                max_size: size,
                sizer: Some(tidegate_component::delivery::Sizer::Items),
                ..QueueBatch::default()
            });
        })
        .sending_queue;
        let options = Options {
            segment_size: 64 << 10,
            ..Options::default()
        };
        let lives = Arc::new(AtomicBool::new(true));
        let peer = self.peer(era.answers, &lives);
        let life = Life::with(disk, keys, peer, (options, era.max_age)).await;
        let mut faults = Faults::default();
        for step in era.steps {
            match step {
                Step::Put(records) => self.put(&life, records).await,
                Step::Pass(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis.into())).await;
                }
                Step::Syncs(fail) => faults.syncs_fail = fail,
                Step::Room(room) => {
                    let used: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
                    faults.capacity = room.map(|room| used + u64::from(room));
                }
            }
            disk.set_faults(faults);
            let resident = life.rig.metric("tidegate_exporter_queue_resident_bytes");
            assert!((0..=MOST_RESIDENT).contains(&resident), "{resident}");
        }
        if let Some(seconds) = era.drain {
            life.drain(secs(seconds)).await;
        }
        // A process that is killed later than its last word is killed with its marks written.
        life.shelf.flush();
        self.lost += life.rig.account().lost.values().sum::<u64>();
        lives.store(false, SeqCst);
        life.kill()
    }

    async fn put(&mut self, life: &Life, records: u8) {
        let records: Vec<u32> = (self.next..).take(records.into()).collect();
        self.next += records.len() as u32;
        match life.put(&records).await {
            Outcome::Durable => self.durable.extend(records),
            Outcome::Delivered => {
                let arrived = self.arrived.lock().unwrap();
                assert!(records.iter().all(|record| arrived.contains(record)));
            }
            Outcome::TakenOver => self.unpromised += records.len() as u64,
            Outcome::Refused(_) => {}
            outcome => panic!("{outcome:?}"),
        }
    }
}

async fn live(eras: Vec<Era>) {
    let mut world = World::default();
    let mut disk = MemoryDisk::default();
    for era in eras {
        let left = world.live(&disk, era).await;
        disk = left;
    }
    let lives = Arc::new(AtomicBool::new(true));
    let peer = world.peer(vec![Answer::Take], &lives);
    let life = Life::begin(&disk, keys(), peer).await;
    let lost = Arc::new(AtomicU64::new(0));
    for _ in 0..20_000 {
        std::thread::yield_now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let last: u64 = life.rig.sink.account().lost.values().sum();
        lost.store(last, SeqCst);
        if world.missing() as u64 <= world.lost + last - world.unpromised {
            break;
        }
    }
    let lost = world.lost + lost.load(SeqCst) - world.unpromised;
    let missing = world.missing();
    assert!(missing as u64 <= lost, "{missing} missing, {lost} lost");
    life.drain(secs(3600)).await;
    life.shelf.flush();
    assert_eq!(life.rig.account().held, 0);
    assert_eq!(life.rig.sink.depth(), crate::sink::Depth::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_was_told_durable_arrives_or_is_in_the_ledger(
        eras in prop::collection::vec(era(), 1..4)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(live(eras));
    }
}
