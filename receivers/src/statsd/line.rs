//! One line: `name:value|type|@rate|#tag:value,tag:value|c:container|Ttime`.

use smallvec::SmallVec;

/// What a line tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) of: Type,
    pub(super) value: f64,
    /// Whether the value is written with a sign: a gauge is then changed by it.
    pub(super) signed: bool,
    /// The share of events that clients send, from above 0 to below 1; 1 else.
    pub(super) rate: f64,
    /// By key, each once.
    pub(super) tags: Tags<'a>,
    /// When it was, in nanoseconds since 1970; 0 where the line does not say.
    pub(super) time: u64,
}

/// Tags, as most lines have them without an allocation.
pub(super) type Tags<'a> = SmallVec<[(&'a str, &'a str); 8]>;

/// What a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
    Timing,
    Distribution,
}

impl Type {
    /// What `metric_type` says.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Timing => "timing",
            Self::Distribution => "distribution",
        }
    }
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It has not the form of a line.
    Malformed,
    /// It is of a type that is not known: a set, an event, a service check.
    Type,
    /// Its value is no number, or none that is finite.
    Value,
    /// A tag has no key, or no value where one is needed.
    Tag,
    /// It is longer than any may be.
    TooLong,
    /// There is no room for another metric before the interval is over.
    NoRoom,
}

impl Fault {
    pub(super) const ALL: [Self; 6] = [
        Self::Malformed,
        Self::Type,
        Self::Value,
        Self::Tag,
        Self::TooLong,
        Self::NoRoom,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Type => "type",
            Self::Value => "value",
            Self::Tag => "tag",
            Self::TooLong => "too_long",
            Self::NoRoom => "no_room",
        }
    }
}

impl<'a> Line<'a> {
    /// Reads a line; `simple` says whether tags may be without a value.
    pub(super) fn parse(text: &'a [u8], simple: bool) -> Result<Self, Fault> {
        let text = std::str::from_utf8(text).map_err(|_| Fault::Malformed)?;
        let (head, rest) = text.split_once('|').ok_or(Fault::Malformed)?;
        let (name, value) = head.split_once(':').ok_or(Fault::Malformed)?;
        if name.is_empty() {
            return Err(Fault::Malformed);
        }
        let mut parts = rest.split('|');
        let of = match parts.next() {
            Some("c") => Type::Counter,
            Some("g") => Type::Gauge,
            Some("h") => Type::Histogram,
            Some("ms") => Type::Timing,
            Some("d") => Type::Distribution,
            _ => return Err(Fault::Type),
        };
        let number: f64 = value.parse().map_err(|_| Fault::Value)?;
        if !number.is_finite() {
            return Err(Fault::Value);
        }
        let mut line = Self {
            name,
            of,
            value: number,
            signed: value.starts_with(['+', '-']),
            rate: 1.0,
            tags: Tags::new(),
            time: 0,
        };
        for part in parts.filter(|part| !part.is_empty()) {
            line.part(part, simple)?;
        }
        line.settle();
        Ok(line)
    }

    fn part(&mut self, part: &'a str, simple: bool) -> Result<(), Fault> {
        if let Some(rate) = part.strip_prefix('@') {
            let rate: f64 = rate.parse().map_err(|_| Fault::Malformed)?;
            if rate > 0.0 && rate < 1.0 {
                self.rate = rate;
            }
        } else if let Some(tags) = part.strip_prefix('#') {
            for tag in tags.split(',').filter(|tag| !tag.is_empty()) {
                let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
                if key.is_empty() || value.is_empty() && !simple {
                    return Err(Fault::Tag);
                }
                self.tags.push((key, value));
            }
        } else if let Some(container) = part.strip_prefix("c:") {
            if !container.is_empty() {
                self.tags.push(("container.id", container));
            }
        } else if let Some(time) = part.strip_prefix('T') {
            if !matches!(self.of, Type::Counter | Type::Gauge) {
                return Err(Fault::Malformed);
            }
            let seconds: u64 = time.parse().map_err(|_| Fault::Malformed)?;
            self.time = seconds.saturating_mul(1_000_000_000);
        } else {
            return Err(Fault::Malformed);
        }
        Ok(())
    }

    /// Puts tags in the order of their keys; of those with one key the last stays.
    fn settle(&mut self) {
        self.tags.sort_by(|a, b| a.0.cmp(b.0));
        self.tags.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Line<'_>, Fault> {
        Line::parse(text.as_bytes(), false)
    }

    #[test]
    fn lines_of_every_form_are_read() {
        let line = parse("a.b:-2.5|g|@0.5|#z:1,a:2,z:3|c:abc|T1700000000").unwrap();
        assert_eq!((line.name, line.of, line.value), ("a.b", Type::Gauge, -2.5));
        assert!(line.signed);
        assert_eq!(line.rate, 0.5);
        assert_eq!(
            line.tags.to_vec(),
            [("a", "2"), ("container.id", "abc"), ("z", "3")]
        );
        assert_eq!(line.time, 1_700_000_000_000_000_000);
        for (text, of) in [
            ("a:1|c", Type::Counter),
            ("a:1|g", Type::Gauge),
            ("a:1|h", Type::Histogram),
            ("a:1|ms", Type::Timing),
            ("a:1|d", Type::Distribution),
            ("a:1|c|#", Type::Counter),
        ] {
            let line = parse(text).unwrap();
            assert_eq!((line.of, line.tags.len(), line.signed), (of, 0, false));
        }
        for rate in ["0", "1", "2", "-1"] {
            assert_eq!(parse(&format!("a:1|c|@{rate}")).unwrap().rate, 1.0);
        }
        let simple = Line::parse(b"a:1|c|#x,y:", true).unwrap();
        assert_eq!(simple.tags.to_vec(), [("x", ""), ("y", "")]);
    }

    #[test]
    fn lines_that_are_none_are_told_apart() {
        for (text, fault) in [
            ("a", Fault::Malformed),
            ("a|c", Fault::Malformed),
            (":1|c", Fault::Malformed),
            ("a:|c", Fault::Value),
            ("a:x|c", Fault::Value),
            ("a:1:2|c", Fault::Value),
            ("a:nan|c", Fault::Value),
            ("a:inf|g", Fault::Value),
            ("a:1|s", Fault::Type),
            ("_e{1,1}:a|b", Fault::Type),
            ("a:1|c|@x", Fault::Malformed),
            ("a:1|c|#:b", Fault::Tag),
            ("a:1|c|#b", Fault::Tag),
            ("a:1|c|x", Fault::Malformed),
            ("a:1|ms|T1", Fault::Malformed),
            ("a:1|c|Tx", Fault::Malformed),
        ] {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
        assert_eq!(Line::parse(b"\xff:1|c", false), Err(Fault::Malformed));
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), simple: bool) {
            let _ = Line::parse(&bytes, simple);
        }
    }
}
