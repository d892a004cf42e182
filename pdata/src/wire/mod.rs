//! Protobuf's wire format: a cursor over bytes, and what is needed to write them.
//!
//! Everything here is bounded and free of panics on any input. Positions are absolute: a
//! cursor over a nested message counts from the start of the outermost buffer, so that a
//! view can tell the splicer where in its segment a field lies.

mod write;

#[cfg(test)]
mod tests;

use std::fmt;

pub use write::{
    field_len, head_len, put_bytes, put_fixed32, put_fixed64, put_head, put_tag, put_uint,
    put_varint, tag, tag_len, varint_len,
};

/// How the value of a field is laid out; the low three bits of its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WireType {
    /// Base-128, 1 to 10 bytes.
    Varint = 0,
    /// Eight bytes, little-endian.
    Fixed64 = 1,
    /// A length and as many bytes: strings, bytes, messages, packed scalars.
    Len = 2,
    /// The start of a group; its fields follow until the matching end.
    Group = 3,
    /// The end of a group.
    GroupEnd = 4,
    /// Four bytes, little-endian.
    Fixed32 = 5,
}

impl WireType {
    /// The wire type of a tag, unless its low bits name none (6 and 7).
    #[must_use]
    pub const fn of(tag: u32) -> Option<Self> {
        Some(match tag & 7 {
            0 => Self::Varint,
            1 => Self::Fixed64,
            2 => Self::Len,
            3 => Self::Group,
            4 => Self::GroupEnd,
            5 => Self::Fixed32,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Varint => "a varint",
            Self::Fixed64 => "8 bytes",
            Self::Len => "a length-prefixed value",
            Self::Group => "a group",
            Self::GroupEnd => "the end of a group",
            Self::Fixed32 => "4 bytes",
        }
    }
}

/// What is wrong with bytes that are no protobuf message, or not the one expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end inside a tag or a number.
    Truncated,
    /// A varint goes on past ten bytes or past 64 bits.
    VarintTooLong,
    /// A length reaches past the end of what surrounds it.
    PastTheEnd(u64),
    /// A tag has the field number 0, or one past protobuf's limit.
    FieldNumber(u64),
    /// A tag has a wire type that does not exist.
    NoSuchWireType(u8),
    /// A group ends that was not begun, or under another field's number.
    StrayGroupEnd,
    /// A group is not ended.
    OpenGroup,
    /// A known field has a wire type that its type does not have.
    WrongWireType {
        /// What came.
        found: WireType,
        /// What the schema says.
        expected: WireType,
    },
    /// Packed scalars do not fill their length.
    RaggedPacked,
    /// Messages or groups are nested deeper than is taken.
    TooDeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the value is cut off"),
            Self::VarintTooLong => f.write_str("a varint is longer than 64 bits"),
            Self::PastTheEnd(length) => write!(f, "length {length} passes the end"),
            Self::FieldNumber(number) => write!(f, "field number {number} does not exist"),
            Self::NoSuchWireType(bits) => write!(f, "wire type {bits} does not exist"),
            Self::StrayGroupEnd => f.write_str("a group ends that was not begun"),
            Self::OpenGroup => f.write_str("a group is not ended"),
            Self::WrongWireType { found, expected } => {
                write!(f, "found {} instead of {}", found.name(), expected.name())
            }
            Self::RaggedPacked => f.write_str("packed values do not fill their length"),
            Self::TooDeep => write!(f, "nested deeper than {MAX_DEPTH} levels"),
        }
    }
}

/// Bytes that are not what they should be, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {offset}")]
pub struct Malformed {
    /// What is wrong.
    pub fault: Fault,
    /// The position in the outermost buffer.
    pub offset: usize,
}

/// Levels of messages and groups below the request that are read; protobuf's own readers stop at 100.
pub const MAX_DEPTH: usize = 64;

