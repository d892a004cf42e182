//! The encodings that an HTTP server takes bodies in.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::compression::Codec;

/// The encodings that an HTTP server takes bodies in.
#[derive(Clone, Debug)]
pub struct Encodings {
    /// None takes every body as it is, whatever its header says.
    taken: Option<Vec<&'static str>>,
}

impl Encodings {
    /// The names of all encodings; the empty one is a body as it is.
    pub const KNOWN: [&str; 8] = [
        "",
        "gzip",
        "zstd",
        "zlib",
        "snappy",
        "deflate",
        "lz4",
        "x-snappy-framed",
    ];

    /// These encodings, or all.
    ///
    /// # Errors
    /// With the name that is not known.
    pub fn new(names: Option<&[String]>) -> Result<Self, &str> {
        let Some(names) = names else {
            return Ok(Self {
                taken: Some(Self::KNOWN.to_vec()),
            });
        };
        let mut taken = Vec::new();
        for name in names {
            let known = Self::KNOWN.iter().find(|known| *known == name);
            taken.push(*known.ok_or(name.as_str())?);
        }
        Ok(Self {
            taken: Some(taken).filter(|taken| !taken.is_empty()),
        })
    }

    /// How a body with these headers is compressed.
    ///
    /// # Errors
    /// With the encoding's name, where it is not taken.
    pub fn of(&self, headers: &HeaderMap) -> Result<Option<Codec>, String> {
        let Some(taken) = &self.taken else {
            return Ok(None);
        };
        let name = match headers.get(CONTENT_ENCODING) {
            None => "",
            Some(value) => value.to_str().unwrap_or("?"),
        };
        match taken.contains(&name) {
            true => Ok(Codec::from_content_encoding(name)),
            false => Err(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(encodings: &Encodings, name: Option<&'static str>) -> Result<Option<Codec>, String> {
        let mut headers = HeaderMap::new();
        if let Some(name) = name {
            headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static(name));
        }
        encodings.of(&headers)
    }

    #[test]
    fn all_known_encodings_are_taken_unless_told() {
        let all = Encodings::new(None).unwrap();
        assert_eq!(of(&all, None), Ok(None));
        assert_eq!(of(&all, Some("deflate")), Ok(Some(Codec::Zlib)));
        for name in &Encodings::KNOWN[1..] {
            assert!(matches!(of(&all, Some(name)), Ok(Some(_))), "{name}");
        }
        assert_eq!(of(&all, Some("br")), Err("br".to_owned()));
    }

    #[test]
    fn only_the_listed_encodings_are_taken() {
        let listed = Encodings::new(Some(&["zstd".to_owned()])).unwrap();
        assert_eq!(of(&listed, Some("zstd")), Ok(Some(Codec::Zstd)));
        assert_eq!(of(&listed, Some("gzip")), Err("gzip".to_owned()));
        assert_eq!(of(&listed, None), Err(String::new()));
        assert_eq!(Encodings::new(Some(&["br".to_owned()])).unwrap_err(), "br");
    }

    #[test]
    fn an_empty_list_takes_bodies_as_they_are() {
        let none = Encodings::new(Some(&[])).unwrap();
        assert_eq!(of(&none, Some("gzip")), Ok(None));
    }
}
