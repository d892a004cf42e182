//! The binary protocol: numbers in full, big end first.

use super::bytes::Bytes;
use super::{Fault, Field, Kind, Protocol, What};

/// Reads the binary protocol.
#[derive(Clone, Copy, Debug)]
pub struct Binary<'a>(Bytes<'a>);

impl<'a> Binary<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(Bytes::new(bytes))
    }

    fn kind(&mut self) -> Result<Option<Kind>, Fault> {
        let at = self.0;
        Ok(Some(match self.0.byte()? {
            0 => return Ok(None),
            2 => Kind::Bool,
            3 => Kind::I8,
            4 => Kind::Double,
            6 => Kind::I16,
            8 => Kind::I32,
            10 => Kind::I64,
            11 => Kind::Bytes,
            12 => Kind::Struct,
            13 => Kind::Map,
            14 | 15 => Kind::List,
            other => return Err(at.fault(What::NoSuchType(other))),
        }))
    }

    fn length(&mut self) -> Result<u64, Fault> {
        let at = self.0;
        let length = i32::from_be_bytes(self.0.array()?);
        // A negative one is as far past the end as can be.
        u64::try_from(length).map_err(|_| at.fault(What::PastTheEnd(u64::from(length as u32))))
    }

    /// A kind of elements, of which there may be none in an empty list or map.
    fn element(&mut self) -> Result<Kind, Fault> {
        Ok(self.kind()?.unwrap_or(Kind::Bool))
    }
}

/// The fewest bytes that a value takes.
const fn least(kind: Kind) -> usize {
    match kind {
        Kind::Bool | Kind::I8 | Kind::Struct => 1,
        Kind::I16 => 2,
        Kind::I32 | Kind::Bytes => 4,
        Kind::I64 | Kind::Double => 8,
        Kind::Map => 6,
        Kind::List => 5,
    }
}

impl<'a> Protocol<'a> for Binary<'a> {
    fn call(&mut self) -> Result<&'a [u8], Fault> {
        const CALL: u32 = 1;
        const ONEWAY: u32 = 4;
        let at = self.0;
        let name;
        let kind = if self.0.first().is_some_and(|byte| byte & 0x80 > 0) {
            let version = u32::from_be_bytes(self.0.array()?);
            if version & 0xffff_ff00 != 0x8001_0000 {
                return Err(at.fault(What::NoCall));
            }
            name = self.bytes()?;
            version & 0xff
        } else {
            // The form without a version, which old clients have.
            name = self.bytes()?;
            u32::from(self.0.byte()?)
        };
        let _sequence = self.i32()?;
        match kind {
            CALL | ONEWAY => Ok(name),
            _ => Err(at.fault(What::NoCall)),
        }
    }

    fn field(&mut self, _: i16) -> Result<Option<Field>, Fault> {
        let Some(kind) = self.kind()? else {
            return Ok(None);
        };
        Ok(Some(Field {
            id: self.i16()?,
            kind,
            truth: None,
        }))
    }

    fn list(&mut self) -> Result<(Kind, usize), Fault> {
        let kind = self.element()?;
        let count = self.length()?;
        Ok((kind, self.0.count(count, least(kind))?))
    }

    fn map(&mut self) -> Result<Option<(Kind, Kind, usize)>, Fault> {
        let (key, value) = (self.element()?, self.element()?);
        let count = self.length()?;
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
        self.0.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Fault> {
        self.0.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, Fault> {
        self.0.array().map(i64::from_be_bytes)
    }

    fn double(&mut self) -> Result<f64, Fault> {
        self.0.array().map(f64::from_be_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.length()?;
        self.0.take(length)
    }

    fn fault(&self, what: What) -> Fault {
        self.0.fault(what)
    }
}
