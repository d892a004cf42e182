//! A payload as it lies in a file.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_pdata::{Payload, json};
use tidegate_transport::compression::{Codec, Level, compress};

/// How requests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OTLP/JSON.
    #[default]
    Json,
    /// OTLP protobuf.
    Proto,
}

/// Room that is kept from one message to the next.
const KEPT: usize = 4 << 20;

/// Writes payloads as messages.
pub(super) struct Messages {
    format: Format,
    zstd: bool,
    text: Vec<u8>,
    out: Vec<u8>,
}

impl Messages {
    pub(super) const fn new(format: Format, zstd: bool) -> Self {
        Self {
            format,
            zstd,
            text: Vec::new(),
            out: Vec::new(),
        }
    }

    /// One message: a line of JSON, or anything else after its length as a `u32`, the highest
    /// byte first.
    ///
    /// # Errors
    /// When it is too long for that.
    pub(super) fn write(&mut self, payload: &Payload) -> Result<&[u8], String> {
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.text.clear();
        self.text.shrink_to(KEPT);
        let segments = payload.segments().iter().map(|segment| &**segment.bytes());
        if self.format == Format::Json && !self.zstd {
            json::to_json(payload.signal(), segments, &mut self.out);
            self.out.push(b'\n');
            return Ok(&self.out);
        }
        self.out.extend_from_slice(&[0; 4]);
        match (self.format, self.zstd) {
            (Format::Json, _) => {
                json::to_json(payload.signal(), segments, &mut self.text);
                squeeze([&*self.text].into_iter(), &mut self.out)?;
            }
            (Format::Proto, true) => squeeze(segments, &mut self.out)?,
            (Format::Proto, false) => {
                segments.for_each(|segment| self.out.extend_from_slice(segment));
            }
        }
        let length = u32::try_from(self.out.len() - 4);
        let length = length.map_err(|_| "longer than 4 GiB".to_owned())?;
        self.out[..4].copy_from_slice(&length.to_be_bytes());
        Ok(&self.out)
    }
}

fn squeeze<'a>(
    segments: impl Iterator<Item = &'a [u8]> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    compress(Codec::Zstd, Level::Default, segments, out).map_err(|error| error.to_string())
}
