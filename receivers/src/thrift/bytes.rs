//! A cursor over bytes, and what may be wrong with them.

use super::Kind;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    #[error("the value is cut off")]
    Truncated,
    #[error("length {0} passes the end")]
    PastTheEnd(u64),
    #[error("{0} elements pass the end")]
    TooMany(u64),
    #[error("a number is longer than its type")]
    VarintTooLong,
    #[error("type {0} does not exist")]
    NoSuchType(u8),
    #[error("nested deeper than {} levels", super::MAX_DEPTH)]
    TooDeep,
    #[error("this is no call")]
    NoCall,
    #[error("{of} lacks its field {field}")]
    Missing { of: &'static str, field: u32 },
}

/// Bytes that are not what they should be, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct Fault {
    pub what: What,
    pub offset: usize,
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Bytes<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            end: bytes.len(),
        }
    }

    pub(super) const fn fault(&self, what: What) -> Fault {
        Fault {
            what,
            offset: self.end - self.rest.len(),
        }
    }

    pub(super) fn first(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next bytes, as many as the array has.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (array, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.fault(What::Truncated))?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let split = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) = split.ok_or_else(|| self.fault(What::PastTheEnd(length)))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A count of elements that take at least `each` bytes.
    pub(super) fn count(&self, count: u64, each: usize) -> Result<usize, Fault> {
        let most = (self.rest.len() / each) as u64;
        if count > most {
            return Err(self.fault(What::TooMany(count)));
        }
        Ok(count as usize) // fits: there are as many bytes
    }

    /// A number of at most `bits` bits, seven to a byte.
    pub(super) fn varint(&mut self, bits: u32) -> Result<u64, Fault> {
        let at = *self;
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift >= bits || part << shift >> shift != part {
                return Err(at.fault(What::VarintTooLong));
            }
            value |= part << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
        if bits < 64 && value >> bits > 0 {
            return Err(at.fault(What::VarintTooLong));
        }
        Ok(value)
    }
}

/// The fewest bytes that a value takes where numbers may be short.
pub(super) const fn least(kind: Kind) -> usize {
    match kind {
        Kind::Double => 8,
        _ => 1,
    }
}
