//! Files that are read as they grow: found by patterns, followed through rotations, split into
//! entries, with the place in each kept for the next process.

mod about;
mod config;
mod encoding;
mod find;
mod fingerprint;
mod glob;
mod order;
mod place;
mod reader;
mod source;
mod split;
mod tracker;

pub(crate) use config::{FilesKeys, Multiline, Settings, StartAt};
pub(crate) use encoding::Encoding;
pub(crate) use find::Finder;
pub(crate) use fingerprint::Fingerprint;
pub(crate) use place::Place;
pub(crate) use reader::{End, Read, Reader, Taker};
pub(crate) use split::{Splitter, trimmed};
pub(crate) use tracker::Tracker;
