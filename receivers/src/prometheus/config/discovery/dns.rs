//! `dns_sd_configs`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::every;
use crate::prometheus::config::types::Span;
use crate::prometheus::discovery::dns::{Kind, Names};

/// `dns_sd_configs`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct DnsKeys {
    /// The names to look up, at least one.
    names: Vec<String>,
    /// The kind of record: SRV (unless told), A, AAAA, MX or NS.
    #[schemars(extend("x-ignore-case" = true))]
    r#type: Kind,
    /// The port of records without one: of all but SRV.
    port: u16,
    /// How often the names are looked up; 30s unless told.
    refresh_interval: Option<Span>,
}

impl DnsKeys {
    pub(super) fn build(&self, path: &str) -> Result<Names, BuildError> {
        if self.names.is_empty() {
            let path = format!("{path}::names");
            return Err(BuildError::at(path, "no name is given").remedy("name what to look up"));
        }
        if self.port == 0 && self.r#type != Kind::Srv {
            let path = format!("{path}::port");
            let message = "records of this kind have no port";
            return Err(BuildError::at(path, message).remedy("write the port of the targets"));
        }
        Ok(Names {
            names: self.names.clone(),
            kind: self.r#type,
            port: self.port,
            pause: every(self.refresh_interval, 30, path)?,
        })
    }
}
