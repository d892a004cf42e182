//! Tokens of expressions.

use super::Fault;

/// What an expression is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Int(i64),
    Float(f64),
    Text(String),
    Name(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// Operators and brackets, those that begin with another one first.
const SIGNS: &[&str] = &[
    "**", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "..", "+", "-", "*", "/", "%", "^", "<",
    ">", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}", "|", "#", ";",
];

/// Splits an expression into tokens, each with the place where it begins, counted in characters.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let at = text[..text.len() - trimmed.len()].chars().count();
        rest = trimmed;
        let Some(first) = rest.chars().next() else {
            tokens.push((Token::End, at));
            return Ok(tokens);
        };
        let (token, length) = match first {
            '"' | '\'' => quoted(rest, first, at)?,
            '`' => raw(rest, at)?,
            '0'..='9' => number(rest, at)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest, at)?,
            c if c.is_alphabetic() || c == '_' || c == '$' => name(rest),
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| Fault::at(at, format!("`{first}` means nothing")))?;
                (Token::Sign(sign), sign.len())
            }
        };
        tokens.push((token, at));
        rest = &rest[length..];
    }
}

fn name(text: &str) -> (Token, usize) {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let end = text.find(|c: char| !inside(c)).unwrap_or(text.len());
    (Token::Name(text[..end].to_owned()), end)
}

fn raw(text: &str, at: usize) -> Result<(Token, usize), Fault> {
    let body = &text[1..];
    let end = body.find('`').ok_or_else(|| open(at))?;
    Ok((Token::Text(body[..end].to_owned()), end + 2))
}

fn open(at: usize) -> Fault {
    Fault::at(at, "the text that begins here has no end".to_owned())
}

fn quoted(text: &str, quote: char, at: usize) -> Result<(Token, usize), Fault> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((index, char)) = chars.next() {
        if char == quote {
            return Ok((Token::Text(out), index + 1));
        }
        if char != '\\' {
            out.push(char);
            continue;
        }
        let (_, escaped) = chars.next().ok_or_else(|| open(at))?;
        let digits = match escaped {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 {
            let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
            let char = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
            out.push(
                char.ok_or_else(|| Fault::at(at, format!("`\\{escaped}{code}` is no character")))?,
            );
            continue;
        }
        out.push(match escaped {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' | '"' | '\'' | '`' => escaped,
            other => {
                let why = format!("`\\{other}` is no escape in a text; write `\\\\{other}`");
                return Err(Fault::at(at, why));
            }
        });
    }
    Err(open(at))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), Fault> {
    let fault = |end: usize| Fault::at(at, format!("`{}` is no number", &text[..end]));
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let inside = |c: char| c.is_ascii_hexdigit() || c == '_';
        let end = hex.find(|c: char| !inside(c)).unwrap_or(hex.len());
        let value = i64::from_str_radix(&hex[..end].replace('_', ""), 16);
        return Ok((Token::Int(value.map_err(|_| fault(end + 2))?), end + 2));
    }
    let bytes = text.as_bytes();
    let mut end = 0;
    let mut float = false;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'0'..=b'9' | b'_' => {}
            // `1..3` is a range.
            b'.' if !float && bytes.get(end + 1) != Some(&b'.') => float = true,
            b'e' | b'E' if matches!(bytes.get(end + 1), Some(b'0'..=b'9')) => float = true,
            b'e' | b'E'
                if matches!(bytes.get(end + 1), Some(b'+' | b'-'))
                    && matches!(bytes.get(end + 2), Some(b'0'..=b'9')) =>
            {
                float = true;
                end += 1;
            }
            _ => break,
        }
        end += 1;
    }
    let digits = text[..end].replace('_', "");
    let token = if float {
        Token::Float(digits.parse().map_err(|_| fault(end))?)
    } else {
        Token::Int(digits.parse().map_err(|_| fault(end))?)
    };
    Ok((token, end))
}
