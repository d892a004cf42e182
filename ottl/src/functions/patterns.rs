//! Patterns: matching, and taking texts apart by them.

use super::Kind::{EachStr, Str, StrLike};
use super::args::prepare_regex;
use super::{Args, Function, Misuse, State, p};
use crate::fault::Fault;
use crate::plan::{Expr, Outcome};
use crate::subject::Subject;
use crate::tree::{self, Tree};
use crate::value::{Map, Value};
use std::borrow::Cow;
use std::net::IpAddr;

pub(super) const ALL: &[Function] = &[
    Function::converter(
        "IsMatch",
        &[p("target", StrLike), p("pattern", Str)],
        is_match,
    )
    .prepared(|args| prepare_regex(args, 1)),
    Function::converter(
        "ExtractPatterns",
        &[p("target", Str), p("pattern", Str)],
        extract,
    )
    .prepared(prepare_extract),
    Function::converter(
        "IsInCIDR",
        &[p("target", Str), p("networks", EachStr)],
        is_in_cidr,
    )
    .prepared(check_networks),
    Function::converter("IsValidLuhn", &[p("target", StrLike)], |args, subject| {
        let text = args.text_like(0, subject)?;
        Ok(Value::Bool(text.is_some_and(|text| is_luhn(&text))))
    }),
];

fn is_match<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let regex = args.regex(1, subject)?;
    let text = args.text_like(0, subject)?;
    Ok(Value::Bool(text.is_some_and(|text| regex.is_match(&text))))
}

fn prepare_extract(args: &mut Args) -> Result<(), Misuse> {
    prepare_regex(args, 1)?;
    match &args.state {
        State::Regex(regex) if regex.capture_names().flatten().next().is_none() => {
            Err((1, "the pattern names no group, as (?P<name>…)".to_owned()))
        }
        _ => Ok(()),
    }
}

fn extract<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let regex = args.regex(1, subject)?;
    if regex.capture_names().flatten().next().is_none() {
        return Err(Fault::new("the pattern names no group"));
    }
    let text = args.text(0, subject)?;
    let mut entries = Vec::new();
    if let Some(found) = regex.captures(&text) {
        for (index, name) in regex.capture_names().enumerate() {
            if let Some(name) = name {
                let group = found.get(index).map_or(&[][..], |group| group.as_bytes());
                tree::put(&mut entries, name.as_bytes(), Tree::Str(group.to_vec()));
            }
        }
    }
    Ok(Value::Map(Map::Encoded(Cow::Owned(tree::map(&entries)))))
}

/// A network: its address and the bits that belong to it.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
    Some((address, bits))
}

fn contains((network, bits): (IpAddr, u32), address: IpAddr) -> bool {
    let v4 = |address: std::net::Ipv4Addr| u128::from(u32::from(address)) << 96;
    let (network, address) = match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (v4(network), v4(address)),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.into(), address.into()),
        _ => return false,
    };
    bits == 0 || (network ^ address) >> (128 - bits) == 0
}

fn check_networks(args: &mut Args) -> Result<(), Misuse> {
    for expr in args.list_of(1) {
        if let Expr::Literal(Value::Str(text)) = expr {
            let text = String::from_utf8_lossy(text);
            if network(&text).is_none() {
                return Err((1, format!("{text:?} is no network, as \"10.0.0.0/8\"")));
            }
        }
    }
    Ok(())
}

fn is_in_cidr<'v>(args: &'v Args, subject: &'v Subject<'_>) -> Outcome<'v> {
    let Ok(address) = args.string(0, subject)?.parse::<IpAddr>() else {
        return Ok(Value::Bool(false));
    };
    for expr in args.list_of(1) {
        let text = super::args::text_of(expr.eval(subject)?)?;
        let text = String::from_utf8_lossy(&text);
        let network =
            network(&text).ok_or_else(|| Fault::with(format!("{text:?} is no network")))?;
        if contains(network, address) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn is_luhn(text: &[u8]) -> bool {
    let mut sum = 0;
    let digits = text.iter().filter(|byte| **byte != b' ');
    if digits.clone().count() == 0 {
        return false;
    }
    for (index, byte) in digits.rev().enumerate() {
        let Some(digit) = char::from(*byte).to_digit(10) else {
            return false;
        };
        sum += match (index % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        };
    }
    sum % 10 == 0
}
