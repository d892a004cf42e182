//! W3C trace states, read as strictly as the Collector's SDK reads them.

/// Members that a trace state has at most.
const MOST: usize = 32;

/// The value of a member; none where the whole is no trace state.
pub(super) fn get<'a>(text: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut keys: [&[u8]; MOST] = [&[]; MOST];
    let mut count = 0;
    let mut found = None;
    for member in text.split(|byte| *byte == b',') {
        if member.is_empty() {
            continue;
        }
        let (key, value) = parsed(member)?;
        if count == MOST || keys[..count].contains(&key) {
            return None;
        }
        keys[count] = key;
        count += 1;
        if key == wanted {
            found = Some(value);
        }
    }
    found
}

fn parsed(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = member.iter().position(|byte| *byte == b'=')?;
    let blank = |byte: &u8| !matches!(*byte, b' ' | b'\t');
    let key = &member[..at];
    let key = &key[key.iter().position(blank).unwrap_or(key.len())..];
    let value = &member[at + 1..];
    let value = &value[..value.iter().rposition(blank).map_or(0, |last| last + 1)];
    (is_key(key) && is_value(value)).then_some((key, value))
}

fn is_key(key: &[u8]) -> bool {
    match key.iter().position(|byte| *byte == b'@') {
        None => is_part(key, u8::is_ascii_lowercase, 256),
        Some(at) => {
            let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            is_part(&key[..at], is_first, 241)
                && is_part(&key[at + 1..], u8::is_ascii_lowercase, 14)
        }
    }
}

fn is_part(part: &[u8], is_first: impl Fn(&u8) -> bool, most: usize) -> bool {
    let is_rest = |byte: &u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(*byte, b'_' | b'-' | b'*' | b'/')
    };
    match part {
        [first, rest @ ..] => is_first(first) && part.len() <= most && rest.iter().all(is_rest),
        [] => false,
    }
}

fn is_value(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(*byte, b' '..=b'~') && !matches!(*byte, b',' | b'=');
    let ends = value.last().is_some_and(|last| *last != b' ');
    ends && value.len() <= 256 && value.iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::get;

    #[test]
    fn members_are_found_in_what_is_a_trace_state() {
        let cases: [(&str, &str, Option<&str>); 12] = [
            ("a=1,b=2", "b", Some("2")),
            (" a=1 ,\tb=2\t", "b", Some("2")),
            ("a=1,,b=2", "a", Some("1")),
            ("", "a", None),
            ("a=1,b", "a", None),
            ("a=1,a=2", "a", None),
            ("A=1,a=2", "a", None),
            ("1a@sys=3", "1a@sys", Some("3")),
            ("1a=3,b=1", "b", None),
            ("a=1=2,b=1", "b", None),
            ("a=,b=1", "b", None),
            ("ot=th:8;rv:1", "ot", Some("th:8;rv:1")),
        ];
        for (text, key, expected) in cases {
            let found = get(text.as_bytes(), key.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{text}");
        }
        let many: Vec<String> = (0..33).map(|at| format!("k{at}=v")).collect();
        assert_eq!(get(many.join(",").as_bytes(), b"k0"), None);
        assert_eq!(
            get(many[..32].join(",").as_bytes(), b"k31"),
            Some(&b"v"[..])
        );
    }
}
