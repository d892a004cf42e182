//! The keys of `syslog`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, ComponentId, Receiver, Stability,
};
use tidegate_document::{ByteSize, Duration as Time};
use tidegate_pdata::Signals;
use tidegate_transport::datagrams::PREFIX;
use tidegate_transport::server::Address;
use tidegate_transport::tls::ServerTls;

use super::Syslog;
use super::framing::Framing;
use super::pipe::Pipe;
use crate::files::{Encoding, Multiline, Splitter};
use crate::offering::{Retry, RetryKeys};
use crate::operators::{Chain, OnError, OperatorConfig, Protocol, Stamps, SyslogParser, Value};

/// The largest message of counted octets where no other size is named.
const MAX_OCTETS: usize = 8192;
/// The largest message that may be asked for.
const LARGEST: u64 = 256 << 20;

/// Receives syslog messages over TCP or UDP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Listens for connections.
    #[serde(default)]
    tcp: Option<Tcp>,
    /// Listens for datagrams.
    #[serde(default)]
    udp: Option<Udp>,
    /// The form of the messages: rfc3164 or rfc5424.
    protocol: Protocol,
    /// The time zone of times that name none (rfc3164); UTC unless told.
    #[serde(default)]
    location: Option<String>,
    /// Each message of a connection begins with its length (rfc5424 over TCP); those that do not end with their line.
    #[serde(default)]
    enable_octet_counting: bool,
    /// The largest message with a length, in bytes; 8192 unless told, as for `0`.
    #[serde(default)]
    max_octets: usize,
    /// Takes messages without a priority.
    #[serde(default)]
    allow_skip_pri_header: bool,
    /// What ends each message of a connection: LF or NUL (rfc5424 over TCP).
    #[serde(default)]
    non_transparent_framing_trailer: Option<Trailer>,
    /// What becomes of a message that cannot be parsed: send, send_quiet, drop or drop_quiet.
    #[serde(default)]
    on_error: OnError,
    /// What is done with records, one after the other; the original's operators. docs/operators.md has them all.
    #[serde(default)]
    operators: Vec<OperatorConfig>,
    /// Attributes that all records have; `EXPR(…)` in a text is what an expression comes to.
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    /// Attributes that all their resources have.
    #[serde(default)]
    resource: BTreeMap<String, Value>,
    /// How what the pipelines refuse is tried again.
    #[serde(default)]
    retry_on_failure: RetryKeys,
    /// Accepted and without effect: there is nothing to remember.
    #[serde(default, rename = "storage")]
    _storage: Option<ComponentId>,
}

/// What ends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum Trailer {
    #[serde(rename = "LF")]
    Lf,
    #[serde(rename = "NUL")]
    Nul,
}

/// `tcp`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Tcp {
    /// Host and port to listen on.
    listen_address: String,
    /// TLS, spoken where the section is written.
    tls: Option<ServerTls>,
    /// The largest message; a larger one goes on in pieces.
    max_log_size: ByteSize,
    /// The original's older name for `max_log_size`.
    max_buffer_size: Option<ByteSize>,
    /// Gives records the addresses of both sides, as `net.peer.ip`.
    add_attributes: bool,
    /// Takes what is read at once for one message.
    one_log_per_packet: bool,
    /// How messages are text, as `utf-8` or `nop`.
    encoding: String,
    /// Tells messages apart by patterns, in place of lines.
    multiline: Option<Multiline>,
    /// Keeps white space at the beginning of messages.
    preserve_leading_whitespaces: bool,
    /// Keeps white space at the end of messages.
    preserve_trailing_whitespaces: bool,
    /// Connections at a time, of which one client has at most eight ninths; 65536 unless told, as for `0`.
    max_connections: usize,
    /// How long a connection may be idle; for ever unless told, as for `0s`.
    connection_idle_timeout: Time,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            listen_address: String::new(),
            tls: None,
            max_log_size: ByteSize::mib(1),
            max_buffer_size: None,
            add_attributes: false,
            one_log_per_packet: false,
            encoding: "utf-8".to_owned(),
            multiline: None,
            preserve_leading_whitespaces: false,
            preserve_trailing_whitespaces: false,
            max_connections: 0,
            connection_idle_timeout: Time::default(),
        }
    }
}

