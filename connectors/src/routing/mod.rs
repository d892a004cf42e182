//! `routing`: passes data to pipelines by conditions.
//!
//! Routes are asked one after the other, each of what the ones before it left. A sender's receipt is shared by all that
//! its batch becomes: the worst outcome of all branches is its answer.

mod config;
mod request;
mod split;
#[cfg(test)]
mod tests;

use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Connector, Reason, Routes, Stability,
};
use tidegate_ottl::Faults;
use tidegate_pdata::{Batch, Context, Outcome, Payload};

pub use config::Config;
use config::{Action, Asked, Choice, Table};
use split::Splitter;

impl ComponentConfig for Config {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "routing";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        let Table {
            choices,
            default,
            mode,
        } = self.table(cx)?;
        Ok(Box::new(Routing {
            choices,
            default,
            splitter: Splitter::new(Faults::new(cx), mode),
            unrouted: cx.reason("unrouted"),
        }))
    }
}

struct Routing {
    choices: Vec<Choice>,
    /// The pipelines for the rest.
    default: Vec<usize>,
    splitter: Splitter,
    unrouted: Reason,
}

/// What each pipeline gets.
type Dealt = Vec<Option<Payload>>;

/// Gives a payload to pipelines.
fn give(to: &[usize], payload: Payload, dealt: &mut Dealt) {
    let Some((last, others)) = to.split_last() else {
        return;
    };
    let mut put = |at: usize, payload: Payload| match &mut dealt[at] {
        Some(before) => before.append(payload),
        none => *none = Some(payload),
    };
    for at in others {
        put(*at, payload.clone());
    }
    put(*last, payload);
}

impl Routing {
    /// Deals a payload over pipelines; gives back what no route takes.
    fn deal(&mut self, payload: Payload, context: &Context, dealt: &mut Dealt) -> Payload {
        let mut rest = payload;
        for Choice { asked, action, to } in &self.choices {
            if rest.is_empty() {
                break;
            }
            let copies = *action == Action::Copy;
            let (matched, left) = match asked {
                Asked::Records(test) => self.splitter.split(test, rest, copies),
                Asked::Request(condition) if !condition.holds(context) => continue,
                Asked::Request(_) if copies => (rest.clone(), rest),
                Asked::Request(_) => {
                    let nothing = Payload::empty(rest.signal());
                    (rest, nothing)
                }
            };
            rest = left;
            give(to, matched, dealt);
            if self.splitter.faults.is_propagated() {
                break;
            }
        }
        rest
    }
}

impl Connector for Routing {
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        let mut dealt: Dealt = vec![None; out.routes().len()];
        let rest = self.deal(batch.payload().clone(), batch.context(), &mut dealt);
        let Some(batch) = self.splitter.faults.turn_away(batch, &mut out.outbox) else {
            return;
        };
        let mut gone = 0;
        if self.default.is_empty() {
            gone = rest.items();
            out.outbox.dropped(&self.unrouted, gone);
        } else {
            give(&self.default, rest, &mut dealt);
        }
        let came = batch.items();
        let (payload, context, receipt) = batch.into_parts();
        drop(payload);
        let went: usize = dealt.iter().flatten().map(Payload::items).sum();
        // Whatever goes two ways is there twice.
        out.outbox.created((went + gone).saturating_sub(came));
        for (route, payload) in dealt.into_iter().enumerate() {
            if let Some(payload) = payload {
                out.push(route, Batch::new(payload, context.clone(), receipt.fork()));
            }
        }
        // What is passed on answers for its share.
        receipt.settle(&Outcome::Delivered);
    }
}
