//! Lists of spans in JSON, read into one span that is filled again and again.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Stop;
use super::span::{Annotation, Endpoint, Kind, Span, Tag, address};
use crate::grouped::NoRoom;
use crate::text::Text;

/// An object of JSON that is filled key by key.
pub(super) trait Object<'de>: Default {
    /// What it is, for messages.
    const NAME: &'static str;

    /// Forgets what it was filled with.
    fn clear(&mut self) {
        *self = Self::default();
    }

    /// Reads the value of a key, or says that it has no such key.
    fn value<A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<bool, A::Error>;

    /// Says what is missing.
    fn fault(&self) -> Option<&'static str> {
        None
    }
}

/// Reads a list of spans and hands each over as it is filled.
pub(super) fn read<'de, S: Object<'de>>(
    body: &'de [u8],
    take: &mut dyn FnMut(&mut S) -> Result<(), NoRoom>,
) -> Result<(), Stop> {
    let mut full = false;
    let mut json = serde_json::Deserializer::from_slice(body);
    let spans = Spans {
        take,
        full: &mut full,
    };
    let read = json.deserialize_seq(spans).and_then(|()| json.end());
    match read {
        Ok(()) => Ok(()),
        Err(_) if full => Err(Stop::NoRoom),
        Err(error) => Err(Stop::Malformed(error.to_string())),
    }
}

struct Spans<'t, S> {
    take: &'t mut dyn FnMut(&mut S) -> Result<(), NoRoom>,
    /// Whether there was no room: serde's errors have no kind.
    full: &'t mut bool,
}

impl<'de, S: Object<'de>> Visitor<'de> for Spans<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut span = S::default();
        for at in 0_usize.. {
            span.clear();
            match list.next_element_seed(Fill(&mut span)) {
                Ok(None) => break,
                Ok(Some(false)) => {} // null
                Ok(Some(true)) => {
                    if let Some(fault) = span.fault() {
                        return Err(Error::custom(format_args!("span {at}: {fault}")));
                    }
                    if let Err(NoRoom) = (self.take)(&mut span) {
                        *self.full = true;
                        return Err(Error::custom("no room"));
                    }
                }
                Err(error) => return Err(Error::custom(format_args!("span {at}: {error}"))),
            }
        }
        Ok(())
    }
}

/// Fills an object, and says whether there was one: it may be null.
pub(super) struct Fill<'o, T>(pub(super) &'o mut T);

impl<'de, T: Object<'de>> DeserializeSeed<'de> for Fill<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for Fill<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object, {}", T::NAME)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if !self.0.value(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(true)
    }
}

/// Reads a list of objects; null stands for none.
pub(super) struct List<'o, T>(pub(super) &'o mut Vec<T>);

impl<'de, T: Object<'de>> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of objects, each {}", T::NAME)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let mut element = T::default();
            match list.next_element_seed(Fill(&mut element))? {
                None => return Ok(()),
                Some(false) => {}
                Some(true) => match element.fault() {
                    None => self.0.push(element),
                    Some(fault) => return Err(Error::custom(fault)),
                },
            }
        }
    }
}

/// Reads a value that may be null, which is the same as its default.
pub(super) fn plain<'de, T, A>(from: &mut A) -> Result<T, A::Error>
where
    T: Deserialize<'de> + Default,
    A: MapAccess<'de>,
{
    Ok(from.next_value::<Option<T>>()?.unwrap_or_default())
}

/// The number that hexadecimal digits write.
pub(super) fn hexadecimal(text: &str) -> Option<u128> {
    let digits = text.bytes().map(|byte| (byte as char).to_digit(16));
    let mut number: u128 = 0;
    for digit in digits {
        if number >> 124 > 0 {
            return None;
        }
        number = number << 4 | u128::from(digit?);
    }
    Some(number).filter(|_| !text.is_empty())
}

/// The ID of a span; 0 for an empty one.
fn span_id<'de, A: MapAccess<'de>>(key: &str, from: &mut A) -> Result<u64, A::Error> {
    let text: Text<'de> = plain(from)?;
    if text.is_empty() {
        return Ok(0);
    }
    let id = hexadecimal(&text).and_then(|id| u64::try_from(id).ok());
    id.ok_or_else(|| {
        Error::custom(format_args!(
            "{key}: {text:?} is no ID of 64 bits",
            text = &*text
        ))
    })
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
                let id = hexadecimal(&text);
                self.trace_id = Some(id.ok_or_else(|| {
                    Error::custom(format_args!("traceId: {:?} is no ID of 128 bits", &*text))
                })?);
            }
            "id" => self.id = span_id(key, from)?,
            "parentId" => self.parent = span_id(key, from)?,
            "name" => self.name = plain(from)?,
            "kind" => self.kind = Kind::of(&plain::<Text<'de>, A>(from)?),
            "timestamp" => self.start = Some(plain(from)?).filter(|time| *time > 0),
            "duration" => self.duration = plain(from)?,
            "localEndpoint" => drop(from.next_value_seed(Fill(&mut self.local))?),
            "remoteEndpoint" => drop(from.next_value_seed(Fill(&mut self.remote))?),
            "annotations" => from.next_value_seed(List(&mut self.annotations))?,
            "tags" => from.next_value_seed(Tags(&mut self.tags))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn fault(&self) -> Option<&'static str> {
        match (self.trace_id, self.id) {
            (None, _) => Some("it has no traceId"),
            (_, 0) => Some("it has no id, or that is 0"),
            _ => None,
        }
    }
}

impl<'de> Object<'de> for Endpoint<'de> {
    const NAME: &'static str = "an endpoint";

    fn value<A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<bool, A::Error> {
        let ip = |from: &mut A| {
            let text: Text<'de> = plain(from)?;
            if text.is_empty() {
                return Ok(None);
            }
            let told = text.clone();
            let fault = || Error::custom(format_args!("{key}: {:?} is no IP address", &*told));
            address(text).map(Some).ok_or_else(fault)
        };
        match key {
            "serviceName" => self.service = plain(from)?,
            "ipv4" => self.ipv4 = ip(from)?,
            "ipv6" => self.ipv6 = ip(from)?,
            "port" => self.port = plain(from)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Object<'de> for Annotation<'de> {
    const NAME: &'static str = "an annotation";

    fn value<A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<bool, A::Error> {
        match key {
            "timestamp" => self.time = plain(from)?,
            "value" => self.value = plain(from)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn fault(&self) -> Option<&'static str> {
        (self.time == 0).then_some("an annotation has no timestamp, or that is 0")
    }
}

/// Reads an object whose values are texts.
struct Tags<'o, 'de>(&'o mut Vec<Tag<'de>>);

impl<'de> DeserializeSeed<'de> for Tags<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tags<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object whose values are strings")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let value = plain(&mut map)?;
            self.0.push(Tag { key, value });
        }
        Ok(())
    }
}
