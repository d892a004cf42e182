//! A channel: the connections to one endpoint, made when first used and again when lost.
//!
//! Each worker has a slot of its own, so a call never leaves its worker's runtime. A slot
//! resolves the endpoint's name and has a lane per address (`round_robin`) or one lane over
//! all of them (`pick_first`). Lanes are connected by tasks of their own: a call that is
//! given up does not undo the connecting that others wait for. A lane that failed rests,
//! longer each time, and calls fail at once with its error while every lane rests; the
//! engine, not the channel, tries again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tidegate_component::Workers;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::connection::{self, Connection, Recipe};
use super::dial::{self, Address, DialError};
use super::endpoint::Place;
use super::proxy::Tunnel;

/// The rest after the first failure, doubled by each further one.
const FIRST_REST: Duration = Duration::from_millis(500);
/// The longest rest: short, because the engine's own backoff stands above it.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Names are not resolved more often than this.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// How calls are dealt over the addresses behind one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Balance {
    /// Each call to the next address.
    RoundRobin,
    /// All calls to the first address that can be reached.
    PickFirst,
}

/// The connections to one endpoint.
#[derive(Debug)]
pub(super) struct Channel {
    slots: Box<[Arc<Slot>]>,
    workers: Option<Workers>,
}

impl Channel {
    /// A channel without a connection; one slot per worker and one for calls from elsewhere.
    pub(super) fn new(
        place: Place,
        balance: Balance,
        patient: bool,
        recipe: Recipe,
        workers: Option<Workers>,
    ) -> Self {
        let count = workers.as_ref().map_or(0, Workers::count) + 1;
        let tunnel = match &place {
            Place::Tcp { host, port } => Tunnel::to(host, *port).map(Arc::new),
            Place::Unix(_) => None,
        };
        let plan = Arc::new(Plan {
            place,
            tunnel,
            balance,
            patient,
            recipe,
        });
        let slots = (0..count)
            .map(|first| {
                Arc::new(Slot {
                    plan: Arc::clone(&plan),
                    state: Mutex::new(State {
                        lanes: Vec::new(),
                        names: Names::Unknown,
                        resolved: None,
                        // Workers begin at different addresses.
                        next: first,
                    }),
                    changed: Notify::new(),
                })
            })
            .collect();
        Self { slots, workers }
    }

    /// A connection of this worker's, made if need be.
    pub(super) async fn connection(&self) -> Result<Connection, Arc<DialError>> {
        let worker = self.workers.as_ref().and_then(Workers::current);
        let slot = worker
            .and_then(|worker| self.slots.get(worker))
            .unwrap_or(&self.slots[self.slots.len() - 1]);
        slot.connection().await
    }

    /// Lets go of every connection; calls that are open on them go on.
    pub(super) fn close(&self) {
        for slot in &self.slots {
            let mut state = slot.lock();
            state.lanes.clear();
            state.names = Names::Unknown;
        }
    }
}

#[derive(Debug)]
struct Plan {
    place: Place,
    /// The way through a proxy, where the environment asks for one.
    tunnel: Option<Arc<Tunnel>>,
    balance: Balance,
    patient: bool,
    recipe: Recipe,
}

#[derive(Debug)]
struct Slot {
    plan: Arc<Plan>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    lanes: Vec<Lane>,
    names: Names,
    resolved: Option<Instant>,
    next: usize,
}

/// How far resolving the name is.
#[derive(Debug)]
enum Names {
    Unknown,
    Resolving,
    Known,
    Failed { failures: u32, rest: Rest },
}

#[derive(Debug)]
struct Lane {
    addresses: Vec<Address>,
    link: Link,
    failures: u32,
}

#[derive(Debug)]
enum Link {
    Idle,
    Connecting,
    Up(Connection),
    Resting(Rest),
}

#[derive(Clone, Debug)]
struct Rest {
    until: Instant,
    error: Arc<DialError>,
}

impl Rest {
    fn after(failures: u32, error: DialError) -> Self {
        let rest = FIRST_REST
            .saturating_mul(1 << failures.min(8))
            .min(LONGEST_REST);
        Self {
            until: Instant::now() + rest,
            error: Arc::new(error),
        }
    }
}

/// What a look at the slot's state says to do.
enum Next {
    Use(Connection),
    Wait,
    Rest(Rest),
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(self: &Arc<Self>) -> Result<Connection, Arc<DialError>> {
        loop {
            let changed = self.changed.notified();
            match self.look() {
                Next::Use(connection) => return Ok(connection),
                Next::Wait => changed.await,
                Next::Rest(rest) if self.plan.patient => sleep_until(rest.until).await,
                Next::Rest(rest) => return Err(rest.error),
            }
        }
    }

    /// Starts what must be started and says what there is.
    fn look(self: &Arc<Self>) -> Next {
        let now = Instant::now();
        let mut state = self.lock();
        for lane in &mut state.lanes {
            match &lane.link {
                Link::Up(connection) if connection.life.is_over() => lane.link = Link::Idle,
                Link::Resting(rest) if rest.until <= now => lane.link = Link::Idle,
                _ => {}
            }
        }
        if let Some(rest) = self.resolve_if_due(&mut state, now) {
            return Next::Rest(rest);
        }
        if !matches!(state.names, Names::Resolving) {
            self.connect_idle(&mut state);
        }
        state.pick()
    }

