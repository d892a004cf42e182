//! One script of edits carried out twice: by the splicer, and on what prost decodes.

mod oracle;
mod script;
mod subject;

pub(crate) use oracle::edit;
pub(crate) use script::Script;
pub(crate) use subject::Subject;
