//! Spans of the first format from JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{Annotation, Binary, Endpoint, Said, Span};
use crate::grouped::NoRoom;
use crate::text::Text;
use crate::zipkin::Stop;
use crate::zipkin::json::{self, Fill, List, Object, hexadecimal, plain};

/// Reads a list of spans and hands each over as it is filled.
pub(in crate::zipkin) fn read<'a>(
    body: &'a [u8],
    take: &mut dyn FnMut(&mut Span<'a>) -> Result<(), NoRoom>,
) -> Result<(), Stop> {
    json::read(body, take)
}

/// The ID of a span: 16 digits, not 0.
fn id<'de, A: MapAccess<'de>>(key: &str, from: &mut A) -> Result<u64, A::Error> {
    let text: Text<'de> = plain(from)?;
    let id = hexadecimal(&text).filter(|id| text.len() == 16 && *id != 0);
    match id.and_then(|id| u64::try_from(id).ok()) {
        Some(id) => Ok(id),
        None if text.is_empty() => Ok(0),
        None => {
            let fault = format_args!("{key}: {:?} is no ID of 16 digits", &*text);
            Err(Error::custom(fault))
        }
    }
}

impl<'de> Object<'de> for Span<'de> {
    const NAME: &'static str = "a span";

    fn clear(&mut self) {
        Span::clear(self);
    }

    fn value<A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<bool, A::Error> {
        match key {
            "traceId" => {
                let text: Text<'de> = plain(from)?;
                let id = hexadecimal(&text).filter(|_| matches!(text.len(), 16 | 32));
                self.trace_id = id.ok_or_else(|| {
                    let text = &*text;
                    Error::custom(format_args!(
                        "traceId: {text:?} is no ID of 16 or 32 digits"
                    ))
                })?;
            }
            "id" => self.id = id(key, from)?,
            "parentId" => self.parent = id(key, from)?,
            "name" => self.name = plain(from)?,
            "timestamp" => self.start = plain(from)?,
            "duration" => self.duration = plain(from)?,
            "annotations" => from.next_value_seed(List(&mut self.annotations))?,
            "binaryAnnotations" => from.next_value_seed(List(&mut self.binary))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn fault(&self) -> Option<&'static str> {
        match (self.trace_id, self.id) {
            (0, _) => Some("it has no traceId, or that is 0"),
            (_, 0) => Some("it has no id, or that is 0"),
            _ => None,
        }
    }
}

impl<'de> Object<'de> for Annotation<'de> {
    const NAME: &'static str = "an annotation";

    fn value<A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<bool, A::Error> {
        match key {
            "timestamp" => self.time = plain(from)?,
            "value" => self.value = plain(from)?,
            "endpoint" => self.endpoint = endpoint(from)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Object<'de> for Binary<'de> {
    const NAME: &'static str = "a binary annotation";

    fn value<A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<bool, A::Error> {
        match key {
            "key" => self.key = plain(from)?,
            "value" => self.value = plain(from)?,
            "endpoint" => self.service = endpoint(from)?.unwrap_or_default().service,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn endpoint<'de, A: MapAccess<'de>>(from: &mut A) -> Result<Option<Endpoint<'de>>, A::Error> {
    let mut endpoint = Endpoint::default();
    let is_there = from.next_value_seed(Fill(&mut endpoint))?;
    Ok(is_there.then_some(endpoint))
}

impl<'de> Object<'de> for Endpoint<'de> {
    const NAME: &'static str = "an endpoint";

    fn value<A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<bool, A::Error> {
        match key {
            "serviceName" => self.service = plain(from)?,
            "ipv4" => self.ipv4 = plain(from)?,
            "ipv6" => self.ipv6 = plain(from)?,
            "port" => self.port = plain(from)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Said<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or a truth value")
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Said<'de>, E> {
                Ok(Said::Truth(truth))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Said<'de>, E> {
                Ok(Said::Whole(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Said<'de>, E> {
                let whole = i64::try_from(number).map(Said::Whole);
                Ok(whole.unwrap_or(Said::Double(number as f64)))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Said<'de>, E> {
                Ok(Said::Double(number))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Said<'de>, E> {
                Ok(Said::Text(Text::borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Said<'de>, E> {
                Ok(Said::Text(text.to_owned().into()))
            }
        }

        from.deserialize_any(Read)
    }
}