/// `udp`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Udp {
    /// Host and port to listen on.
    listen_address: String,
    /// Gives records the addresses of both sides, as `net.peer.ip`.
    add_attributes: bool,
    /// Takes a datagram for one message; without it, and without `multiline`, it is one as well.
    one_log_per_packet: bool,
    /// How messages are text, as `utf-8` or `nop`.
    encoding: String,
    /// Tells messages of a datagram apart by patterns.
    multiline: Option<Multiline>,
    /// Keeps white space at the beginning of messages.
    preserve_leading_whitespaces: bool,
    /// Keeps white space at the end of messages.
    preserve_trailing_whitespaces: bool,
    /// Accepted and without effect: what is read is parsed where it is read.
    #[serde(rename = "async")]
    side_by_side: Option<Async>,
}

impl Default for Udp {
    fn default() -> Self {
        Self {
            listen_address: String::new(),
            add_attributes: false,
            one_log_per_packet: false,
            encoding: "utf-8".to_owned(),
            multiline: None,
            preserve_leading_whitespaces: false,
            preserve_trailing_whitespaces: false,
            side_by_side: None,
        }
    }
}

/// `async`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Async {
    /// Accepted and without effect.
    readers: usize,
    /// Accepted and without effect.
    processors: usize,
    /// Accepted and without effect.
    max_queue_length: usize,
}

/// The keys, checked.
pub(super) struct Settings {
    pub(super) pipe: Pipe,
    pub(super) place: Place,
    pub(super) retry: Retry,
}

/// Where messages come in.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Tcp(Box<TcpPlace>),
    Udp(UdpPlace),
}

/// A socket for connections.
#[derive(Clone, Debug)]
pub(super) struct TcpPlace {
    pub(super) address: Address,
    pub(super) tls: Option<ServerTls>,
    pub(super) framing: Framing,
    pub(super) add_attributes: bool,
    pub(super) max_connections: usize,
    pub(super) idle: Option<Duration>,
}

/// A socket for datagrams.
#[derive(Clone, Debug)]
pub(super) struct UdpPlace {
    pub(super) address: Address,
    pub(super) framing: Framing,
    pub(super) add_attributes: bool,
}

fn address(text: &str, path: &str) -> Result<Address, BuildError> {
    Address::parse(text, "tcp").map_err(|error| {
        let text = error.to_string();
        // What it says to write is the port of another protocol.
        let fault = text.split("; ").next().unwrap_or(&text).to_owned();
        BuildError::at(path, fault).remedy("write host and port, as \"0.0.0.0:514\"")
    })
}

impl Tcp {
    fn place(&self, config: &Config) -> Result<TcpPlace, BuildError> {
        let at = |key: &str| format!("tcp::{key}");
        let size = self.max_buffer_size.unwrap_or(self.max_log_size);
        if !(1..=LARGEST).contains(&size.0) {
            let message = "must lie between 1 byte and 256MiB";
            return Err(BuildError::at(at("max_log_size"), message));
        }
        if let Some(tls) = &self.tls {
            tls.check().map_err(|error| error.at("tcp::tls"))?;
        }
        let encoding = Encoding::named(&self.encoding, &at("encoding"))?;
        let by = match (&self.multiline, config.non_transparent_framing_trailer) {
            (Some(multiline), None) => multiline.splitter(encoding, "tcp::multiline")?,
            (Some(_), Some(_)) => {
                let message = "a trailer ends messages already";
                return Err(BuildError::at(at("multiline"), message));
            }
            (None, Some(Trailer::Nul)) => Splitter::Zeros,
            (None, Some(Trailer::Lf)) => Splitter::Lines,
            (None, None) if self.one_log_per_packet => Splitter::Never,
            (None, None) => Splitter::plain(encoding),
        };
        let idle = self.connection_idle_timeout;
        Ok(TcpPlace {
            address: address(&self.listen_address, &at("listen_address"))?,
            tls: self.tls.clone(),
            framing: Framing {
                by,
                octets: config
                    .enable_octet_counting
                    .then_some(match config.max_octets {
                        0 => MAX_OCTETS,
                        most => most,
                    }),
                at_once: self.one_log_per_packet,
                largest: usize::try_from(size.0).unwrap_or(usize::MAX),
                encoding,
                leading: !self.preserve_leading_whitespaces,
                trailing: !self.preserve_trailing_whitespaces,
            },
            add_attributes: self.add_attributes,
            max_connections: match self.max_connections {
                0 => 65_536,
                most => most,
            },
            idle: (!idle.is_zero()).then(|| idle.into()),
        })
    }
}

