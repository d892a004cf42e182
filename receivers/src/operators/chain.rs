//! The operators of a receiver, joined: an entry goes in, and none, one or several come out.

use std::time::Duration;

use tidegate_component::metrics::Counter;
use tidegate_component::{BuildContext, BuildError, Reason};
use tokio::time::Instant;

use super::config::{OnError, OperatorConfig};
use super::container::Container;
use super::entry::Entry;
use super::expr::{Expression, Fault, Template};
use super::gather::Gather;
use super::join::Names;
use super::recombine::Recombine;

/// How often the log tells of one operator's failures.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Changes an entry in place.
pub(crate) trait Transform: Send {
    /// Does so, or says why not.
    fn apply(&mut self, entry: &mut Entry) -> Result<(), String>;
}

/// Where an entry goes next: an operator by its number, or out.
pub(super) type Target = usize;
pub(super) const OUT: Target = usize::MAX;

/// The operators of a receiver.
pub(crate) struct Chain {
    nodes: Vec<Node>,
    /// Entries on their way, the next one last.
    under_way: Vec<(Target, Entry)>,
    made: Vec<Entry>,
}

pub(super) struct Node {
    pub(super) work: Work,
    pub(super) condition: Option<Expression>,
    pub(super) on_error: OnError,
    pub(super) next: Vec<Target>,
    pub(super) faults: Faults,
}

pub(super) enum Work {
    Pass,
    Transform(Box<dyn Transform>),
    Filter(Filter),
    Router(Router),
    Recombine(Box<Recombine>),
    Container(Box<Container>),
}

pub(super) struct Filter {
    pub(super) expression: Expression,
    pub(super) ratio: f64,
    pub(super) dropped: Reason,
}

pub(super) struct Router {
    pub(super) routes: Vec<Route>,
    pub(super) default: Vec<Target>,
    pub(super) dropped: Reason,
}

pub(super) struct Route {
    pub(super) expression: Expression,
    pub(super) attributes: Vec<(String, Label)>,
    pub(super) next: Vec<Target>,
}

/// A text that may have expressions in it.
pub(crate) enum Label {
    Plain(String),
    Made(Template),
}

impl Label {
    /// Parses a text; `path` is the key that has it.
    pub(crate) fn parse(text: &str, path: &str) -> Result<Self, BuildError> {
        let fault = |fault: Fault| BuildError::at(path, fault.to_string());
        let template = Template::parse(text).map_err(fault)?;
        Ok(template.map_or_else(|| Self::Plain(text.to_owned()), Self::Made))
    }

    /// The text for an entry.
    pub(crate) fn render(&self, entry: &Entry) -> Result<String, String> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Made(template) => template.render(entry),
        }
    }
}

/// What is told and counted of one operator's failures.
pub(super) struct Faults {
    receiver: String,
    operator: String,
    count: Counter,
    dropped: Reason,
    told: Option<Instant>,
    untold: u64,
}

impl Faults {
    pub(super) fn new(operator: &str, cx: &BuildContext) -> Self {
        let help = "Entries that an operator could not work on.";
        let labels = [("operator", operator)];
        Self {
            receiver: cx.id.to_string(),
            operator: operator.to_owned(),
            count: cx
                .metrics
                .counter("tidegate_operator_errors", help, &labels),
            dropped: cx.reason("operator_error"),
            told: None,
            untold: 0,
        }
    }

    fn note(&mut self, why: &str, quiet: bool) {
        self.count.add(1);
        if quiet {
            return;
        }
        self.untold += 1;
        let now = Instant::now();
        if self.told.is_some_and(|told| now < told + TELL_EVERY) {
            return;
        }
        tracing::warn!(
            receiver = self.receiver,
            operator = self.operator,
            entries = self.untold,
            error = why,
            "an operator cannot work on entries"
        );
        self.told = Some(now);
        self.untold = 0;
    }
}

impl Chain {
    /// Builds the operators of a configuration; `path` is the key that has them.
    pub(crate) fn build(
        configs: &[OperatorConfig],
        path: &str,
        cx: &BuildContext,
    ) -> Result<Self, BuildError> {
        let names = Names::of(configs, path)?;
        let mut nodes = Vec::with_capacity(configs.len());
        for (at, config) in configs.iter().enumerate() {
            nodes.push(names.node(at, config, cx)?);
        }
        let chain = Self {
            nodes,
            under_way: Vec::new(),
            made: Vec::new(),
        };
        chain.refuse_circles(path)?;
        Ok(chain)
    }

