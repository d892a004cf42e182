//! Conditions in the transformation language, asked of all spans of a payload in one walk.

use tidegate_component::BuildContext;
use tidegate_component::metrics::Counter;
use tidegate_ottl::{Condition, ErrorMode, Fault, Room, Subject};
use tidegate_pdata::Payload;
use tidegate_pdata::splice::{Edits, SpanEditor, Splicer, Verdict};

use super::marks::Marks;

/// The conditions of one policy.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) span: Vec<Condition>,
    pub(super) event: Vec<Condition>,
    pub(super) mode: ErrorMode,
    /// The mark that one of them held.
    pub(super) mark: usize,
    /// The mark that one of them failed, where that ends it.
    pub(super) failed: usize,
}

/// What conditions say of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    No,
    Yes,
    Failed,
}

/// Asks conditions, and keeps room for their answers.
pub(super) struct Statements {
    splicer: Splicer,
    room: Room,
    faults: Faults,
    said: Vec<Said>,
}

impl Statements {
    pub(super) fn new(cx: &BuildContext) -> Self {
        Self {
            splicer: Splicer::default(),
            room: Room::default(),
            faults: Faults::new(cx),
            said: Vec::new(),
        }
    }

    /// Asks all conditions of all spans of a payload.
    pub(super) fn ask(&mut self, conditions: &[Conditions], payload: &Payload) {
        self.said.clear();
        if conditions.is_empty() {
            return;
        }
        let mut asking = Asking {
            conditions,
            room: &mut self.room,
            faults: &mut self.faults,
            said: &mut self.said,
        };
        // Nothing is edited: the payload that comes back is the one that went in.
        drop(self.splicer.edit(payload.clone(), &mut asking));
    }

    /// Marks what was said of the span with this number in the payload.
    pub(super) fn mark(&self, conditions: &[Conditions], span: usize, marks: &mut Marks) {
        let said = self.said.iter().skip(span * conditions.len());
        for (of, said) in conditions.iter().zip(said) {
            // The first answer of a trace stands, be it a failure.
            if *said == Said::No || marks.has(of.mark) || marks.has(of.failed) {
                continue;
            }
            marks.set(if *said == Said::Yes {
                of.mark
            } else {
                of.failed
            });
        }
    }

    /// Gives back the room that only an unusual payload needs.
    pub(super) fn shrink(&mut self) {
        self.said.clear();
        self.said.shrink_to(1 << 16);
    }
}

struct Asking<'a> {
    conditions: &'a [Conditions],
    room: &'a mut Room,
    faults: &'a mut Faults,
    said: &'a mut Vec<Said>,
}

impl Edits for Asking<'_> {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        for of in self.conditions {
            let subject = Subject::span(span, self.room);
            let mut said = any(&of.span, &subject, of.mode, self.faults);
            if said == Said::No && !of.event.is_empty() {
                let (mut index, room, faults) = (0, &mut *self.room, &mut *self.faults);
                span.edit_events(|event| {
                    if said == Said::No {
                        let subject = Subject::span_event(event, index, room);
                        said = any(&of.event, &subject, of.mode, faults);
                    }
                    index += 1;
                    Verdict::Keep
                });
            }
            self.said.push(said);
        }
        Verdict::Keep
    }
}

fn any(
    conditions: &[Condition],
    subject: &Subject<'_>,
    mode: ErrorMode,
    faults: &mut Faults,
) -> Said {
    for condition in conditions {
        match condition.holds(subject) {
            Ok(true) => return Said::Yes,
            Ok(false) => {}
            Err(fault) => {
                faults.meet(condition.text(), &fault, mode);
                if mode == ErrorMode::Propagate {
                    return Said::Failed;
                }
            }
        }
    }
    Said::No
}

/// Counts conditions that fail, and logs some of them.
struct Faults {
    count: Counter,
    seen: u64,
}

impl Faults {
    fn new(cx: &BuildContext) -> Self {
        let help = "Statements and conditions that failed for a record.";
        Self {
            count: cx.metrics.counter("tidegate_statement_errors", help, &[]),
            seen: 0,
        }
    }

    #[cold]
    fn meet(&mut self, text: &str, fault: &Fault, mode: ErrorMode) {
        self.count.add(1);
        if mode == ErrorMode::Silent {
            return;
        }
        self.seen += 1;
        // One line for the first, the tenth, the hundredth: never one for each span.
        let digits = |count: u64| count.checked_ilog10();
        if digits(self.seen) > digits(self.seen - 1) {
            let count = self.seen;
            tracing::warn!(statement = text, %fault, count, "a condition failed");
        }
    }
}
