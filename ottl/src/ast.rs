//! Statements and conditions as they were written.

use std::ops::Range;

use crate::lexer::{Comparison, Operation};

pub(crate) type Span = Range<usize>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) editor: Call,
    pub(crate) condition: Option<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Argument {
    pub(crate) name: Option<(String, Span)>,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Const(bool),
    Call(Value),
    Compare(Value, Comparison, Value),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) kind: ValueKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueKind {
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(Vec<u8>),
    Bytes(Vec<u8>),
    /// A name in capitals: of an enumeration, or of a function that is handed on.
    Symbol(String),
    List(Vec<Value>),
    Map(Vec<(Vec<u8>, Value)>),
    Path(Path),
    Call(Call, Vec<Key>),
    Negative(Box<Value>),
    Math(Box<Value>, Operation, Box<Value>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    pub(crate) fields: Vec<Field>,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) kind: KeyKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum KeyKind {
    Str(Vec<u8>),
    Int(i64),
    Value(Box<Value>),
}

/// What a visitor is shown of a statement.
pub(crate) enum Seen<'a> {
    Path(&'a Path),
    /// An editor or converter, or a function that is handed on.
    Function(&'a str),
    Symbol(&'a str),
}

impl Statement {
    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(Seen<'a>)) {
        self.editor.visit(see);
        if let Some(condition) = &self.condition {
            condition.visit(see);
        }
    }
}

impl Call {
    fn visit<'a>(&'a self, see: &mut impl FnMut(Seen<'a>)) {
        see(Seen::Function(&self.name));
        for argument in &self.arguments {
            argument.value.visit(see);
        }
    }
}

impl Condition {
    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(Seen<'a>)) {
        match self {
            Self::Const(_) => {}
            Self::Call(value) => value.visit(see),
            Self::Compare(left, _, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::Not(inner) => inner.visit(see),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.visit(see)),
        }
    }
}

impl Value {
    pub(crate) fn visit<'a>(&'a self, see: &mut impl FnMut(Seen<'a>)) {
        match &self.kind {
            ValueKind::Symbol(name) => see(Seen::Symbol(name)),
            ValueKind::List(values) => values.iter().for_each(|value| value.visit(see)),
            ValueKind::Map(entries) => entries.iter().for_each(|(_, value)| value.visit(see)),
            ValueKind::Path(path) => {
                see(Seen::Path(path));
                for field in &path.fields {
                    visit_keys(&field.keys, see);
                }
            }
            ValueKind::Call(call, keys) => {
                call.visit(see);
                visit_keys(keys, see);
            }
            ValueKind::Negative(value) => value.visit(see),
            ValueKind::Math(left, _, right) => {
                left.visit(see);
                right.visit(see);
            }
            _ => {}
        }
    }
}

fn visit_keys<'a>(keys: &'a [Key], see: &mut impl FnMut(Seen<'a>)) {
    for key in keys {
        if let KeyKind::Value(value) = &key.kind {
            value.visit(see);
        }
    }
}