    /// Whether there is no operator at all.
    pub(crate) const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Takes an entry through the operators.
    pub(crate) fn push(&mut self, entry: Entry, out: &mut impl FnMut(Entry)) {
        let first = if self.nodes.is_empty() { OUT } else { 0 };
        self.run(first, entry, out);
    }

    fn run(&mut self, mut target: Target, mut entry: Entry, out: &mut impl FnMut(Entry)) {
        loop {
            let next = match self.nodes.get_mut(target) {
                None => {
                    out(entry);
                    None
                }
                Some(node) => node.step(entry, &mut self.under_way, &mut self.made),
            };
            match next.or_else(|| self.under_way.pop()) {
                Some((after, moved)) => (target, entry) = (after, moved),
                None => return,
            }
        }
    }

    /// Lets go of entries that have waited for others long enough; of all where there is no time.
    pub(crate) fn flush(&mut self, now: Option<u64>, out: &mut impl FnMut(Entry)) {
        for at in 0..self.nodes.len() {
            let mut made = Vec::new();
            let node = &mut self.nodes[at];
            match &mut node.work {
                Work::Recombine(recombine) => recombine.flush(now, &mut made),
                Work::Container(container) => container.flush(now, &mut made),
                _ => continue,
            }
            let next = node.next.clone();
            for entry in made {
                self.deal(&next, entry, out);
            }
        }
    }

    fn deal(&mut self, next: &[Target], entry: Entry, out: &mut impl FnMut(Entry)) {
        let Some((last, others)) = next.split_last() else {
            return;
        };
        for target in others {
            self.run(*target, entry.clone(), out);
        }
        self.run(*last, entry, out);
    }

    /// When the first of the entries that wait has waited long enough, in nanoseconds since 1970.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let gathers = self.nodes.iter().filter_map(Node::gather);
        gathers.filter_map(Gather::deadline).min()
    }

    /// Where the first entry of a source begins that waits for others, and the how manieth it is.
    pub(crate) fn held(&self, source: u64) -> Option<(u64, u64)> {
        let gathers = self.nodes.iter().filter_map(Node::gather);
        gathers.filter_map(|gather| gather.held(source)).min()
    }

    /// Refuses operators that send entries back to where they came from.
    fn refuse_circles(&self, path: &str) -> Result<(), BuildError> {
        let mut done = vec![false; self.nodes.len()];
        for start in 0..self.nodes.len() {
            // The way to where we are, each with how many of its ways out have been followed.
            let mut way = vec![(start, 0)];
            while let Some((at, followed)) = way.last_mut() {
                let at = *at;
                let targets = self.nodes[at].targets();
                let Some(next) = targets.get(*followed).copied().filter(|_| !done[at]) else {
                    done[at] = true;
                    way.pop();
                    continue;
                };
                *followed += 1;
                if way.iter().any(|(above, _)| *above == next) {
                    let message = "entries would go in a circle from here";
                    return Err(BuildError::at(format!("{path}::{at}::output"), message));
                }
                if next != OUT && !done[next] {
                    way.push((next, 0));
                }
            }
        }
        Ok(())
    }
}

impl Node {
    fn gather(&self) -> Option<&Gather> {
        match &self.work {
            Work::Recombine(recombine) => Some(recombine.gather()),
            Work::Container(container) => Some(container.gather()),
            _ => None,
        }
    }

    fn targets(&self) -> Vec<Target> {
        match &self.work {
            Work::Router(router) => {
                let routes = router.routes.iter().flat_map(|route| &route.next);
                routes.chain(&router.default).copied().collect()
            }
            _ => self.next.clone(),
        }
    }