    /// Starts resolving when a lane must be connected and what is known is old.
    ///
    /// Gives the rest that a failed attempt imposes while there is no address at all.
    fn resolve_if_due(self: &Arc<Self>, state: &mut State, now: Instant) -> Option<Rest> {
        let idle = state
            .lanes
            .iter()
            .any(|lane| matches!(lane.link, Link::Idle));
        let old = state.resolved.is_none_or(|at| now >= at + RESOLVE_INTERVAL);
        let failures = match &state.names {
            Names::Resolving => return None,
            Names::Unknown => 0,
            Names::Known if idle && old => 0,
            Names::Known => return None,
            Names::Failed { rest, .. } if rest.until > now => {
                return state.lanes.is_empty().then(|| rest.clone());
            }
            Names::Failed { failures, .. } => *failures,
        };
        if let Some(tunnel) = &self.plan.tunnel {
            let address = Address::Tunnel(Arc::clone(tunnel));
            state.known(vec![address], self.plan.balance);
            return None;
        }
        match &self.plan.place {
            Place::Unix(path) => state.known(vec![Address::Unix(path.clone())], self.plan.balance),
            Place::Tcp { host, port } => match host.parse() {
                Ok(ip) => {
                    let address = Address::Tcp(SocketAddr::new(ip, *port));
                    state.known(vec![address], self.plan.balance);
                }
                Err(_) => {
                    state.names = Names::Resolving;
                    let task = Resolving {
                        slot: Arc::downgrade(self),
                        failures,
                    };
                    tokio::spawn(task.run(host.clone(), *port));
                }
            },
        }
        None
    }

    fn connect_idle(self: &Arc<Self>, state: &mut State) {
        for lane in &mut state.lanes {
            if matches!(lane.link, Link::Idle) {
                lane.link = Link::Connecting;
                let task = Connecting {
                    slot: Arc::downgrade(self),
                    addresses: lane.addresses.clone(),
                    failures: lane.failures,
                };
                tokio::spawn(task.run(Arc::clone(&self.plan)));
            }
        }
    }
}

impl State {
    /// Takes over the addresses found; lanes whose addresses stay keep what they have.
    fn known(&mut self, addresses: Vec<Address>, balance: Balance) {
        let groups: Vec<Vec<Address>> = match balance {
            Balance::PickFirst => vec![addresses],
            Balance::RoundRobin => addresses.into_iter().map(|address| vec![address]).collect(),
        };
        let mut earlier = std::mem::take(&mut self.lanes);
        self.lanes = groups
            .into_iter()
            .map(|addresses| {
                let kept = earlier.iter().position(|lane| lane.addresses == addresses);
                kept.map_or_else(
                    || Lane {
                        addresses,
                        link: Link::Idle,
                        failures: 0,
                    },
                    |at| earlier.swap_remove(at),
                )
            })
            .collect();
        self.names = Names::Known;
        self.resolved = Some(Instant::now());
    }

    /// The next lane that is up; else whether to wait for one or to rest.
    fn pick(&mut self) -> Next {
        let count = self.lanes.len();
        for _ in 0..count {
            let lane = &self.lanes[self.next % count];
            self.next = self.next.wrapping_add(1);
            if let Link::Up(connection) = &lane.link {
                return Next::Use(connection.clone());
            }
        }
        let mut soonest: Option<&Rest> = None;
        for lane in &self.lanes {
            match &lane.link {
                Link::Resting(rest) if soonest.is_none_or(|other| rest.until < other.until) => {
                    soonest = Some(rest);
                }
                Link::Resting(_) => {}
                Link::Idle | Link::Connecting | Link::Up(_) => return Next::Wait,
            }
        }
        soonest.map_or(Next::Wait, |rest| Next::Rest(rest.clone()))
    }
}

/// A name being resolved; if the task dies on the way, the name is unknown again.
struct Resolving {
    slot: Weak<Slot>,
    failures: u32,
}

impl Resolving {
    async fn run(self, host: String, port: u16) {
        let found = dial::resolve(&host, port).await;
        self.settle(|slot, state| match found {
            Ok(addresses) => {
                let addresses = addresses.into_iter().map(Address::Tcp).collect();
                state.known(addresses, slot.plan.balance);
            }
            Err(error) => {
                state.names = Names::Failed {
                    failures: self.failures.saturating_add(1),
                    rest: Rest::after(self.failures, error),
                };
            }
        });
    }

    fn settle(&self, change: impl FnOnce(&Slot, &mut State)) {
        let Some(slot) = self.slot.upgrade() else {
            return;
        };
        let mut state = slot.lock();
        if matches!(state.names, Names::Resolving) {
            change(&slot, &mut state);
        }
        drop(state);
        slot.changed.notify_waiters();
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        self.settle(|_, state| state.names = Names::Unknown);
    }
}

/// A lane being connected; if the task dies on the way, the lane is idle again.
struct Connecting {
    slot: Weak<Slot>,
    addresses: Vec<Address>,
    failures: u32,
}

impl Connecting {
    async fn run(self, plan: Arc<Plan>) {
        match connection::connect(&self.addresses, &plan.recipe).await {
            Ok(connection) => self.settle(Link::Up(connection), 0),
            Err(error) => {
                let rest = Rest::after(self.failures, error);
                self.settle(Link::Resting(rest), self.failures.saturating_add(1));
            }
        }
    }

    fn settle(&self, link: Link, failures: u32) {
        let Some(slot) = self.slot.upgrade() else {
            return;
        };
        let mut state = slot.lock();
        let lane = state
            .lanes
            .iter_mut()
            .find(|lane| lane.addresses == self.addresses);
        if let Some(lane) = lane
            && matches!(lane.link, Link::Connecting)
        {
            lane.link = link;
            lane.failures = failures;
        }
        drop(state);
        slot.changed.notify_waiters();
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.settle(Link::Idle, self.failures);
    }
}
