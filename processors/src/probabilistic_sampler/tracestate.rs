//! The W3C trace state, of which OpenTelemetry's member `ot` tells about sampling.
//!
//! Syntax and limits are those of W3C's Trace Context, section 3.3, and of OpenTelemetry's
//! specification of `tracestate`; a state that breaks them is faulty as a whole.

use super::threshold::{Randomness, Threshold};

const MOST_BYTES: usize = 1024;
const MOST_MEMBERS: usize = 32;
const MOST_KEY: usize = 256;
const MOST_TENANT: usize = 241;
const MOST_SYSTEM: usize = 14;
const MOST_VALUE: usize = 256;

/// A trace state that is well-formed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TraceState<'a> {
    text: &'a str,
    /// The member `ot`, if there is one.
    ot: &'a str,
    pub(super) randomness: Option<Randomness>,
    pub(super) threshold: Option<Threshold>,
    /// These two as they are written.
    rv: &'a str,
    th: &'a str,
}

impl<'a> TraceState<'a> {
    /// Reads a trace state; `None` where it is faulty.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let text = std::str::from_utf8(bytes).ok()?;
        if text.len() > MOST_BYTES || text.split(',').count() >= MOST_MEMBERS {
            return None;
        }
        let mut state = Self {
            text,
            ..Self::default()
        };
        for member in members(text) {
            let (key, value) = member?;
            if !is_key(key) || !is_value(value) {
                return None;
            }
            if key == "ot" {
                state.read(value)?;
            }
        }
        Some(state)
    }

    /// Reads OpenTelemetry's member.
    fn read(&mut self, ot: &'a str) -> Option<()> {
        let text = self.text;
        *self = Self {
            text,
            ot,
            ..Self::default()
        };
        for field in ot.split(';') {
            let (key, value) = field.split_once(':')?;
            if !is_ot_key(key) || !value.bytes().all(is_ot_value) {
                return None;
            }
            match key {
                "rv" => {
                    self.randomness = Some(Randomness::parse(value)?);
                    self.rv = value;
                }
                "th" => {
                    self.threshold = Some(Threshold::parse(value)?);
                    self.th = value;
                }
                _ => {}
            }
        }
        Some(())
    }

    /// Writes the state anew with this randomness and threshold; what it has already keeps its digits.
    pub(super) fn write(
        &self,
        randomness: Option<Randomness>,
        threshold: Option<Threshold>,
        out: &mut String,
    ) {
        out.clear();
        if let Some(randomness) = randomness {
            out.push_str("rv:");
            if self.randomness == Some(randomness) {
                out.push_str(self.rv);
            } else {
                randomness.write(out);
            }
        }
        if let Some(threshold) = threshold {
            field(out, "th:");
            if self.threshold == Some(threshold) {
                out.push_str(self.th);
            } else {
                threshold.write(out);
            }
        }
        let own = |field: &&str| !field.starts_with("rv:") && !field.starts_with("th:");
        for extra in self.ot.split(';').filter(own) {
            if !extra.is_empty() {
                field(out, extra);
            }
        }
        if !out.is_empty() {
            out.insert_str(0, "ot=");
        }
        for (key, value) in members(self.text).flatten() {
            if key != "ot" {
                if !out.is_empty() {
                    out.push(',');
                }
                out.push_str(key);
                out.push('=');
                out.push_str(value);
            }
        }
    }
}

fn field(out: &mut String, text: &str) {
    if !out.is_empty() {
        out.push(';');
    }
    out.push_str(text);
}

/// The members that are not empty; `None` for one that has no `=`.
fn members(text: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let members = text
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    members
        .filter(|member| !member.is_empty())
        .map(|member| member.split_once('='))
}

fn is_key(key: &str) -> bool {
    let rest_fits = |rest: &[u8]| {
        rest.iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    let begins_with_letter = |name: &str| match name.as_bytes() {
        [b'a'..=b'z', rest @ ..] => rest_fits(rest),
        _ => false,
    };
    match key.split_once('@') {
        Some((tenant, system)) => {
            let tenant_fits = match tenant.as_bytes() {
                [b'a'..=b'z' | b'0'..=b'9', rest @ ..] => rest_fits(rest),
                _ => false,
            };
            tenant_fits
                && begins_with_letter(system)
                && tenant.len() <= MOST_TENANT
                && system.len() <= MOST_SYSTEM
        }
        None => begins_with_letter(key) && key.len() <= MOST_KEY,
    }
}

fn is_value(value: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    !value.is_empty()
        && value.len() <= MOST_VALUE
        && !value.ends_with(' ')
        && value.bytes().all(fits)
}

fn is_ot_key(key: &str) -> bool {
    match key.as_bytes() {
        [b'a'..=b'z', rest @ ..] => {
            (rest.iter()).all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
        }
        _ => false,
    }
}

const fn is_ot_value(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(text: &str, threshold: &str) -> String {
        let state = TraceState::parse(text.as_bytes()).unwrap();
        let mut out = String::new();
        state.write(state.randomness, Threshold::parse(threshold), &mut out);
        out
    }

    #[test]
    fn keeps_what_others_wrote() {
        assert_eq!(rewritten("", "8"), "ot=th:8");
        assert_eq!(
            rewritten("vendor=1, ot=th:4;x:y;rv:ABababababab01 ,b@c=d;e", "8"),
            "ot=rv:ABababababab01;th:8;x:y,vendor=1,b@c=d;e"
        );
        assert_eq!(rewritten("ot=th:80", "8"), "ot=th:80");
        assert_eq!(rewritten(",a=b,", "0"), "ot=th:0,a=b");
        assert_eq!(rewritten("ot=th:8;x:y", ""), "ot=x:y");
        assert_eq!(rewritten("ot=th:8", ""), "");
    }

    #[test]
    fn refuses_what_is_malformed() {
        let long_value = format!("a={}", "x".repeat(257));
        let many = vec!["a=b"; 40].join(",");
        let faulty = [
            "a",
            "=b",
            "a=",
            "A=b",
            "a=b=c",
            "a@=b",
            "@a=b",
            "a=\u{7f}",
            "a=ž",
            "ot=",
            "ot=;",
            "ot=th:8;",
            "ot=th",
            "ot=th:",
            "ot=:8",
            "ot=th:g",
            "ot=TH:8",
            "ot=rv:1",
            "ot=x:a b",
            "ot=th:abababababababab",
            &long_value,
            &many,
        ];
        for text in faulty {
            assert!(TraceState::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(TraceState::parse(b"a=\xff").is_none());
    }

    proptest! {
        #[test]
        fn what_it_writes_it_reads(text in "(|vendor=1,)(ot=(x:y;)?(th:[0-9a-f]{1,14})?)?[,a-c=;: ]{0,6}") {
            if let Some(state) = TraceState::parse(text.as_bytes()) {
                let mut out = String::new();
                state.write(state.randomness, state.threshold, &mut out);
                let again = TraceState::parse(out.as_bytes());
                prop_assert!(again.is_some(), "{:?}", out);
                prop_assert_eq!(again.and_then(|again| again.threshold), state.threshold);
            }
        }
    }
}
