//! The compact protocol: numbers as short as they can be.

use super::bytes::{Bytes, least};
use super::{Fault, Field, Kind, Protocol, What};

/// Reads the compact protocol.
#[derive(Clone, Copy, Debug)]
pub struct Compact<'a>(Bytes<'a>);

impl<'a> Compact<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(Bytes::new(bytes))
    }

    /// A signed number of at most `bits` bits, whose sign is its lowest bit.
    fn zigzag(&mut self, bits: u32) -> Result<i64, Fault> {
        let value = self.0.varint(bits)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn kind(&self, nibble: u8) -> Result<Kind, Fault> {
        Ok(match nibble & 0x0f {
            1 | 2 => Kind::Bool,
            3 => Kind::I8,
            4 => Kind::I16,
            5 => Kind::I32,
            6 => Kind::I64,
            7 => Kind::Double,
            8 => Kind::Bytes,
            9 | 10 => Kind::List,
            11 => Kind::Map,
            12 => Kind::Struct,
            other => return Err(self.0.fault(What::NoSuchType(other))),
        })
    }
}

impl<'a> Protocol<'a> for Compact<'a> {
    fn call(&mut self) -> Result<&'a [u8], Fault> {
        const PROTOCOL: u8 = 0x82;
        const VERSION: u8 = 1;
        const CALL: u8 = 1;
        const ONEWAY: u8 = 4;
        let at = self.0;
        let [protocol, head] = self.0.array()?;
        let (version, kind) = (head & 0x1f, head >> 5);
        if protocol != PROTOCOL || version != VERSION || !matches!(kind, CALL | ONEWAY) {
            return Err(at.fault(What::NoCall));
        }
        let _sequence = self.0.varint(32)?;
        self.bytes()
    }

    fn field(&mut self, last: i16) -> Result<Option<Field>, Fault> {
        let head = self.0.byte()?;
        if head & 0x0f == 0 {
            return Ok(None);
        }
        let kind = self.kind(head)?;
        let id = match head >> 4 {
            0 => self.i16()?,
            step => last.wrapping_add(i16::from(step)),
        };
        Ok(Some(Field {
            id,
            kind,
            truth: (kind == Kind::Bool).then_some(head & 0x0f == 1),
        }))
    }

    fn list(&mut self) -> Result<(Kind, usize), Fault> {
        let head = self.0.byte()?;
        let count = match head >> 4 {
            15 => self.0.varint(32)?,
            count => u64::from(count),
        };
        // An empty list may have any type.
        if count == 0 {
            return Ok((Kind::Bool, 0));
        }
        let kind = self.kind(head)?;
        Ok((kind, self.0.count(count, least(kind))?))
    }

    fn map(&mut self) -> Result<Option<(Kind, Kind, usize)>, Fault> {
        let count = self.0.varint(32)?;
        if count == 0 {
            return Ok(None);
        }
        let kinds = self.0.byte()?;
        let (key, value) = (self.kind(kinds >> 4)?, self.kind(kinds)?);
        let count = self.0.count(count, least(key) + least(value))?;
        Ok(Some((key, value, count)))
    }

    fn truth(&mut self) -> Result<bool, Fault> {
        Ok(self.0.byte()? == 1)
    }

    fn i8(&mut self) -> Result<i8, Fault> {
        self.0.array().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> Result<i16, Fault> {
        Ok(self.zigzag(16)? as i16)
    }

    fn i32(&mut self) -> Result<i32, Fault> {
        Ok(self.zigzag(32)? as i32)
    }

    fn i64(&mut self) -> Result<i64, Fault> {
        self.zigzag(64)
    }

    fn double(&mut self) -> Result<f64, Fault> {
        self.0.array().map(f64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.0.varint(32)?;
        self.0.take(length)
    }

    fn fault(&self, what: What) -> Fault {
        self.0.fault(what)
    }
}
