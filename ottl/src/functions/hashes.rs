//! Hashes and identifiers.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::Kind::{BytesLike, Str};
use super::{Args, Function, Misuse, p};
use crate::fault::Fault;
use crate::plan::{Expr, Outcome};
use crate::subject::Subject;
use crate::text::{hex, id};
use crate::value::Value;

pub(super) const ALL: &[Function] = &[
    Function::converter("SHA1", &[p("target", Str)], |args, subject| {
        use sha1::Digest as _;
        Ok(Value::text(hex(&sha1::Sha1::digest(
            args.text(0, subject)?,
        ))))
    }),
    Function::converter("SHA256", &[p("target", Str)], |args, subject| {
        Ok(Value::text(hex(&Sha256::digest(args.text(0, subject)?))))
    }),
    Function::converter("SHA512", &[p("target", Str)], |args, subject| {
        Ok(Value::text(hex(&Sha512::digest(args.text(0, subject)?))))
    }),
    Function::converter("MD5", &[p("target", Str)], |args, subject| {
        use md5::Digest as _;
        Ok(Value::text(hex(&Md5::digest(args.text(0, subject)?))))
    }),
    Function::converter("FNV", &[p("target", Str)], |args, subject| {
        Ok(Value::Int(fnv(&args.text(0, subject)?) as i64))
    }),
    Function::converter("XXH3", &[p("target", Str)], |args, subject| {
        Ok(Value::text(format!(
            "{:016x}",
            xxh3_64(&args.text(0, subject)?)
        )))
    }),
    Function::converter("XXH128", &[p("target", Str)], |args, subject| {
        Ok(Value::text(format!(
            "{:032x}",
            xxh3_128(&args.text(0, subject)?)
        )))
    }),
    Function::converter("UUID", &[], |_, _| {
        Ok(Value::text(uuid::Uuid::new_v4().to_string()))
    })
    .impure(),
    Function::converter("UUIDv7", &[], |_, _| {
        Ok(Value::text(uuid::Uuid::now_v7().to_string()))
    })
    .impure(),
    Function::converter("TraceID", &[p("target", BytesLike)], |args, subject| {
        identifier(args, subject).map(Value::TraceId)
    })
    .prepared(check_id::<16>),
    Function::converter("SpanID", &[p("target", BytesLike)], |args, subject| {
        identifier(args, subject).map(Value::SpanId)
    })
    .prepared(check_id::<8>),
];

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn check_id<const N: usize>(args: &mut Args) -> Result<(), Misuse> {
    let length = match args.values.first() {
        Some(super::Arg::Expr(Expr::Literal(Value::Str(bytes) | Value::Bytes(bytes)))) => {
            bytes.len()
        }
        _ => return Ok(()),
    };
    if length == N || length == 2 * N {
        return Ok(());
    }
    Err((
        0,
        format!("the ID has {N} bytes, or {} hexadecimal digits", 2 * N),
    ))
}

/// An ID of bytes, or of their hexadecimal digits.
fn identifier<const N: usize>(args: &Args, subject: &Subject<'_>) -> Result<[u8; N], Fault> {
    let bytes = match args.value(0, subject)? {
        Value::Bytes(bytes) | Value::Str(bytes) => bytes,
        other => return Err(Fault::expected("bytes", other.kind())),
    };
    match <[u8; N]>::try_from(&*bytes) {
        Ok(bytes) => Ok(bytes),
        Err(_) => id(&bytes),
    }
}

/// The converters whose result is the same for the same text, for those that hand texts on.
pub(super) fn apply(
    function: &'static Function,
    text: Vec<u8>,
    subject: &Subject<'_>,
) -> Result<Vec<u8>, Fault> {
    use super::{Arg, Run, State};
    let Run::Converter(run) = function.run else {
        return Err(Fault::new("an editor gives no value"));
    };
    let values = function.params.iter().skip(1).map(|_| Arg::None);
    let first = Arg::Expr(Expr::Literal(Value::owned(text)));
    let args = Args {
        function,
        values: std::iter::once(first).chain(values).collect(),
        state: State::None,
    };
    let outcome: Outcome<'_> = run(&args, subject);
    match outcome? {
        Value::Str(text) => Ok(text.into_owned()),
        other => Err(Fault::expected("string", other.kind())),
    }
}
