//! OTLP/JSON: protobuf's JSON mapping with OTLP's exceptions.
//!
//! IDs are hexadecimal, 64-bit integers strings or numbers, enums numbers (names are read
//! too), keys in lowerCamelCase (snake_case is read too), unknown keys are ignored. The
//! reader turns JSON into protobuf in one pass over a table of the schema; what it writes
//! still has to pass the door, as any request from outside.

mod print;
mod read;
mod schema;
mod write;

#[cfg(test)]
mod tests;

pub use print::to_json;
pub use read::{JsonError, from_json};
