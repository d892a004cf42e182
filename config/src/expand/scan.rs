//! Finding `${…}` in a text, by the Collector's rules.

use std::ops::Range;

/// Gives the range of the first reference that can be carried out, braces and dollar included.
///
/// It is the innermost one: up to the first `}`, from the last `${` before it. An odd number of `$` before it makes
/// it text. (The Collector then leaves the rest of the value alone too; here the search goes on behind it.)
pub(super) fn find(text: &str) -> Option<Range<usize>> {
    let mut from = 0;
    while let Some(close) = text[from..].find('}').map(|at| from + at) {
        if let Some(open) = text[from..close].rfind("${").map(|at| from + at) {
            let dollars = text[..open]
                .bytes()
                .rev()
                .take_while(|b| *b == b'$')
                .count();
            if dollars % 2 == 0 {
                return Some(open..close + 1);
            }
        }
        from = close + 1;
    }
    None
}

/// Makes one dollar of two, once everything is expanded.
pub(super) fn unescape(text: &str) -> String {
    text.replace("$$", "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        find(text).map(|range| &text[range])
    }

    #[test]
    fn the_innermost_reference_comes_first() {
        assert_eq!(found("a ${X} b"), Some("${X}"));
        assert_eq!(found("${env:X:-${Y}}"), Some("${Y}"));
        assert_eq!(found("${env:HOST${env:PORT}"), Some("${env:PORT}"));
        assert_eq!(found("env:HOST}${PORT}"), Some("${PORT}"));
    }

    #[test]
    fn what_is_no_reference_is_text() {
        for text in [
            "", "${X", "X}", "HO{ST}", "}${", "$X", "$${X}", "$$$${X}{", "$}",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        assert_eq!(found("$$${X}"), Some("${X}"));
        assert_eq!(found("$${X} ${Y}"), Some("${Y}"));
    }
}