impl Udp {
    fn place(&self) -> Result<UdpPlace, BuildError> {
        let encoding = Encoding::named(&self.encoding, "udp::encoding")?;
        let by = match &self.multiline {
            Some(multiline) => multiline.splitter(encoding, "udp::multiline")?,
            None => Splitter::Never,
        };
        Ok(UdpPlace {
            address: address(&self.listen_address, "udp::listen_address")?,
            framing: Framing {
                by,
                octets: None,
                at_once: true,
                largest: usize::from(u16::MAX),
                encoding,
                leading: !self.preserve_leading_whitespaces,
                trailing: !self.preserve_trailing_whitespaces,
            },
            add_attributes: self.add_attributes,
        })
    }
}

impl Config {
    fn place(&self) -> Result<Place, BuildError> {
        let counted = self.enable_octet_counting;
        let trailed = self.non_transparent_framing_trailer.is_some();
        if (counted || trailed) && self.protocol != Protocol::Rfc5424 {
            let key = if counted {
                "enable_octet_counting"
            } else {
                "non_transparent_framing_trailer"
            };
            return Err(BuildError::at(key, "is of rfc5424 alone"));
        }
        if counted && trailed {
            let message = "messages either begin with their length or end with a trailer";
            return Err(BuildError::at("non_transparent_framing_trailer", message));
        }
        if counted && self.allow_skip_pri_header {
            let message = "cannot be told from a length: take `enable_octet_counting` away";
            return Err(BuildError::at("allow_skip_pri_header", message));
        }
        match (&self.tcp, &self.udp) {
            (Some(tcp), None) => Ok(Place::Tcp(Box::new(tcp.place(self)?))),
            (None, Some(udp)) if !counted && !trailed => udp.place().map(Place::Udp),
            (None, Some(_)) => {
                let message = "datagrams need neither a length nor a trailer";
                Err(BuildError::at("udp", message))
            }
            (Some(_), Some(_)) => Err(BuildError::at("udp", "there is `tcp` already")
                .remedy("write a second receiver, as `syslog/udp`")),
            (None, None) => Err(BuildError::at("tcp", "neither `tcp` nor `udp` is named")
                .remedy("write `tcp: {listen_address: \"0.0.0.0:514\"}`")),
        }
    }

    pub(super) fn settings(&self, cx: &BuildContext) -> Result<Settings, BuildError> {
        let place = self.place()?;
        let parser = SyslogParser::of(
            self.protocol,
            self.location.clone(),
            self.allow_skip_pri_header,
            self.on_error,
        );
        let parser = [OperatorConfig::SyslogParser(parser)];
        let parser = Chain::build(&parser, "operators", cx).map_err(|mut error| {
            // What it calls an operator's key is ours.
            error.path = error
                .path
                .rsplit("::")
                .next()
                .unwrap_or_default()
                .to_owned();
            error
        })?;
        let chain = Chain::build(&self.operators, "operators", cx)?;
        let stamps = Stamps::build(&self.attributes, &self.resource)?;
        Ok(Settings {
            pipe: Pipe::new(parser, chain, stamps),
            place,
            retry: self.retry_on_failure.retry(cx),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "syslog";
    const SIGNALS: Signals = Signals::LOGS;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(Syslog::new(self.settings(cx)?)))
    }

    fn listens(&self) -> Vec<(String, String)> {
        match self.place() {
            Ok(Place::Tcp(tcp)) => {
                vec![("tcp::listen_address".to_owned(), tcp.address.to_string())]
            }
            Ok(Place::Udp(udp)) => {
                let listens = format!("{PREFIX}{}", udp.address);
                vec![("udp::listen_address".to_owned(), listens)]
            }
            Err(_) => Vec::new(),
        }
    }
}
