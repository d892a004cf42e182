//! Values made from bytes: more bytes make a larger value, none make the smallest.

/// A source of choices that a property test can shrink and a fuzzer can steer.
#[derive(Debug)]
pub struct Entropy<'a>(&'a [u8]);

impl<'a> Entropy<'a> {
    /// Choices from these bytes; when they are used up, every choice is the first.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether every further choice is the first.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    /// A number below `limit`, which must not be 0 or above 256.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// True once in `odds` times; never when the bytes are used up.
    pub fn chance(&mut self, odds: usize) -> bool {
        self.below(odds) == odds - 1
    }

    /// Eight bytes as a number.
    pub fn bits(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// An integer of any size, small ones and the edges more often.
    pub fn integer(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::from(self.byte()),
            2 => self.bits() >> self.below(64),
            3 => u64::MAX,
            4 => i64::MIN as u64,
            _ => 1_700_000_000_000_000_000 + u64::from(self.byte()),
        }
    }

    /// A double, the odd ones among them.
    pub fn double(&mut self) -> f64 {
        match self.below(6) {
            0 => 0.0,
            1 => f64::from(self.byte()) / 3.0,
            2 => f64::NAN,
            3 => f64::NEG_INFINITY,
            4 => -0.0,
            _ => f64::from_bits(self.bits()),
        }
    }

    /// A string: mostly short, at times not ASCII, at times longer than 127 bytes or empty.
    pub fn text(&mut self) -> String {
        const WORDS: [&str; 8] = [
            "",
            "a",
            "http.method",
            "service.name",
            "Grüße",
            "日本語",
            "\u{0}\n\"\\",
            "🦀",
        ];
        match self.below(12) {
            11 => "x".repeat(120 + self.below(256)),
            index if index < WORDS.len() => WORDS[index].to_owned(),
            _ => format!("key-{}", self.byte()),
        }
    }

    /// An ID: of the proper length for the most part.
    pub fn id(&mut self, length: usize) -> Vec<u8> {
        let length = match self.below(8) {
            0 => 0,
            1 => self.below(20),
            _ => length,
        };
        // Few values, so that several records share a trace.
        let seed = self.byte() % 8;
        (0..length)
            .map(|index| seed.wrapping_mul(31) ^ index as u8)
            .collect()
    }

    /// A list of up to `limit` values; it ends when the bytes do.
    pub fn list<T>(&mut self, limit: usize, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = if self.is_spent() {
            0
        } else {
            self.below(limit + 1)
        };
        (0..length).map(|_| value(self)).collect()
    }

    /// A value or none.
    pub fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(4) != 0).then(|| value(self))
    }
}
