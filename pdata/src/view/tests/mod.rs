//! Views against the types that prost decodes into, and values against the Collector's text.

mod text;

use opentelemetry_proto::tonic::common::v1 as common;
use prost::Message;

use super::*;
