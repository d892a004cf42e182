//! `env`: what `OTEL_RESOURCE_ATTRIBUTES` says, as `key=value,key=value`.

use super::super::found::Found;
use super::super::world::World;

/// The longest key and value.
const LONGEST: usize = 256;

/// Reads the variable; `only` names the keys that count, all unless told.
pub(super) fn detect(
    world: &World,
    only: Option<&[String]>,
    found: &mut Found<'_>,
) -> Result<(), String> {
    let variables = ["OTEL_RESOURCE_ATTRIBUTES", "OTEL_RESOURCE"];
    let Some((name, text)) = variables
        .iter()
        .find_map(|name| Some((name, world.variable(name)?)))
    else {
        return Ok(());
    };
    for pair in text.strip_suffix(',').unwrap_or(&text).split(',') {
        let (key, value) = pair
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("{name}: \"{pair}\" is not `key=value`"))?;
        if !pair.is_ascii() || key.len() > LONGEST || value.len() > LONGEST {
            return Err(format!(
                "{name}: \"{key}\" or its value is longer than {LONGEST} characters, or not ASCII"
            ));
        }
        let value = unescaped(value)
            .ok_or_else(|| format!("{name}: the value of \"{key}\" has a broken escape"))?;
        if only.is_none_or(|only| only.iter().any(|name| name == key)) {
            found.add(key.to_owned(), value);
        }
    }
    Ok(())
}

/// A value with its `%` escapes and `+` resolved; none where an escape is broken.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high << 4 | low).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