/// The largest field number that a tag can carry.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its number in the schema, never 0.
    pub number: u32,
    /// Its layout; never [`WireType::GroupEnd`].
    pub wire: WireType,
    /// The position of its tag.
    pub start: usize,
    /// The position after it.
    pub end: usize,
    /// The value of a varint or of a fixed number, zero-extended; 0 for the rest.
    pub scalar: u64,
    /// The content of a length-prefixed field, or that of a group with its end tag; empty for the rest.
    pub bytes: &'a [u8],
}

impl<'a> Field<'a> {
    /// The position where the content of a length-prefixed field begins.
    #[must_use]
    pub const fn body(&self) -> usize {
        self.end - self.bytes.len()
    }

    /// A cursor over the content, which is a message.
    #[must_use]
    pub const fn message(&self) -> Cursor<'a> {
        Cursor {
            rest: self.bytes,
            end: self.end,
        }
    }

    /// The scalar as a double.
    #[must_use]
    pub const fn double(&self) -> f64 {
        f64::from_bits(self.scalar)
    }
}

/// Reads a message field by field.
///
/// As an iterator it yields the fields up to the end, or up to the first fault: for bytes
/// that passed the door there is none.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// The position of the end of `rest`.
    end: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor over an outermost message.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            end: bytes.len(),
        }
    }

    /// A cursor over bytes that begin at a position of the outermost buffer.
    #[must_use]
    pub const fn at(bytes: &'a [u8], start: usize) -> Self {
        Self {
            rest: bytes,
            end: start + bytes.len(),
        }
    }

    /// The position of the next byte.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// What is not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all is read.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a varint.
    ///
    /// # Errors
    /// When it is cut off or does not fit 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match *self.rest {
            [one, ref rest @ ..] if one < 0x80 => {
                self.rest = rest;
                Ok(u64::from(one))
            }
            [one, two, ref rest @ ..] if two < 0x80 => {
                self.rest = rest;
                Ok(u64::from(one & 0x7f) | u64::from(two) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has room for the 64th bit alone.
            if index == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(self.fault(if self.rest.len() < 10 {
            Fault::Truncated
        } else {
            Fault::VarintTooLong
        }))
    }

    /// Reads eight bytes as a little-endian number.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, Malformed> {
        let (value, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.fault(Fault::Truncated))?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*value))
    }

    /// Reads four bytes as a little-endian number.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn fixed32(&mut self) -> Result<u32, Malformed> {
        let (value, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.fault(Fault::Truncated))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*value))
    }

    /// Reads a length and as many bytes.
    ///
    /// # Errors
    /// When the length is no varint or passes the end.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let at = *self;
        let length = self.varint()?;
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let (bytes, rest) = split.ok_or_else(|| at.fault(Fault::PastTheEnd(length)))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a tag: a field number and a wire type.
    ///
    /// # Errors
    /// When it is cut off, or either of the two does not exist.
    #[inline]
    pub fn tag(&mut self) -> Result<(u32, WireType), Malformed> {
        let at = *self;
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > MAX_NUMBER {
            return Err(at.fault(Fault::FieldNumber(number)));
        }
        let tag = tag as u32; // fits: the number has 29 bits
        match WireType::of(tag) {
            Some(wire) => Ok((tag >> 3, wire)),
            None => Err(at.fault(Fault::NoSuchWireType((tag & 7) as u8))),
        }
    }

    /// Reads the next field, of any number and type; `None` at the end.
    ///
    /// A group is read to its end, whatever is in it.
    ///
    /// # Errors
    /// When the bytes are no field.
    #[inline]
    pub fn field(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let at = *self;
        let (number, wire) = self.tag()?;
        let mut field = Field {
            number,
            wire,
            start: at.offset(),
            end: 0,
            scalar: 0,
            bytes: &[],
        };
        match wire {
            WireType::Varint => field.scalar = self.varint()?,
            WireType::Fixed64 => field.scalar = self.fixed64()?,
            WireType::Fixed32 => field.scalar = u64::from(self.fixed32()?),
            WireType::Len => field.bytes = self.bytes()?,
            WireType::Group => field.bytes = self.group(number, MAX_DEPTH)?,
            WireType::GroupEnd => return Err(at.fault(Fault::StrayGroupEnd)),
        }
        field.end = self.offset();
        Ok(Some(field))
    }

    /// Reads what follows the start tag of a group, its end tag included.
    ///
    /// # Errors
    /// When it is not well-formed, or takes more than `depth` levels, its own included.
    #[cold]
    pub fn group(&mut self, number: u32, depth: usize) -> Result<&'a [u8], Malformed> {
        let whole = *self;
        if depth == 0 {
            return Err(whole.fault(Fault::TooDeep));
        }
        let mut open = vec![number];
        while let Some(innermost) = open.last() {
            let at = *self;
            if self.is_done() {
                return Err(at.fault(Fault::OpenGroup));
            }
            match self.tag()? {
                (_, WireType::Varint) => drop(self.varint()?),
                (_, WireType::Fixed64) => drop(self.fixed64()?),
                (_, WireType::Fixed32) => drop(self.fixed32()?),
                (_, WireType::Len) => drop(self.bytes()?),
                (_, WireType::Group) if open.len() >= depth => {
                    return Err(at.fault(Fault::TooDeep));
                }
                (inner, WireType::Group) => open.push(inner),
                (ended, WireType::GroupEnd) if ended == *innermost => drop(open.pop()),
                (_, WireType::GroupEnd) => return Err(at.fault(Fault::StrayGroupEnd)),
            }
        }
        Ok(&whole.rest[..whole.rest.len() - self.rest.len()])
    }

    /// The fault, at the next byte.
    #[must_use]
    pub const fn fault(&self, fault: Fault) -> Malformed {
        Malformed {
            fault,
            offset: self.offset(),
        }
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = Field<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        self.short().or_else(|| self.any())
    }
}