    /// Works on an entry; gives it with its next target, and leaves further ones in `under_way`.
    fn step(
        &mut self,
        mut entry: Entry,
        under_way: &mut Vec<(Target, Entry)>,
        made: &mut Vec<Entry>,
    ) -> Option<(Target, Entry)> {
        if let Some(condition) = &self.condition {
            match condition.holds(&entry) {
                Ok(true) => {}
                Ok(false) => return forward(&self.next, entry, under_way),
                Err(why) => return self.failed(entry, &why, under_way),
            }
        }
        match &mut self.work {
            Work::Pass => forward(&self.next, entry, under_way),
            Work::Transform(transform) => match transform.apply(&mut entry) {
                Ok(()) => forward(&self.next, entry, under_way),
                Err(why) => self.failed(entry, &why, under_way),
            },
            Work::Filter(filter) => match filter.expression.holds(&entry) {
                Ok(true) if filter.drops() => {
                    filter.dropped.add(1);
                    None
                }
                Ok(_) => forward(&self.next, entry, under_way),
                Err(why) => self.failed(entry, &why, under_way),
            },
            Work::Router(router) => {
                let (next, faults) = router.route(&mut entry);
                faults.iter().for_each(|why| self.faults.note(why, false));
                match next {
                    Some(next) => forward(next, entry, under_way),
                    None => {
                        router.dropped.add(1);
                        None
                    }
                }
            }
            Work::Recombine(recombine) => {
                let refused = recombine.push(entry, made);
                self.pushed(refused, under_way, made)
            }
            Work::Container(container) => {
                let refused = container.push(entry, made);
                if let Some(why) = container.take_fault() {
                    self.faults.note(&why, self.is_quiet());
                }
                self.pushed(refused, under_way, made)
            }
        }
    }

    const fn is_quiet(&self) -> bool {
        matches!(self.on_error, OnError::SendQuiet | OnError::DropQuiet)
    }

    fn pushed(
        &mut self,
        refused: Option<(Entry, String)>,
        under_way: &mut Vec<(Target, Entry)>,
        made: &mut Vec<Entry>,
    ) -> Option<(Target, Entry)> {
        // Nearly always one entry goes on, or none.
        match (made.len(), refused) {
            (0, None) => None,
            (0, Some((entry, why))) => self.failed(entry, &why, under_way),
            (1, None) => forward(&self.next, made.pop()?, under_way),
            (_, refused) => {
                let mut all: Vec<(Target, Entry)> = Vec::new();
                let mut others = Vec::new();
                for entry in made.drain(..) {
                    all.extend(forward(&self.next, entry, &mut others));
                    all.extend(others.drain(..).rev());
                }
                // What came out before goes on before.
                if let Some((entry, why)) = refused {
                    all.extend(self.failed(entry, &why, &mut others));
                    all.extend(others.drain(..).rev());
                }
                under_way.extend(all.into_iter().rev());
                under_way.pop()
            }
        }
    }

    fn failed(
        &mut self,
        entry: Entry,
        why: &str,
        under_way: &mut Vec<(Target, Entry)>,
    ) -> Option<(Target, Entry)> {
        self.faults.note(why, self.is_quiet());
        match self.on_error {
            OnError::Send | OnError::SendQuiet => forward(&self.next, entry, under_way),
            OnError::Drop | OnError::DropQuiet => {
                self.faults.dropped.add(1);
                None
            }
        }
    }
}

/// Sends an entry to all targets: the first one is given back, the others go to `under_way`.
fn forward(
    next: &[Target],
    entry: Entry,
    under_way: &mut Vec<(Target, Entry)>,
) -> Option<(Target, Entry)> {
    let (first, others) = next.split_first()?;
    for target in others.iter().rev() {
        under_way.push((*target, entry.clone()));
    }
    Some((*first, entry))
}

impl Filter {
    fn drops(&self) -> bool {
        self.ratio >= 1.0 || rand::random::<f64>() < self.ratio
    }
}

impl Router {
    /// The way that an entry takes, and what went wrong in finding it.
    fn route(&self, entry: &mut Entry) -> (Option<&[Target]>, Vec<String>) {
        let mut faults = Vec::new();
        for route in &self.routes {
            match route.expression.holds(entry) {
                Ok(false) => {}
                Err(why) => faults.push(why),
                Ok(true) => {
                    for (key, label) in &route.attributes {
                        match label.render(entry) {
                            Ok(value) => entry.attributes.insert(key.as_str(), value.into()),
                            Err(why) => faults.push(why),
                        }
                    }
                    return (Some(&route.next), faults);
                }
            }
        }
        let default = (!self.default.is_empty()).then_some(&self.default[..]);
        (default, faults)
    }
}
