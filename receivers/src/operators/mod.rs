//! Operators: what a receiver of log lines does with each of them, one after the other.
//!
//! An [`Entry`] is a record that operators may change as they like; a [`Chain`] joins the operators of
//! a configuration; a [`Composer`] writes what comes out. Receivers without operators write lines
//! straight to the composer.

mod chain;
mod compose;
mod config;
mod container;
mod entry;
mod expr;
mod field;
mod gather;
mod join;
mod parsers;
mod recombine;
mod severity;
mod stamps;
mod syslog;
mod time;
mod trace;
mod transforms;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use chain::Chain;
pub(crate) use compose::{Composer, Line, attributes};
pub(crate) use config::{OnError, OperatorConfig, SyslogParser};
pub(crate) use entry::{Entry, Origin};
pub(crate) use parsers::json;
pub(crate) use stamps::Stamps;
pub(crate) use syslog::Protocol;
pub(crate) use time::TextTime;
pub(crate) use value::{Map, Text, Value};
