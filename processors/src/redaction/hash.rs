//! What stands in place of what is masked.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use md5::{Digest, Md5};
use regex::bytes::{Captures, Regex};

/// A hash of text.
pub(super) enum Hash {
    Md5,
    Digest(&'static digest::Algorithm),
    Hmac(Box<hmac::Key>),
}

impl Hash {
    pub(super) const fn sha1() -> Self {
        Self::Digest(&digest::SHA1_FOR_LEGACY_USE_ONLY)
    }

    pub(super) const fn sha3() -> Self {
        Self::Digest(&digest::SHA3_256)
    }

    pub(super) fn hmac_sha256(key: &[u8]) -> Self {
        Self::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    pub(super) fn hmac_sha512(key: &[u8]) -> Self {
        Self::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA512, key)))
    }

    fn write(&self, text: &[u8], out: &mut String) {
        match self {
            Self::Md5 => hex(&Md5::digest(text), out),
            Self::Digest(algorithm) => hex(digest::digest(algorithm, text).as_ref(), out),
            Self::Hmac(key) => hex(hmac::sign(key, text).as_ref(), out),
        }
    }
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // Writing to text cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
}

/// Masks text.
pub(super) struct Mask {
    hash: Option<Hash>,
    /// Matches each line of a text.
    lines: Regex,
}

impl Mask {
    pub(super) fn new(hash: Option<Hash>) -> Self {
        let lines = Regex::new(".*").expect("it is a regular expression");
        Self { hash, lines }
    }

    /// Masks what matches.
    pub(super) fn matches(&self, text: &mut Vec<u8>, pattern: &Regex) {
        let masked = pattern.replace_all(text, |found: &Captures<'_>| {
            let mut mask = String::new();
            match &self.hash {
                None => mask.push_str("****"),
                Some(hash) => hash.write(&found[0], &mut mask),
            }
            mask
        });
        if let std::borrow::Cow::Owned(masked) = masked {
            *text = masked;
        }
    }

    /// Masks all of it, line by line.
    pub(super) fn all(&self, text: &mut Vec<u8>) {
        self.matches(text, &self.lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_their_standards() {
        let hashed = |hash: Hash| {
            let mut out = String::new();
            hash.write(b"abc", &mut out);
            out
        };
        assert_eq!(hashed(Hash::Md5), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            hashed(Hash::sha1()),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hashed(Hash::sha3()),
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
        );
    }

    #[test]
    fn all_of_a_text_is_masked_once_a_line() {
        let masked = |text: &str| {
            let mut text = text.as_bytes().to_vec();
            Mask::new(None).all(&mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(masked("secret"), "****");
        assert_eq!(masked(""), "****");
        assert_eq!(masked("a\nb"), "****\n****");
    }
}
