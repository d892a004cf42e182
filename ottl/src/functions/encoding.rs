//! Encodings of texts and bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::Kind::{Any, BytesLike, Str};
use super::{Args, Function, o, p};
use crate::fault::Fault;
use crate::plan::Outcome;
use crate::subject::Subject;
use crate::text::hex;
use crate::value::Value;

pub(super) const ALL: &[Function] = &[
    Function::converter("Base64Decode", &[p("target", Str)], |args, subject| {
        decoded(&STANDARD, &args.text(0, subject)?)
    }),
    Function::converter(
        "Base64Encode",
        &[p("target", Str), o("variant", Str)],
        encode,
    ),
    Function::converter("Decode", &[p("target", Any), p("encoding", Str)], decode),
    Function::converter("Hex", &[p("target", BytesLike)], |args, subject| {
        Ok(Value::text(hex(&match args.value(0, subject)? {
            Value::Nil => Cow::Borrowed(&[][..]),
            Value::Bytes(bytes) | Value::Str(bytes) => bytes,
            Value::Int(value) => Cow::Owned(value.to_be_bytes().to_vec()),
            Value::Double(value) => Cow::Owned(value.to_be_bytes().to_vec()),
            Value::Bool(value) => Cow::Owned(vec![u8::from(value)]),
            other => return Err(Fault::expected("bytes", other.kind())),
        })))
    }),
];

fn variant(name: &[u8]) -> Option<&'static GeneralPurpose> {
    Some(match name {
        b"base64" => &STANDARD,
        b"base64-raw" => &STANDARD_NO_PAD,
        b"base64-url" => &URL_SAFE,
        b"base64-raw-url" => &URL_SAFE_NO_PAD,
        _ => return None,
    })
}

fn decoded<'v>(engine: &GeneralPurpose, text: &[u8]) -> Outcome<'v> {
    // As in Go, line breaks in it do not count.
    let plain: Cow<'_, [u8]> = if text.iter().any(|byte| b"\r\n".contains(byte)) {
        text.iter()
            .copied()
            .filter(|byte| !b"\r\n".contains(byte))
            .collect::<Vec<_>>()
            .into()
    } else {
        text.into()
    };
    engine
        .decode(plain)
        .map(Value::owned)
        .map_err(|error| Fault::with(format!("the text is no base64: {error}")))
}

fn encode<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let text = args.text(0, subject)?;
    let engine = if args.has(1) {
        let name = args.text(1, subject)?;
        variant(&name).ok_or_else(|| {
            let name = String::from_utf8_lossy(&name);
            Fault::with(format!("unsupported base64 variant: {name}"))
        })?
    } else {
        &STANDARD
    };
    Ok(Value::text(engine.encode(text)))
}

fn decode<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let bytes = match args.value(0, subject)? {
        Value::Str(bytes) | Value::Bytes(bytes) => bytes,
        other => return Err(Fault::expected("string or bytes", other.kind())),
    };
    let name = args.text(1, subject)?;
    if let Some(engine) = variant(&name) {
        return decoded(engine, &bytes);
    }
    let encoding = encoding_rs::Encoding::for_label(&name).ok_or_else(|| {
        let name = String::from_utf8_lossy(&name);
        Fault::with(format!("unknown encoding {name:?}"))
    })?;
    let (text, _) = encoding.decode_without_bom_handling(&bytes);
    Ok(Value::text(text.into_owned()))
}