/// The two ways to the next field, of which the first is to be inlined into every reader: what
/// the reader does not use of the field is then never computed.
impl<'a> Cursor<'a> {
    /// Reads the next field if its tag, length and varint take no more than two bytes each.
    #[inline(always)]
    fn short(&mut self) -> Option<Field<'a>> {
        let (tag, after) = short_varint(self.rest)?;
        let (mut scalar, mut bytes): (u64, &[u8]) = (0, &[]);
        let (wire, rest) = match tag & 7 {
            2 => {
                let (length, after) = short_varint(after)?;
                let (body, rest) = after.split_at_checked(length as usize)?;
                bytes = body;
                (WireType::Len, rest)
            }
            1 => {
                let (value, rest) = after.split_first_chunk()?;
                scalar = u64::from_le_bytes(*value);
                (WireType::Fixed64, rest)
            }
            0 => {
                let (value, rest) = short_varint(after)?;
                scalar = u64::from(value);
                (WireType::Varint, rest)
            }
            5 => {
                let (value, rest) = after.split_first_chunk()?;
                scalar = u64::from(u32::from_le_bytes(*value));
                (WireType::Fixed32, rest)
            }
            _ => return None,
        };
        if tag < 8 {
            return None; // the number 0
        }
        let start = self.offset();
        self.rest = rest;
        Some(Field {
            number: tag >> 3,
            wire,
            start,
            end: self.offset(),
            scalar,
            bytes,
        })
    }

    #[inline(never)]
    fn any(&mut self) -> Option<Field<'a>> {
        self.field().unwrap_or_else(|_| {
            self.rest = &[];
            None
        })
    }
}

/// A varint of one or two bytes, and what follows it.
#[inline(always)]
fn short_varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match bytes {
        [one @ ..0x80, rest @ ..] => Some((u32::from(*one), rest)),
        [one, two @ ..0x80, rest @ ..] => {
            Some((u32::from(*one & 0x7f) | u32::from(*two) << 7, rest))
        }
        _ => None,
    }
}
