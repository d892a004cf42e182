//! Texts that IDs, trace states and values are written as.

use crate::fault::Fault;
use crate::lexer;

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

/// The ID that hexadecimal digits stand for.
pub(crate) fn id<const N: usize>(text: &[u8]) -> Result<[u8; N], Fault> {
    lexer::hex(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Fault::with(format!("an ID of {} hexadecimal digits is needed", 2 * N)))
}

/// A member of a trace state: its key and its value.
type Member<'t> = (&'t [u8], &'t [u8]);

/// What a trace state has at most.
const MOST_MEMBERS: usize = 32;

/// The members of a W3C trace state; `None` where it is malformed.
pub(crate) fn trace_state(state: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut members: Vec<Member<'_>> = Vec::new();
    for member in state.split(|byte| *byte == b',') {
        let member = member.trim_ascii();
        if member.is_empty() {
            continue;
        }
        let at = member.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&member[..at], &member[at + 1..]);
        let is_new = members.iter().all(|(known, _)| *known != key);
        if !is_key(key) || !is_value(value) || !is_new {
            return None;
        }
        members.push((key, value));
    }
    (members.len() <= MOST_MEMBERS).then_some(members)
}

/// A trace state with a member put first; `None` where it would be malformed.
pub(crate) fn insert_member(members: &[Member<'_>], key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    if !is_key(key) || !is_value(value) {
        return None;
    }
    let others = members
        .iter()
        .filter(|(name, _)| *name != key)
        .take(MOST_MEMBERS - 1);
    let all = std::iter::once((key, value)).chain(others.copied());
    let all: Vec<Vec<u8>> = all
        .map(|(key, value)| [key, b"=", value].concat())
        .collect();
    Some(all.join(&b','))
}

fn is_key(key: &[u8]) -> bool {
    let is_char =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(byte);
    (1..=256).contains(&key.len())
        && key.iter().all(is_char)
        && key[0].is_ascii_alphanumeric()
        && key.iter().filter(|byte| **byte == b'@').count() <= 1
}

fn is_value(value: &[u8]) -> bool {
    let is_char = |byte: &u8| (0x20..0x7f).contains(byte) && !b",=".contains(byte);
    (1..=256).contains(&value.len())
        && value.iter().all(is_char)
        && value.last().is_some_and(|byte| *byte != b' ')
}
