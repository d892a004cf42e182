//! A compiled statement does what a slow, obvious interpreter on owned values does.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Proto;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;
use tidegate_pdata::splice::{LogRecordEditor, Splicer};
use tidegate_pdata::{Payload, Signal};

use super::{Each, attribute};
use crate::{Context, Room, Statement, Subject};

#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(String),
}

#[derive(Clone, Debug)]
enum Expr {
    Literal(Owned),
    Attribute(usize),
    Math(Box<Expr>, &'static str, Box<Expr>),
}

#[derive(Clone, Debug)]
enum Test {
    Compare(Expr, &'static str, Expr),
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
}

const KEYS: [&str; 4] = ["a", "b", "c", "absent"];

type Attributes = BTreeMap<&'static str, Owned>;

impl Expr {
    fn text(&self) -> String {
        match self {
            Self::Literal(Owned::Nil) => "nil".to_owned(),
            Self::Literal(Owned::Bool(value)) => value.to_string(),
            Self::Literal(Owned::Int(value)) => value.to_string(),
            Self::Literal(Owned::Double(value)) => format!("{value:.3}"),
            Self::Literal(Owned::Str(text)) => format!("{text:?}"),
            Self::Attribute(index) => format!("attributes[{:?}]", KEYS[*index]),
            Self::Math(left, sign, right) => format!("({} {sign} {})", left.text(), right.text()),
        }
    }

    /// The value, or nothing where it fails.
    fn eval(&self, attributes: &Attributes) -> Option<Owned> {
        Some(match self {
            Self::Literal(value) => value.clone(),
            Self::Attribute(index) => attributes.get(KEYS[*index]).cloned().unwrap_or(Owned::Nil),
            Self::Math(left, sign, right) => {
                match (left.eval(attributes)?, right.eval(attributes)?) {
                    (Owned::Int(a), Owned::Int(b)) => Owned::Int(match *sign {
                        "+" => a.wrapping_add(b),
                        "-" => a.wrapping_sub(b),
                        "*" => a.wrapping_mul(b),
                        _ if b == 0 => return None,
                        _ => a.wrapping_div(b),
                    }),
                    (a, b) => {
                        let (a, b) = (a.number()?, b.number()?);
                        Owned::Double(match *sign {
                            "+" => a + b,
                            "-" => a - b,
                            "*" => a * b,
                            _ if b == 0.0 => return None,
                            _ => a / b,
                        })
                    }
                }
            }
        })
    }
}

impl Owned {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }
}

impl Test {
    fn text(&self) -> String {
        match self {
            Self::Compare(left, sign, right) => format!("{} {sign} {}", left.text(), right.text()),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::And(left, right) => format!("({}) and ({})", left.text(), right.text()),
            Self::Or(left, right) => format!("({}) or ({})", left.text(), right.text()),
        }
    }

    fn eval(&self, attributes: &Attributes) -> Option<bool> {
        Some(match self {
            Self::Compare(left, sign, right) => {
                let (left, right) = (left.eval(attributes)?, right.eval(attributes)?);
                let order = match (&left, &right) {
                    (Owned::Nil, Owned::Nil) => Some(std::cmp::Ordering::Equal),
                    (Owned::Bool(a), Owned::Bool(b)) => Some(a.cmp(b)),
                    (Owned::Str(a), Owned::Str(b)) => Some(a.cmp(b)),
                    (Owned::Int(a), Owned::Int(b)) => Some(a.cmp(b)),
                    (a, b) => match (a.number(), b.number()) {
                        (Some(a), Some(b)) => a.partial_cmp(&b),
                        _ => None,
                    },
                };
                match *sign {
                    "==" => order.is_some_and(std::cmp::Ordering::is_eq),
                    "!=" => !order.is_some_and(std::cmp::Ordering::is_eq),
                    "<" => order.is_some_and(std::cmp::Ordering::is_lt),
                    "<=" => order.is_some_and(std::cmp::Ordering::is_le),
                    ">" => order.is_some_and(std::cmp::Ordering::is_gt),
                    _ => order.is_some_and(std::cmp::Ordering::is_ge),
                }
            }
            Self::Not(inner) => !inner.eval(attributes)?,
            Self::And(left, right) => left.eval(attributes)? && right.eval(attributes)?,
            Self::Or(left, right) => left.eval(attributes)? || right.eval(attributes)?,
        })
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    prop_oneof![
        Just(Owned::Nil),
        any::<bool>().prop_map(Owned::Bool),
        (-3_i64..4).prop_map(Owned::Int),
        (-12_i32..13).prop_map(|eighths| Owned::Double(f64::from(eighths) / 8.0)),
        "[ab]{0,2}".prop_map(Owned::Str),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        1 => owned().prop_map(Expr::Literal),
        3 => (0..KEYS.len()).prop_map(Expr::Attribute),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        // Only what can be calculated with may stand in a sum, as the grammar has it.
        let number = inner.prop_filter("calculable", |expr| {
            !matches!(
                expr,
                Expr::Literal(Owned::Nil | Owned::Bool(_) | Owned::Str(_))
            )
        });
        let sign = prop_oneof![Just("+"), Just("-"), Just("*"), Just("/")];
        (number.clone(), sign, number)
            .prop_map(|(left, sign, right)| Expr::Math(Box::new(left), sign, Box::new(right)))
            // What is known beforehand may fail beforehand.
            .prop_filter("not known", |expr| expr.text().contains("attributes"))
    })
}

fn test() -> impl Strategy<Value = Test> {
    let sign = prop_oneof![
        Just("=="),
        Just("!="),
        Just("<"),
        Just("<="),
        Just(">"),
        Just(">=")
    ];
    let leaf =
        (expr(), sign, expr()).prop_map(|(left, sign, right)| Test::Compare(left, sign, right));
    leaf.prop_recursive(3, 8, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|test| Test::Not(Box::new(test))),
            two.clone()
                .prop_map(|(left, right)| Test::And(Box::new(left), Box::new(right))),
            two.prop_map(|(left, right)| Test::Or(Box::new(left), Box::new(right))),
        ]
    })
}

