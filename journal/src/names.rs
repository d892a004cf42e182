//! Names of logs as names of directories, and back.

use std::fmt::Write as _;

/// What a file system takes as one name, less what is kept for us.
const LONGEST: usize = 240;

/// The directory of a log; none if the name is empty or too long for one.
pub(crate) fn to_directory(name: &str) -> Option<String> {
    let mut directory = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => directory.push(byte.into()),
            b'.' if at > 0 => directory.push('.'),
            // Writing to a string cannot fail.
            _ => _ = write!(directory, "%{byte:02X}"),
        }
    }
    (1..=LONGEST)
        .contains(&directory.len())
        .then_some(directory)
}

/// The log whose directory has this name; none if no log's has.
pub(crate) fn from_directory(directory: &str) -> Option<String> {
    let mut name = Vec::with_capacity(directory.len());
    let mut rest = directory.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            name.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            name.push(*byte);
        }
    }
    let name = String::from_utf8(name).ok()?;
    (to_directory(&name)? == directory).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_exporter_keeps_a_readable_name() {
        let directory = to_directory("otlp/edge.1-traces");
        assert_eq!(directory.as_deref(), Some("otlp%2Fedge.1-traces"));
        assert_eq!(to_directory(""), None);
        assert_eq!(to_directory(".").as_deref(), Some("%2E"));
    }

    proptest! {
        #[test]
        fn every_name_comes_back_and_stays_inside(name in ".{1,20}") {
            let directory = to_directory(&name).unwrap();
            prop_assert!(!directory.contains('/') && !directory.starts_with('.'));
            prop_assert_eq!(from_directory(&directory), Some(name));
        }

        #[test]
        fn any_directory_is_a_log_or_is_not(name in ".{0,40}") {
            if let Some(log) = from_directory(&name) {
                prop_assert_eq!(to_directory(&log), Some(name));
            }
        }
    }
}
