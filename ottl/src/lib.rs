//! The OpenTelemetry Transformation Language over OTLP as bytes.
//!
//! Statements and conditions are parsed with positions, checked and compiled once; they read fields where
//! they lie and edit through the splicer. Conditions that compare, match and look into what there is
//! allocate nothing. Only what has to be taken apart or put together (JSON, flattened maps) is owned on the
//! way.
//!
//! ```
//! use tidegate_ottl::{Condition, Context};
//!
//! let condition = Condition::compile(r#"attributes["http.status_code"] >= 500"#, Context::Span);
//! assert!(condition.is_ok());
//! let fault = Condition::compile(r#"nmae == "a""#, Context::Span).unwrap_err();
//! assert_eq!(fault.position(), (1, 1));
//! assert_eq!(fault.remedy.as_deref(), Some("write `span.name`"));
//! ```

mod ast;
mod compare;
mod compile;
mod context;
mod error;
mod explain;
mod fault;
mod faults;
mod functions;
#[cfg(any(test, feature = "testing"))]
pub mod hostile;
mod lexer;
mod parser;
mod paths;
mod plan;
mod program;
mod subject;
mod text;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use context::Context;
pub use error::Error;
pub use fault::Fault;
pub use faults::{ErrorMode, Faults, build_error};
pub use program::{Condition, Statement, infer_context};
pub use subject::{Room, Subject};
