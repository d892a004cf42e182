//! Regular expressions as the Collector's users write them.
//!
//! Go's syntax and that of the `regex` crate are nearly the same; where a pattern that both take
//! would mean something else, it is rewritten: `\d`, `\w`, `\s` and `\b` know ASCII alone, `[` inside
//! a class stands for itself, so does a `{` that begins no repetition, and `\Q…\E` quotes. Text is
//! matched as bytes, since nobody checks that it is UTF-8.

use regex::bytes::{Regex, RegexSet};

/// Compiles a pattern; the error says why it is none.
///
/// # Errors
/// When it is no regular expression, or one that is too large.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&translated(pattern)).map_err(|error| fault(pattern, &error))
}

/// Compiles patterns of which one must match; the error names the one that is none.
///
/// # Errors
/// When one is no regular expression, or they are too large together.
pub fn compile_set(patterns: &[String]) -> Result<RegexSet, String> {
    for pattern in patterns {
        compile(pattern)?;
    }
    let translated = patterns.iter().map(|pattern| translated(pattern));
    RegexSet::new(translated).map_err(|error| fault(&patterns.join("|"), &error))
}

fn fault(pattern: &str, error: &regex::Error) -> String {
    let text = error.to_string();
    let why = text.lines().last().unwrap_or_default().trim();
    let why = why.strip_prefix("error: ").unwrap_or(why);
    format!("{pattern:?} is no regular expression: {why}")
}

fn translated(pattern: &str) -> String {
    let mut translation = Translation {
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
    };
    while translation.step() {}
    translation.out
}

struct Translation<'p> {
    rest: &'p str,
    out: String,
}

impl Translation<'_> {
    /// Translates what comes next outside of a class; false at the end.
    fn step(&mut self) -> bool {
        let Some(char) = self.rest.chars().next() else {
            return false;
        };
        match char {
            '\\' if self.rest.starts_with("\\Q") => self.quoted(),
            '\\' => self.escape(false),
            '[' => self.class(),
            '{' if !begins_repetition(self.rest) => self.replace(1, "\\{"),
            other => self.copy(other.len_utf8()),
        }
        true
    }

    fn copy(&mut self, length: usize) {
        let (head, rest) = self.rest.split_at(length);
        self.out.push_str(head);
        self.rest = rest;
    }

    fn replace(&mut self, length: usize, by: &str) {
        self.out.push_str(by);
        self.rest = &self.rest[length..];
    }

    fn quoted(&mut self) {
        let body = &self.rest[2..];
        let (literal, rest) = body.split_once("\\E").unwrap_or((body, ""));
        self.out.push_str(&regex::escape(literal));
        self.rest = rest;
    }

    fn escape(&mut self, in_class: bool) {
        let Some(escaped) = self.rest[1..].chars().next() else {
            return self.copy(1);
        };
        let by = match escaped {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            's' => "[\\t\\n\\f\\r ]",
            'S' => "[^\\t\\n\\f\\r ]",
            'b' if !in_class => "(?-u:\\b)",
            'B' if !in_class => "(?-u:\\B)",
            // What stands in braces behind these is a name or a number, no repetition.
            'p' | 'P' | 'x' if self.rest[2..].starts_with('{') => {
                let end = self.rest.find('}').map_or(self.rest.len(), |at| at + 1);
                return self.copy(end);
            }
            other => return self.copy(1 + other.len_utf8()),
        };
        self.replace(2, by);
    }

    fn class(&mut self) {
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        if self.rest.starts_with(']') {
            self.replace(1, "\\]");
        }
        while let Some(char) = self.rest.chars().next() {
            match char {
                ']' => return self.copy(1),
                '\\' => self.escape(true),
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => {
                    let end = self.rest.find(":]").map_or(1, |at| at + 2);
                    self.copy(end);
                }
                '[' => self.replace(1, "\\["),
                '&' => self.replace(1, "\\&"),
                '~' => self.replace(1, "\\~"),
                other => self.copy(other.len_utf8()),
            }
        }
    }
}

/// Whether a text begins with `{n}`, `{n,}` or `{n,m}`.
fn begins_repetition(text: &str) -> bool {
    let body = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let Some((body, _)) = body else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match body.split_once(',') {
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
        None => is_number(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap().is_match(text.as_bytes())
    }

    #[test]
    fn classes_know_ascii_alone() {
        assert!(matches(r"^\d+$", "123"));
        assert!(!matches(r"^\d+$", "१२३"));
        assert!(!matches(r"^\w+$", "ž"));
        assert!(matches(r"^[\w-]+$", "a-b_c"));
        assert!(matches(r"^\W$", "ž"));
        assert!(matches(r"^[^\s]+$", "\u{a0}"));
        assert!(matches(r"ž\b", "žx") && !matches(r"x\b", "xy"));
    }

    #[test]
    fn a_bracket_or_brace_that_opens_nothing_stands_for_itself() {
        assert!(matches("^[[a]$", "["));
        assert!(matches("^[]a]$", "]"));
        assert!(matches("^[a&&b]+$", "a&b"));
        assert!(matches("^[[:alpha:]{]+$", "a{"));
        assert!(matches("^/cart/{id}$", "/cart/{id}"));
        assert!(matches("^a{2,3}$", "aaa") && !matches("^a{2}$", "aaa"));
    }

    #[test]
    fn classes_of_unicode_keep_their_braces() {
        assert!(matches(r"^\p{Lu}\x{17e}$", "Žž") && !matches(r"^\P{Lu}$", "Ž"));
    }

    #[test]
    fn quotes_between_q_and_e() {
        assert!(matches(r"^\Qa.b\E.$", "a.bc") && !matches(r"^\Qa.b\E$", "axb"));
    }

    #[test]
    fn names_what_is_no_pattern() {
        let fault = compile("a(").unwrap_err();
        assert!(
            fault.starts_with("\"a(\" is no regular expression: "),
            "{fault}"
        );
        assert!(compile_set(&["a".to_owned(), "[".to_owned()]).is_err());
    }
}
