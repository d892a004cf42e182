//! Dividing a payload into what a condition holds for and the rest.
//!
//! The condition is asked in one walk, which leaves what it holds for. Only where it holds for some and not for others
//! a second walk, which asks nothing, leaves the rest.

use tidegate_ottl::{Condition, Context, ErrorMode, Fault, Faults, Room, Statement, Subject};
use tidegate_pdata::Payload;
use tidegate_pdata::splice::{
    DataPointEditor, Edits, LogRecordEditor, MetricEditor, ResourceEditor, SpanEditor, Splicer,
    Verdict, Visit,
};

/// What is asked of each resource, span, metric, data point or log record.
pub(super) struct Test {
    pub(super) context: Context,
    pub(super) rule: Rule,
}

/// What is asked.
pub(super) enum Rule {
    Always,
    Condition(Condition),
    /// A statement that also changes what its condition holds for.
    Statement(Statement),
}

impl Rule {
    fn ask(&self, subject: &mut Subject<'_>) -> Result<bool, Fault> {
        match self {
            Self::Always => Ok(true),
            Self::Condition(condition) => condition.holds(subject),
            Self::Statement(statement) => statement.execute(subject),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Always => "route()",
            Self::Condition(condition) => condition.text().trim_start(),
            Self::Statement(statement) => statement.text(),
        }
    }
}

/// Divides payloads.
pub(super) struct Splitter {
    splicer: Splicer,
    room: Room,
    pub(super) faults: Faults,
    mode: ErrorMode,
    /// What was answered, in the order of asking.
    answers: Vec<bool>,
}

impl Splitter {
    pub(super) fn new(faults: Faults, mode: ErrorMode) -> Self {
        Self {
            splicer: Splicer::default(),
            room: Room::default(),
            faults,
            mode,
            answers: Vec::new(),
        }
    }

    /// What a test holds for, and the rest; of a copy the rest is all.
    pub(super) fn split(
        &mut self,
        test: &Test,
        payload: Payload,
        copies: bool,
    ) -> (Payload, Payload) {
        self.answers.clear();
        let mut ask = Ask {
            test,
            room: &mut self.room,
            faults: &mut self.faults,
            mode: self.mode,
            answers: &mut self.answers,
        };
        let matched = self.splicer.edit(payload.clone(), &mut ask);
        if copies || !self.answers.contains(&true) {
            return (matched, payload);
        }
        if !self.answers.contains(&false) {
            return (matched, Payload::empty(payload.signal()));
        }
        let mut leave = Leave {
            context: test.context,
            answers: self.answers.iter(),
        };
        let rest = self.splicer.edit(payload, &mut leave);
        (matched, rest)
    }
}

/// Leaves what a test holds for.
struct Ask<'s> {
    test: &'s Test,
    room: &'s mut Room,
    faults: &'s mut Faults,
    mode: ErrorMode,
    answers: &'s mut Vec<bool>,
}

impl Ask<'_> {
    fn is_about(&self, context: Context) -> bool {
        self.test.context == context
    }

    /// Notes an answer; a condition that fails does not hold.
    fn note(&mut self, answer: Result<bool, Fault>) -> bool {
        let holds = answer.unwrap_or_else(|fault| {
            self.faults.meet(self.test.rule.text(), &fault, self.mode);
            false
        });
        self.answers.push(holds);
        holds
    }
}

const fn all_or_nothing(keep: bool) -> Visit {
    if keep { Visit::Skip } else { Visit::Drop }
}

impl Edits for Ask<'_> {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        if !self.is_about(Context::Resource) {
            return Visit::Enter;
        }
        let answer = self
            .test
            .rule
            .ask(&mut Subject::resource(resource, self.room));
        all_or_nothing(self.note(answer))
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        let answer = self.test.rule.ask(&mut Subject::span(span, self.room));
        self.note(answer).into()
    }

    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        let answer = self.test.rule.ask(&mut Subject::log(record, self.room));
        self.note(answer).into()
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        if !self.is_about(Context::Metric) {
            return Visit::Enter;
        }
        let answer = self.test.rule.ask(&mut Subject::metric(metric, self.room));
        all_or_nothing(self.note(answer))
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        let answer = self
            .test
            .rule
            .ask(&mut Subject::data_point(point, self.room));
        self.note(answer).into()
    }
}

/// Leaves what a test did not hold for.
struct Leave<'s> {
    context: Context,
    answers: std::slice::Iter<'s, bool>,
}

impl Leave<'_> {
    fn next(&mut self) -> bool {
        !self.answers.next().copied().unwrap_or_default()
    }
}

impl Edits for Leave<'_> {
    fn resource(&mut self, _: &mut ResourceEditor<'_>) -> Visit {
        if self.context != Context::Resource {
            return Visit::Enter;
        }
        all_or_nothing(self.next())
    }

    fn span(&mut self, _: &mut SpanEditor<'_>) -> Verdict {
        self.next().into()
    }

    fn log_record(&mut self, _: &mut LogRecordEditor<'_>) -> Verdict {
        self.next().into()
    }

    fn metric(&mut self, _: &mut MetricEditor<'_>) -> Visit {
        if self.context != Context::Metric {
            return Visit::Enter;
        }
        all_or_nothing(self.next())
    }

    fn data_point(&mut self, _: &mut DataPointEditor<'_>) -> Verdict {
        self.next().into()
    }
}
