//! Messages in what comes in: by lines, by patterns, by a trailer or by their length (RFC 6587).

use crate::files::{Encoding, Splitter, trimmed};

/// How messages are told apart.
#[derive(Clone, Debug)]
pub(super) struct Framing {
    pub(super) by: Splitter,
    /// The largest message that begins with its length, where messages do.
    pub(super) octets: Option<usize>,
    /// Whether what is read at once is whole.
    pub(super) at_once: bool,
    /// The largest message; larger ones are cut.
    pub(super) largest: usize,
    pub(super) encoding: Encoding,
    /// Whether white space is taken off the beginning.
    pub(super) leading: bool,
    /// Whether it is taken off the end.
    pub(super) trailing: bool,
}

/// A message among what has been read, and where the next one begins.
struct Found {
    start: usize,
    end: usize,
    next: usize,
}

/// What ends a connection: a length beyond what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong(pub(super) usize);

impl Framing {
    /// Gives the messages at the beginning of what has been read to `take`, and tells how many bytes they are.
    ///
    /// `ends` tells that nothing follows.
    pub(super) fn each(
        &self,
        data: &[u8],
        ends: bool,
        mut take: impl FnMut(&[u8]),
    ) -> Result<usize, TooLong> {
        let flush = ends || self.at_once;
        let mut from = 0;
        while let Some(found) = self.first(&data[from..], flush)? {
            let text = &data[from + found.start..from + found.end];
            let text = trimmed(text, self.leading, self.trailing);
            if !text.is_empty() {
                take(&self.encoding.decode(text));
            }
            from += found.next;
        }
        Ok(from)
    }

    fn first(&self, data: &[u8], flush: bool) -> Result<Option<Found>, TooLong> {
        if let Some(most) = self.octets {
            match counted(data, most)? {
                Counted::Message(found) => return Ok(Some(found)),
                Counted::Part if !flush => return Ok(None),
                // A sender that counts some messages and not others.
                Counted::Part | Counted::None => {}
            }
        }
        let token = self.by.first(data, self.largest, flush, flush);
        Ok(token.map(|token| Found {
            start: token.start,
            end: token.end,
            next: token.next,
        }))
    }
}

enum Counted {
    Message(Found),
    /// More is to come.
    Part,
    /// There is no length.
    None,
}

/// Reads `123 ` and the message behind it.
fn counted(data: &[u8], most: usize) -> Result<Counted, TooLong> {
    /// Digits of a length that anybody means.
    const DIGITS: usize = 10;
    let digits = data.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > DIGITS || data[0] == b'0' {
        return Ok(match data.is_empty() {
            true => Counted::Part,
            false => Counted::None,
        });
    }
    match data.get(digits) {
        None => return Ok(Counted::Part),
        Some(b' ') => {}
        Some(_) => return Ok(Counted::None),
    }
    let number = data[..digits].iter().fold(0_usize, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    });
    if number > most {
        return Err(TooLong(number));
    }
    let start = digits + 1;
    let end = start + number;
    Ok(match data.len() >= end {
        true => Counted::Message(Found {
            start,
            end,
            next: end,
        }),
        false => Counted::Part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framing(by: Splitter, octets: Option<usize>) -> Framing {
        Framing {
            by,
            octets,
            at_once: false,
            largest: 20,
            encoding: Encoding::Utf8,
            leading: true,
            trailing: true,
        }
    }

    /// The messages of a text that comes in pieces of so many bytes.
    fn messages(framing: &Framing, text: &[u8], piece: usize) -> Result<Vec<String>, TooLong> {
        let (mut held, mut found) = (Vec::new(), Vec::new());
        let mut take = |text: &[u8]| found.push(String::from_utf8_lossy(text).into_owned());
        for piece in text.chunks(piece) {
            held.extend_from_slice(piece);
            let done = framing.each(&held, false, &mut take)?;
            held.drain(..done);
        }
        framing.each(&held, true, &mut take)?;
        Ok(found)
    }

    #[test]
    fn messages_are_found_however_they_come() {
        let long = format!("a\n{}\nb", "x".repeat(25));
        for piece in 1..40 {
            let lines = framing(Splitter::Lines, None);
            assert_eq!(
                messages(&lines, b"a\r\n b \n\nc", piece).unwrap(),
                ["a", "b", "c"]
            );
            let cut = messages(&lines, long.as_bytes(), piece).unwrap();
            assert_eq!(cut.concat(), long.replace('\n', ""));
            let zeros = framing(Splitter::Zeros, None);
            assert_eq!(
                messages(&zeros, b"a\nb\0c\0", piece).unwrap(),
                ["a\nb", "c"]
            );
            let counted = framing(Splitter::Lines, Some(100));
            assert_eq!(
                messages(&counted, b"3 a\nb5 <1>  it is none\n2 cd", piece).unwrap(),
                ["a\nb", "<1>", "it is none", "cd"]
            );
        }
    }

    #[test]
    fn a_length_beyond_what_is_taken_ends_it() {
        let counted = framing(Splitter::Lines, Some(100));
        assert_eq!(messages(&counted, b"101 x", 10), Err(TooLong(101)));
        assert_eq!(
            messages(&counted, b"99999999999 x", 99).unwrap(),
            ["99999999999 x"]
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_stand_still(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b' '), b'0'..=b'9'], 0..80),
            piece in 1_usize..80,
            counts: bool,
        ) {
            let framing = framing(Splitter::Lines, counts.then_some(50));
            let _ = messages(&framing, &bytes, piece);
        }
    }
}
