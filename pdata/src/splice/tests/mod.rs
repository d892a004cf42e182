//! The splicer against the same edits on what prost decodes.

mod behaviour;

use bytes::Bytes;

use super::*;
