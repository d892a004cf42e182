//! The five bytes before a message: whether it is compressed, and its length.

/// The bytes that the prefix takes.
pub const PREFIX: usize = 5;

/// What stands before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// 0 for a plain message, 1 for one compressed as `grpc-encoding` says.
    pub flags: u8,
    /// The bytes of the message that follow.
    pub length: u32,
}

impl Prefix {
    /// The prefix in these bytes.
    #[must_use]
    pub const fn parse(bytes: [u8; PREFIX]) -> Self {
        let [flags, a, b, c, d] = bytes;
        Self {
            flags,
            length: u32::from_be_bytes([a, b, c, d]),
        }
    }

    /// The bytes of this prefix.
    #[must_use]
    pub const fn bytes(self) -> [u8; PREFIX] {
        let [a, b, c, d] = self.length.to_be_bytes();
        [self.flags, a, b, c, d]
    }
}
