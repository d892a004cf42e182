//! Objects of OTLP as it is: JSON, a request a line, or protobuf, which appended is one request.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use tidegate_pdata::{Payload, Signal, json};

/// How an object is compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    /// What names end with.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineFormat {
    /// OTLP/JSON, a request each line; the last line may end without a line break.
    Json {
        /// Whether each line ends with a line break.
        ended: bool,
    },
    /// OTLP protobuf: one request.
    Proto,
    /// The bodies of log records as text, one each line.
    Body,
}

/// An object that is being written.
pub(super) struct Lines {
    format: LineFormat,
    out: Output,
    scratch: Vec<u8>,
}

enum Output {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Lines {
    pub(super) fn new(
        format: LineFormat,
        compression: Compression,
        level: i32,
    ) -> io::Result<Self> {
        let out = match compression {
            Compression::None => Output::Plain(Vec::new()),
            Compression::Gzip => {
                let level = flate2::Compression::new(level.clamp(0, 9).unsigned_abs());
                Output::Gzip(GzEncoder::new(Vec::new(), level))
            }
            Compression::Zstd => {
                Output::Zstd(zstd::stream::write::Encoder::new(Vec::new(), level)?)
            }
        };
        Ok(Self {
            format,
            out,
            scratch: Vec::new(),
        })
    }

    /// Adds the records of a payload.
    pub(super) fn add(&mut self, payload: &Payload) -> io::Result<()> {
        let requests = payload
            .segments()
            .iter()
            .map(|segment| &segment.bytes()[..]);
        match self.format {
            LineFormat::Proto => {
                if let [whole] = payload.segments() {
                    return self.out.write(whole.bytes());
                }
                // In one piece, as what a compressor makes of it may depend on the pieces.
                self.scratch.clear();
                requests.for_each(|request| self.scratch.extend_from_slice(request));
            }
            LineFormat::Json { ended } => {
                self.scratch.clear();
                json::to_json(payload.signal(), requests, &mut self.scratch);
                if ended {
                    self.scratch.push(b'\n');
                }
            }
            LineFormat::Body => {
                self.scratch.clear();
                bodies(payload, &mut self.scratch);
            }
        }
        self.out.write(&self.scratch)
    }

    /// Bytes written so far; what a compressor holds back is not among them.
    pub(super) fn bytes(&self) -> usize {
        match &self.out {
            Output::Plain(out) => out.len(),
            Output::Gzip(out) => out.get_ref().len(),
            Output::Zstd(out) => out.get_ref().len(),
        }
    }

    /// Ends the object.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self.out {
            Output::Plain(out) => Ok(out),
            Output::Gzip(out) => out.finish(),
            Output::Zstd(out) => out.finish(),
        }
    }
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(out) => out.write_all(bytes),
            Self::Zstd(out) => out.write_all(bytes),
        }
    }
}

/// Writes the bodies of log records, one each line, as the Collector's `body` marshaler does.
fn bodies(payload: &Payload, out: &mut Vec<u8>) {
    debug_assert_eq!(payload.signal(), Signal::Logs);
    let mut text = String::new();
    for resource in payload.resource_logs() {
        for scope in resource.scopes() {
            for log in scope.log_records() {
                text.clear();
                // Writing into a string cannot fail.
                let _ = log.body().unwrap_or_default().write_text(&mut text);
                out.extend_from_slice(text.as_bytes());
                out.push(b'\n');
            }
        }
    }
}
