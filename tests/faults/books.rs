//! What clients sent and were told, and what arrived: the two sets that every scenario compares.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a client knows of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// No answer, or none yet: it may be taken or not.
    Nothing,
    /// The answer said that it is taken.
    Acknowledged,
    /// The answer said that it is not.
    Refused,
}

/// Every number that was sent and what became of it; its place is the number less one.
#[derive(Default)]
struct Page {
    told: Vec<Told>,
    arrived: Vec<u32>,
    /// Items that arrived and were never sent.
    invented: u64,
    /// Items that the backend said no to for good.
    rejected: Vec<bool>,
}

/// Shared by the clients and the sink of a scenario.
#[derive(Default)]
pub struct Books(Mutex<Page>);

/// The sets compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    pub sent: u64,
    pub acknowledged: u64,
    /// Acknowledged, never arrived, and not rejected by the backend.
    pub lost: u64,
    /// Arrivals of one item beyond the first.
    pub duplicated: u64,
    /// Arrived and never sent.
    pub invented: u64,
    /// Items that arrived, each once.
    pub arrived: u64,
    /// Items that the backend rejected for good and never took.
    pub rejected: u64,
    /// Told to be refused, and arrived all the same: at least once.
    pub refused_but_arrived: u64,
}

impl Books {
    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out numbers that nobody had; gives the first.
    pub fn issue(&self, count: u64) -> u64 {
        let mut page = self.page();
        let first = page.told.len() as u64 + 1;
        let length = page.told.len() + usize::try_from(count).expect("few items");
        page.told.resize(length, Told::Nothing);
        page.arrived.resize(length, 0);
        page.rejected.resize(length, false);
        first
    }

    fn tell(&self, numbers: std::ops::Range<u64>, told: Told) {
        let mut page = self.page();
        for number in numbers {
            page.told[place(number).expect("it was issued")] = told;
        }
    }

    pub fn acknowledge(&self, numbers: std::ops::Range<u64>) {
        self.tell(numbers, Told::Acknowledged);
    }

    pub fn refuse(&self, numbers: std::ops::Range<u64>) {
        self.tell(numbers, Told::Refused);
    }

    /// What the backend took.
    pub fn arrive(&self, numbers: &[u64]) {
        let mut page = self.page();
        for &number in numbers {
            match place(number).filter(|&at| at < page.arrived.len()) {
                Some(at) => page.arrived[at] += 1,
                None => page.invented += 1,
            }
        }
    }

    /// What the backend said no to, and meant it.
    pub fn reject(&self, numbers: &[u64]) {
        let mut page = self.page();
        for &number in numbers {
            if let Some(at) = place(number).filter(|&at| at < page.rejected.len()) {
                page.rejected[at] = true;
            }
        }
    }

    pub fn audit(&self) -> Audit {
        let page = self.page();
        let mut audit = Audit {
            sent: page.told.len() as u64,
            invented: page.invented,
            ..Audit::default()
        };
        for at in 0..page.told.len() {
            let (told, arrivals) = (page.told[at], page.arrived[at]);
            let rejected = page.rejected[at] && arrivals == 0;
            let acknowledged = told == Told::Acknowledged;
            audit.acknowledged += u64::from(acknowledged);
            audit.rejected += u64::from(rejected);
            audit.lost += u64::from(acknowledged && arrivals == 0 && !rejected);
            audit.arrived += u64::from(arrivals > 0);
            audit.duplicated += u64::from(arrivals.saturating_sub(1));
            audit.refused_but_arrived += u64::from(told == Told::Refused && arrivals > 0);
        }
        audit
    }

    /// The items that the backend rejected for good and never took.
    pub fn rejected(&self) -> Vec<u64> {
        let page = self.page();
        let rejected =
            (0..page.told.len()).filter(|&at| page.rejected[at] && page.arrived[at] == 0);
        rejected.map(|at| at as u64 + 1).collect()
    }

    /// Those of them that were acknowledged.
    pub fn rejected_and_acknowledged(&self) -> Vec<u64> {
        let rejected = self.rejected();
        let page = self.page();
        let told = |number: &u64| place(*number).map(|at| page.told[at]);
        let acknowledged = |number: &u64| told(number) == Some(Told::Acknowledged);
        rejected.into_iter().filter(acknowledged).collect()
    }

    /// The acknowledged items that did not arrive.
    pub fn missing(&self) -> Vec<u64> {
        let page = self.page();
        let missing = (0..page.told.len()).filter(|&at| {
            page.told[at] == Told::Acknowledged && page.arrived[at] == 0 && !page.rejected[at]
        });
        missing.map(|at| at as u64 + 1).collect()
    }
}

fn place(number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

#[test]
fn an_audit_tells_loss_from_doubt_and_doubles_from_inventions() {
    let books = Books::default();
    assert_eq!((books.issue(4), books.issue(2)), (1, 5));
    books.acknowledge(1..4);
    books.refuse(5..6);
    books.arrive(&[1, 2, 2, 5, 99, 0]);
    let expected = Audit {
        sent: 6,
        acknowledged: 3,
        lost: 1,
        duplicated: 1,
        invented: 2,
        arrived: 3,
        rejected: 0,
        refused_but_arrived: 1,
    };
    assert_eq!(books.audit(), expected);
    assert_eq!(books.missing(), [3]);
    books.reject(&[3]);
    assert_eq!((books.audit().lost, books.audit().rejected), (0, 1));
}
