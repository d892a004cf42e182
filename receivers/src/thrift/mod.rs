//! Thrift, as far as reading goes: the binary and the compact protocol.
//!
//! Bounded on any input: a length or a count that passes what is left is a fault before anything is
//! made of it, and what is not known is skipped to a fixed depth.

mod binary;
mod bytes;
mod compact;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use binary::Binary;
pub use bytes::{Fault, What};
pub use compact::Compact;

/// Levels of lists, maps and structs that are skipped.
const MAX_DEPTH: usize = 32;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    /// Text and bytes alike.
    Bytes,
    Struct,
    Map,
    /// A set is written as a list is.
    List,
}

/// What stands before the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its number in the struct.
    pub id: i16,
    pub kind: Kind,
    /// The value of a truth, where it stands here already.
    truth: Option<bool>,
}

/// Reads one of the protocols.
///
/// Each method reads what its name says; the caller knows from the field before it what comes.
pub trait Protocol<'a> {
    /// The head of a call: the name of the method. Its arguments follow, as a struct.
    fn call(&mut self) -> Result<&'a [u8], Fault>;

    /// What stands before the next field of a struct; none at its end. `last` is the number of the
    /// field before, 0 at the beginning.
    fn field(&mut self, last: i16) -> Result<Option<Field>, Fault>;

    /// What stands before the elements of a list, whose count what is left has room for.
    fn list(&mut self) -> Result<(Kind, usize), Fault>;

    /// What stands before the entries of a map; none for an empty one.
    fn map(&mut self) -> Result<Option<(Kind, Kind, usize)>, Fault>;

    fn truth(&mut self) -> Result<bool, Fault>;
    fn i8(&mut self) -> Result<i8, Fault>;
    fn i16(&mut self) -> Result<i16, Fault>;
    fn i32(&mut self) -> Result<i32, Fault>;
    fn i64(&mut self) -> Result<i64, Fault>;
    fn double(&mut self) -> Result<f64, Fault>;
    fn bytes(&mut self) -> Result<&'a [u8], Fault>;

    /// A fault at the next byte.
    fn fault(&self, what: What) -> Fault;

    /// The truth that a field says.
    fn truth_of(&mut self, field: Field) -> Result<bool, Fault> {
        match field.truth {
            Some(truth) => Ok(truth),
            None => self.truth(),
        }
    }

    /// Passes over the value of a field.
    fn skip(&mut self, field: Field) -> Result<(), Fault> {
        match field.truth {
            Some(_) => Ok(()),
            None => self.skip_value(field.kind, MAX_DEPTH),
        }
    }

    /// Passes over a value that takes at most `depth` levels.
    fn skip_value(&mut self, kind: Kind, depth: usize) -> Result<(), Fault> {
        match kind {
            Kind::Bool => drop(self.truth()?),
            Kind::I8 => drop(self.i8()?),
            Kind::I16 => drop(self.i16()?),
            Kind::I32 => drop(self.i32()?),
            Kind::I64 => drop(self.i64()?),
            Kind::Double => drop(self.double()?),
            Kind::Bytes => drop(self.bytes()?),
            Kind::Struct | Kind::Map | Kind::List if depth == 0 => {
                return Err(self.fault(What::TooDeep));
            }
            Kind::Struct => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    last = field.id;
                    if field.truth.is_none() {
                        self.skip_value(field.kind, depth - 1)?;
                    }
                }
            }
            Kind::Map => {
                if let Some((key, value, count)) = self.map()? {
                    for _ in 0..count {
                        self.skip_value(key, depth - 1)?;
                        self.skip_value(value, depth - 1)?;
                    }
                }
            }
            Kind::List => {
                let (element, count) = self.list()?;
                for _ in 0..count {
                    self.skip_value(element, depth - 1)?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a struct field by field: what `read` does not know of is passed over.
///
/// `read` says whether the field was its to read.
pub fn read_struct<'a, P: Protocol<'a>>(
    from: &mut P,
    mut read: impl FnMut(&mut P, Field) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let mut last = 0;
    while let Some(field) = from.field(last)? {
        last = field.id;
        if !read(from, field)? {
            from.skip(field)?;
        }
    }
    Ok(())
}

/// Reads the structs of a list; elements of another kind are passed over.
pub fn read_structs<'a, P: Protocol<'a>>(
    from: &mut P,
    mut read: impl FnMut(&mut P) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let (kind, count) = from.list()?;
    for _ in 0..count {
        match kind {
            Kind::Struct => read(from)?,
            other => from.skip_value(other, MAX_DEPTH)?,
        }
    }
    Ok(())
}

/// The fields that a struct must have, by number.
#[derive(Clone, Copy, Debug)]
pub struct Required {
    name: &'static str,
    missing: u32,
}

impl Required {
    /// Those of a struct with this name.
    pub const fn new(name: &'static str, fields: &[u8]) -> Self {
        let mut missing = 0;
        let mut at = 0;
        while at < fields.len() {
            missing |= 1 << fields[at];
            at += 1;
        }
        Self { name, missing }
    }

    /// Notes that one is there.
    pub const fn seen(&mut self, id: i16) {
        if id >= 0 && id < 32 {
            self.missing &= !(1 << id);
        }
    }

    /// Checks that all were there.
    pub fn check<'a, P: Protocol<'a>>(self, from: &P) -> Result<(), Fault> {
        match self.missing {
            0 => Ok(()),
            missing => Err(from.fault(What::Missing {
                of: self.name,
                field: missing.trailing_zeros(),
            })),
        }
    }
}
