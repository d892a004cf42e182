//! The encodings of files.

use std::borrow::Cow;

use tidegate_component::BuildError;

/// How a file's bytes are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// They are no text.
    Nop,
    /// Text that is passed on whether it is UTF-8 or not.
    Utf8Raw,
    /// UTF-8; what is none becomes U+FFFD.
    Utf8,
    /// UTF-16, with the low byte first or not.
    Utf16 { little: bool },
    /// One of the encodings of the web, in which a byte 10 always ends a line.
    Other(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// The encoding of a name; `path` is the key that has it.
    pub(crate) fn named(name: &str, path: &str) -> Result<Self, BuildError> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "nop" => Self::Nop,
            "utf-8-raw" | "utf8-raw" => Self::Utf8Raw,
            "" | "utf-8" | "utf8" | "ascii" | "us-ascii" => Self::Utf8,
            "utf-16le" | "utf16le" => Self::Utf16 { little: true },
            "utf-16be" | "utf16be" | "utf-16" => Self::Utf16 { little: false },
            other => match encoding_rs::Encoding::for_label(other.as_bytes()) {
                Some(known) if known == encoding_rs::UTF_16LE => Self::Utf16 { little: true },
                Some(known) if known == encoding_rs::UTF_16BE => Self::Utf16 { little: false },
                // In this one a byte 10 may be within a character.
                Some(known)
                    if known != encoding_rs::ISO_2022_JP && known != encoding_rs::REPLACEMENT =>
                {
                    Self::Other(known)
                }
                _ => {
                    let error = BuildError::at(path, format!("the encoding {name:?} is not built"));
                    return Err(error.remedy(
                        "write for example `utf-8`, `utf-16le`, `windows-1252`, `big5` or `nop`",
                    ));
                }
            },
        })
    }

    /// The text of these bytes, as UTF-8 but for what is passed on raw.
    pub(crate) fn decode<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        match self {
            Self::Nop | Self::Utf8Raw => Cow::Borrowed(bytes),
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(_) => Cow::Borrowed(bytes),
                Err(_) => Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into_bytes()),
            },
            Self::Utf16 { little } => {
                let encoding = if *little {
                    encoding_rs::UTF_16LE
                } else {
                    encoding_rs::UTF_16BE
                };
                decoded(encoding, bytes)
            }
            Self::Other(encoding) => decoded(encoding, bytes),
        }
    }
}

fn decoded<'b>(encoding: &'static encoding_rs::Encoding, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    match encoding.decode_without_bom_handling(bytes).0 {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, bytes: &[u8]) -> String {
        let encoding = Encoding::named(name, "encoding").unwrap();
        String::from_utf8_lossy(&encoding.decode(bytes)).into_owned()
    }

    #[test]
    fn text_is_decoded() {
        assert_eq!(text("utf-8", "ž".as_bytes()), "ž");
        assert_eq!(text("ASCII", b"a\xffb"), "a\u{fffd}b");
        assert_eq!(text("utf-16le", b"a\0\x7e\x01"), "až");
        assert_eq!(text("UTF-16BE", b"\0a\x01\x7e"), "až");
        assert_eq!(text("windows-1252", b"\x80"), "€");
        assert_eq!(text("big5", b"\xa4\xa4"), "中");
        let raw = Encoding::named("utf-8-raw", "").unwrap();
        assert_eq!(&*raw.decode(b"a\xff"), b"a\xff");
    }

    #[test]
    fn what_is_not_built_is_told() {
        for name in ["klingon", "iso-2022-jp"] {
            let error = Encoding::named(name, "encoding").unwrap_err();
            assert!(error.to_string().contains("is not built"), "{error}");
        }
    }
}
