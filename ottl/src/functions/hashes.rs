//! Hashes and identifiers.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::Kind::{BytesLike, Int, Str};
use super::{Args, Function, Misuse, o, p};
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
    Function::converter("Murmur3Hash", &[p("target", Str)], |args, subject| {
        let hash = murmur3::murmur3_32(&mut &*args.text(0, subject)?, 0).map_err(unread)?;
        Ok(Value::text(hex(&hash.to_le_bytes())))
    }),
    Function::converter("Murmur3Hash128", &[p("target", Str)], |args, subject| {
        let hash = murmur3::murmur3_x64_128(&mut &*args.text(0, subject)?, 0).map_err(unread)?;
        Ok(Value::text(hex(&hash.to_le_bytes())))
    }),
    Function::converter(
        "CommunityID",
        &[
            p("sourceIP", Str),
            p("sourcePort", Int),
            p("destinationIP", Str),
            p("destinationPort", Int),
            o("protocol", Str),
            o("seed", Int),
        ],
        community_id,
    ),
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

/// What cannot be: a text is read from memory.
fn unread(error: std::io::Error) -> Fault {
    Fault::with(error.to_string())
}

/// The name of a flow that both of its directions have: Community ID, version 1
/// (<https://github.com/corelight/community-id-spec>).
fn community_id<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    use sha1::Digest as _;
    let address = |index| {
        let text = args.string(index, subject)?;
        let address: IpAddr = text
            .parse()
            .map_err(|_| Fault::with(format!("`{text}` is no IP address")))?;
        Ok(match address.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        })
    };
    let number = |index, least: i64| {
        let value = args.int(index, subject)?;
        u16::try_from(value)
            .ok()
            .filter(|_| value >= least)
            .ok_or_else(|| Fault::with(format!("{value} is not from {least} to 65535")))
    };
    let mut ends = [(address(0)?, number(1, 1)?), (address(2)?, number(3, 1)?)];
    let protocol: u8 = if args.has(4) {
        match &*args.text(4, subject)? {
            b"ICMP" => 1,
            b"TCP" => 6,
            b"UDP" => 17,
            b"RSVP" => 46,
            b"ICMP6" => 58,
            b"SCTP" => 132,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(Fault::with(format!("the protocol `{other}` is not known")));
            }
        }
    } else {
        6
    };
    let seed = if args.has(5) { number(5, 0)? } else { 0 };
    ends.sort_by_key(|(address, port)| (address.len(), address.clone(), *port));
    let mut hash = sha1::Sha1::new();
    hash.update(seed.to_be_bytes());
    hash.update(&ends[0].0);
    hash.update(&ends[1].0);
    hash.update([protocol, 0]);
    hash.update(ends[0].1.to_be_bytes());
    hash.update(ends[1].1.to_be_bytes());
    Ok(Value::text(format!(
        "1:{}",
        STANDARD.encode(hash.finalize())
    )))
}

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
