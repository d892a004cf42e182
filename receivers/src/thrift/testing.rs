//! Writing thrift, for tests.

use super::{Binary, Compact, Kind, Protocol};

/// One of the protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Binary,
    Compact,
}

impl Wire {
    pub(crate) const BOTH: [Self; 2] = [Self::Binary, Self::Compact];

    const fn nibble(self, kind: Kind) -> u8 {
        let (binary, compact) = match kind {
            Kind::Bool => (2, 1),
            Kind::I8 => (3, 3),
            Kind::I16 => (6, 4),
            Kind::I32 => (8, 5),
            Kind::I64 => (10, 6),
            Kind::Double => (4, 7),
            Kind::Bytes => (11, 8),
            Kind::List => (15, 9),
            Kind::Map => (13, 11),
            Kind::Struct => (12, 12),
        };
        match self {
            Self::Binary => binary,
            Self::Compact => compact,
        }
    }
}

/// Writes the fields of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    wire: Wire,
    last: i16,
    pub(crate) out: Vec<u8>,
}

impl Writer {
    pub(crate) const fn new(wire: Wire) -> Self {
        Self {
            wire,
            last: 0,
            out: Vec::new(),
        }
    }

    /// The fields of a struct and its end.
    pub(crate) fn fields(wire: Wire, write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut fields = Self::new(wire);
        write(&mut fields);
        fields.out.push(0);
        fields.out
    }

    /// A call with one argument, a struct.
    pub(crate) fn call(wire: Wire, method: &str, argument: &[u8]) -> Vec<u8> {
        let mut call = Self::new(wire);
        match wire {
            Wire::Binary => {
                call.out.extend(0x8001_0004_u32.to_be_bytes());
                call.text(method.as_bytes());
                call.number(Kind::I32, 7);
            }
            Wire::Compact => {
                call.out.extend([0x82, 4 << 5 | 1]);
                call.varint(7);
                call.text(method.as_bytes());
            }
        }
        call.nested(1, argument);
        call.out.push(0);
        call.out
    }

    pub(crate) fn head(&mut self, id: i16, kind: Kind) {
        self.raw_head(id, self.wire.nibble(kind));
    }

    fn raw_head(&mut self, id: i16, kind: u8) {
        match self.wire {
            Wire::Binary => {
                self.out.push(kind);
                self.out.extend(id.to_be_bytes());
            }
            Wire::Compact => match id - self.last {
                step @ 1..=15 => self.out.push((step as u8) << 4 | kind),
                _ => {
                    self.out.push(kind);
                    self.zigzag(id.into());
                }
            },
        }
        self.last = id;
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn number(&mut self, kind: Kind, value: i64) {
        match (self.wire, kind) {
            (_, Kind::I8) => self.out.push(value as u8),
            (Wire::Compact, _) => self.zigzag(value),
            (Wire::Binary, Kind::I16) => self.out.extend((value as i16).to_be_bytes()),
            (Wire::Binary, Kind::I32) => self.out.extend((value as i32).to_be_bytes()),
            (Wire::Binary, _) => self.out.extend(value.to_be_bytes()),
        }
    }

    fn text(&mut self, value: &[u8]) {
        match self.wire {
            Wire::Binary => self.number(Kind::I32, value.len() as i64),
            Wire::Compact => self.varint(value.len() as u64),
        }
        self.out.extend(value);
    }

    pub(crate) fn i16(&mut self, id: i16, value: i16) {
        self.head(id, Kind::I16);
        self.number(Kind::I16, value.into());
    }

    pub(crate) fn i32(&mut self, id: i16, value: i32) {
        self.head(id, Kind::I32);
        self.number(Kind::I32, value.into());
    }

    pub(crate) fn i64(&mut self, id: i16, value: i64) {
        self.head(id, Kind::I64);
        self.number(Kind::I64, value);
    }

    pub(crate) fn double(&mut self, id: i16, value: f64) {
        self.head(id, Kind::Double);
        match self.wire {
            Wire::Binary => self.out.extend(value.to_be_bytes()),
            Wire::Compact => self.out.extend(value.to_le_bytes()),
        }
    }

    pub(crate) fn truth(&mut self, id: i16, value: bool) {
        match self.wire {
            Wire::Binary => {
                self.head(id, Kind::Bool);
                self.out.push(value.into());
            }
            Wire::Compact => self.raw_head(id, if value { 1 } else { 2 }),
        }
    }

    pub(crate) fn bytes(&mut self, id: i16, value: &[u8]) {
        self.head(id, Kind::Bytes);
        self.text(value);
    }

    /// A struct that has been written.
    pub(crate) fn nested(&mut self, id: i16, fields: &[u8]) {
        self.head(id, Kind::Struct);
        self.out.extend(fields);
    }

    /// A list of structs that have been written.
    pub(crate) fn list(&mut self, id: i16, structs: &[Vec<u8>]) {
        self.head(id, Kind::List);
        self.structs(structs);
    }

    /// What a list of structs is, without the head of a field.
    pub(crate) fn structs(&mut self, structs: &[Vec<u8>]) {
        let kind = self.wire.nibble(Kind::Struct);
        match (self.wire, structs.len()) {
            (Wire::Binary, count) => {
                self.out.push(kind);
                self.number(Kind::I32, count as i64);
            }
            (Wire::Compact, count @ ..15) => self.out.push((count as u8) << 4 | kind),
            (Wire::Compact, count) => {
                self.out.push(0xf0 | kind);
                self.varint(count as u64);
            }
        }
        self.out.extend(structs.concat());
    }
}

/// Calls `with` with a reader of the bytes.
pub(crate) fn read<'a, T>(wire: Wire, bytes: &'a [u8], with: impl Both<'a, T>) -> T {
    match wire {
        Wire::Binary => with.with(Binary::new(bytes)),
        Wire::Compact => with.with(Compact::new(bytes)),
    }
}

/// Something that can be done with either protocol.
pub(crate) trait Both<'a, T> {
    fn with<P: Protocol<'a> + Clone>(self, from: P) -> T;
}