fn payload(attributes: &Attributes) -> Payload {
    let attributes = attributes.iter().filter_map(|(key, value)| {
        let value = match value {
            Owned::Nil => return None,
            Owned::Bool(value) => Proto::BoolValue(*value),
            Owned::Int(value) => Proto::IntValue(*value),
            Owned::Double(value) => Proto::DoubleValue(*value),
            Owned::Str(text) => Proto::StringValue(text.clone()),
        };
        Some(attribute(key, value))
    });
    let record = LogRecord {
        attributes: attributes.collect(),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs {
        log_records: vec![record],
        ..ScopeLogs::default()
    }];
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs,
            ..ResourceLogs::default()
        }],
    };
    let admitted = Payload::admit(Signal::Logs, request.encode_to_vec().into(), None);
    admitted.unwrap().payload
}

fn owned_attributes(payload: &Payload) -> Attributes {
    use tidegate_pdata::view::AnyValue;
    let group = payload.resource_logs().next().unwrap();
    let record = group.scopes().next().unwrap().log_records().next().unwrap();
    record
        .attributes()
        .map(|(key, value)| {
            let key = KEYS.iter().find(|known| key == **known).unwrap();
            let value = match value {
                AnyValue::Bool(value) => Owned::Bool(value),
                AnyValue::Int(value) => Owned::Int(value),
                AnyValue::Double(value) => Owned::Double(value),
                AnyValue::String(text) => Owned::Str(text.to_str().into_owned()),
                other => panic!("{other:?}"),
            };
            (*key, value)
        })
        .collect()
}

/// Equal, where not a number equals itself.
fn same(left: &Attributes, right: &Attributes) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

proptest! {
    #[test]
    fn statements_equal_an_interpreter_on_owned_values(
        values in prop::collection::vec(owned(), 3),
        statements in prop::collection::vec((0..KEYS.len(), expr(), test()), 1..4),
    ) {
        let mut model: Attributes = KEYS.into_iter().zip(values).collect();
        model.retain(|_, value| *value != Owned::Nil);
        let compiled: Vec<Statement> = statements
            .iter()
            .map(|(target, value, test)| {
                let key = KEYS[*target];
                let (value, test) = (value.text(), test.text());
                let text = format!("set(attributes[{key:?}], {value}) where {test}");
                Statement::compile(&text, Context::Log).unwrap_or_else(|error| panic!("{error}"))
            })
            .collect();
        let before = payload(&model);
        let mut outcomes = Vec::new();
        let after = Splicer::default().edit(before, &mut Each(|record: &mut LogRecordEditor<'_>| {
            let mut room = Room::default();
            for statement in &compiled {
                outcomes.push(statement.execute(&mut Subject::log(record, &mut room)).ok());
            }
        }));
        for ((target, value, test), outcome) in statements.iter().zip(outcomes) {
            let mut expected = test.eval(&model);
            if expected == Some(true) {
                match value.eval(&model) {
                    None => expected = None,
                    Some(Owned::Nil) => {}
                    Some(value) => drop(model.insert(KEYS[*target], value)),
                }
            }
            prop_assert_eq!(outcome, expected, "{}", test.text());
        }
        prop_assert!(same(&owned_attributes(&after), &model), "{:?}", model);
    }
}
