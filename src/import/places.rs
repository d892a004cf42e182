//! The places in files that the Collector's file consumer keeps: JSON until v0.149 or so, protobuf after it.

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tidegate_pdata::wire::{Cursor, Field, WireType};

use super::bolt::Bucket;

/// The largest fingerprint that is taken; the Collector's have 1000 bytes unless told.
const LARGEST: usize = 1 << 20;

/// How far a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The first bytes of the file.
    pub(super) first: Vec<u8>,
    pub(super) offset: u64,
    pub(super) records: u64,
    /// Its path, where that is among its attributes.
    pub(super) path: String,
    /// Whether bytes are counted in the compressed file.
    pub(super) compressed: bool,
}

/// Every place that a receiver has noted, older ones first.
pub(super) fn read(bucket: &Bucket<'_>) -> anyhow::Result<Vec<Place>> {
    let mut sets = Vec::new();
    bucket.each(|key, value| {
        if let Some(age) = age(key) {
            let key = String::from_utf8_lossy(key);
            let set = places(value).with_context(|| format!("the value of {key:?} is damaged"))?;
            sets.push((age, set));
        }
        Ok(())
    })?;
    sets.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    Ok(sets.into_iter().flat_map(|(_, set)| set).collect())
}

/// How old the places of a key are: `knownFiles` are those of now, `knownFiles0` and so on earlier ones.
fn age(key: &[u8]) -> Option<u64> {
    let key = std::str::from_utf8(key).ok()?;
    let (scope, number) = key.rsplit_once("knownFiles")?;
    // Each operator that notes something has a scope of its own.
    (scope.is_empty() || scope.ends_with('.')).then_some(())?;
    match number {
        "" => Some(0),
        number => number.parse::<u64>().ok().map(|number| number + 1),
    }
}

fn places(value: &[u8]) -> anyhow::Result<Vec<Place>> {
    match value.first() {
        None => Ok(Vec::new()),
        Some(first) if first.is_ascii_digit() => from_json(value),
        Some(_) => from_protobuf(value),
    }
}

/// Reads a count, and as many objects after it.
fn from_json(value: &[u8]) -> anyhow::Result<Vec<Place>> {
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Value>();
    let count = values.next().transpose()?.and_then(|count| count.as_u64());
    let count = count.context("it does not begin with a count")?;
    let mut places = Vec::new();
    for value in values {
        places.push(place_from_json(&value?)?);
    }
    ensure!(
        places.len() as u64 == count,
        "it should tell of {count} files and tells of {}",
        places.len()
    );
    Ok(places)
}

fn place_from_json(value: &Value) -> anyhow::Result<Place> {
    let number = |key: &str| match &value[key] {
        Value::Null => Ok(0),
        number => number
            .as_u64()
            .with_context(|| format!("{key} is {number}")),
    };
    let fingerprint = &value["Fingerprint"];
    let first = ["first_bytes", "FirstBytes"]
        .iter()
        .find_map(|key| fingerprint[*key].as_str());
    let first = STANDARD
        .decode(first.context("a file has no fingerprint")?)
        .context("a fingerprint is no base64")?;
    checked(Place {
        first,
        offset: number("Offset")?,
        records: number("RecordNum")?,
        path: path_in(&value["FileAttributes"]),
        compressed: value["FileType"] == ".gz",
    })
}

fn path_in(attributes: &Value) -> String {
    let path = attributes["log.file.path"].as_str();
    path.unwrap_or_default().to_owned()
}

fn checked(place: Place) -> anyhow::Result<Place> {
    ensure!(
        place.first.len() <= LARGEST,
        "a fingerprint has {} bytes",
        place.first.len()
    );
    ensure!(
        i64::try_from(place.offset).is_ok(),
        "a place lies at byte {} of its file",
        place.offset
    );
    Ok(place)
}

fn from_protobuf(value: &[u8]) -> anyhow::Result<Vec<Place>> {
    let mut places = Vec::new();
    for field in fields(value)? {
        if field.number == 1 {
            places.push(place_from_protobuf(bytes_of(&field)?)?);
        }
    }
    Ok(places)
}

/// The fields of a message, all of them or none.
fn fields(message: &[u8]) -> anyhow::Result<Vec<Field<'_>>> {
    let mut cursor = Cursor::new(message);
    let fields = std::iter::from_fn(|| cursor.field().transpose());
    let fields: Result<Vec<Field<'_>>, _> = fields.collect();
    fields.context("it is neither JSON nor protobuf")
}

fn bytes_of<'a>(field: &Field<'a>) -> anyhow::Result<&'a [u8]> {
    match field.wire {
        WireType::Len => Ok(field.bytes),
        _ => bail!("field {} is no message", field.number),
    }
}

fn place_from_protobuf(message: &[u8]) -> anyhow::Result<Place> {
    let mut place = Place::default();
    for field in fields(message)? {
        match field.number {
            1 => {
                for part in fields(bytes_of(&field)?)? {
                    if part.number == 1 {
                        place.first = bytes_of(&part)?.to_vec();
                    }
                }
            }
            2 => place.offset = field.scalar,
            3 => place.records = field.scalar,
            4 => {
                let attributes = serde_json::from_slice(bytes_of(&field)?);
                place.path = path_in(&attributes.context("the attributes of a file are no JSON")?);
            }
            8 => place.compressed = bytes_of(&field)? == b".gz",
            _ => {}
        }
    }
    checked(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_tell_the_same() {
        let json = br#"1
{"Fingerprint":{"first_bytes":"YWJj"},"Offset":40,"RecordNum":4,"FileAttributes":{"log.file.path":"/a"},"FileType":""}
"#;
        let protobuf =
            b"\x0a\x23\x0a\x05\x0a\x03abc\x10\x28\x18\x04\x22\x16{\"log.file.path\":\"/a\"}";
        let expected = Place {
            first: b"abc".to_vec(),
            offset: 40,
            records: 4,
            path: "/a".to_owned(),
            compressed: false,
        };
        assert_eq!(places(json).unwrap(), std::slice::from_ref(&expected));
        assert_eq!(places(protobuf).unwrap(), [expected]);
        assert_eq!(places(b"").unwrap(), []);
        assert_eq!(places(b"0\n").unwrap(), []);
    }

    #[test]
    fn what_is_damaged_is_told() {
        let told = |value: &[u8]| format!("{:#}", places(value).unwrap_err());
        assert!(told(b"2\n{\"Fingerprint\":{\"first_bytes\":\"\"}}\n").contains("tells of 1"));
        assert!(told(b"1\n{}").contains("no fingerprint"));
        assert!(told(b"1\n{\"Fingerprint\":{\"first_bytes\":\"?\"}}").contains("base64"));
        assert!(
            told(b"1\n{\"Fingerprint\":{\"first_bytes\":\"\"},\"Offset\":-1}")
                .contains("Offset is -1")
        );
        assert!(told(b"\xff\xff").contains("neither JSON nor protobuf"));
        assert!(
            told(b"\x0a\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
                .contains("a place lies at byte")
        );
    }

    #[test]
    fn only_keys_of_places_are_looked_at() {
        assert_eq!(age(b"file_input.knownFiles"), Some(0));
        assert_eq!(age(b"knownFiles"), Some(0));
        assert_eq!(age(b"file_input.knownFiles2"), Some(3));
        assert_eq!(age(b"file_input.knownFilesArchiveIndex"), None);
        assert_eq!(age(b"unknownFiles"), None);
        assert_eq!(age(b"\xff"), None);
    }
}
