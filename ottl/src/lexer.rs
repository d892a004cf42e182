//! Text to tokens.

use std::ops::Range;

use crate::error::Error;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// An operation on numbers, times and durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Sub,
    Mul,
    Div,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Bytes(Vec<u8>),
    Double(f64),
    Int(i64),
    Str(Vec<u8>),
    Name(String),
    Compare(Comparison),
    Math(Operation),
    Equal,
    Open,
    Close,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    Colon,
    Comma,
    Dot,
    End,
}

impl Token {
    /// What it is called in an error.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Double(_) | Self::Int(_) => "a number".to_owned(),
            Self::Str(_) => "a text".to_owned(),
            Self::Name(name) => format!("`{name}`"),
            Self::Compare(_) => "a comparison".to_owned(),
            Self::Math(Operation::Add) => "`+`".to_owned(),
            Self::Math(Operation::Sub) => "`-`".to_owned(),
            Self::Math(Operation::Mul) => "`*`".to_owned(),
            Self::Math(Operation::Div) => "`/`".to_owned(),
            Self::Equal => "`=`".to_owned(),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::OpenBrace => "`{`".to_owned(),
            Self::CloseBrace => "`}`".to_owned(),
            Self::OpenBracket => "`[`".to_owned(),
            Self::CloseBracket => "`]`".to_owned(),
            Self::Colon => "`:`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::Dot => "`.`".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longer texts are no statements that anybody wrote.
const LONGEST: usize = 1 << 16;

pub(crate) type Spanned = (Token, Range<usize>);

/// All tokens of a text, [`Token::End`] last.
pub(crate) fn tokens(text: &str) -> Result<Vec<Spanned>, Error> {
    if text.len() > LONGEST {
        return Err(Error::new(0..0, "a statement has 64 KiB at most").in_text(""));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip(|char| char.is_whitespace());
        let start = lexer.at;
        let token = lexer.token().map_err(|error| error.in_text(text))?;
        let is_end = token == Token::End;
        tokens.push((token, start..lexer.at));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|char| !is_skipped(char)).unwrap_or(rest.len());
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn token(&mut self) -> Result<Token, Error> {
        const FIXED: [(&str, Token); 21] = [
            ("==", Token::Compare(Comparison::Eq)),
            ("!=", Token::Compare(Comparison::Ne)),
            ("<=", Token::Compare(Comparison::Le)),
            (">=", Token::Compare(Comparison::Ge)),
            ("<", Token::Compare(Comparison::Lt)),
            (">", Token::Compare(Comparison::Gt)),
            ("+", Token::Math(Operation::Add)),
            ("-", Token::Math(Operation::Sub)),
            ("*", Token::Math(Operation::Mul)),
            ("/", Token::Math(Operation::Div)),
            ("=", Token::Equal),
            ("(", Token::Open),
            (")", Token::Close),
            ("{", Token::OpenBrace),
            ("}", Token::CloseBrace),
            ("[", Token::OpenBracket),
            ("]", Token::CloseBracket),
            (":", Token::Colon),
            (",", Token::Comma),
            (".", Token::Dot),
            ("\u{0}", Token::End),
        ];
        let Some(first) = self.peek() else {
            return Ok(Token::End);
        };
        let second = self.rest()[first.len_utf8()..].chars().next();
        match first {
            '"' => return self.text_literal(),
            '0'..='9' => return self.number(),
            '.' if second.is_some_and(|char| char.is_ascii_digit()) => return self.number(),
            'a'..='z' | 'A'..='Z' => {
                let start = self.at;
                self.skip(|char| char.is_ascii_alphanumeric() || char == '_');
                return Ok(Token::Name(self.text[start..self.at].to_owned()));
            }
            _ => {}
        }
        for (text, token) in FIXED.iter().take(20) {
            if self.eat(text) {
                return Ok(token.clone());
            }
        }
        let end = self.at + first.len_utf8();
        let error = Error::new(self.at..end, format!("`{first}` has no meaning here"));
        Err(match first {
            '\'' | '`' | '“' | '”' => error.remedy("write texts between double quotes"),
            '!' => error.remedy("write `not`, or `!=` between two values"),
            '&' => error.remedy("write `and`"),
            '|' => error.remedy("write `or`"),
            '%' => error.remedy("the operations are `+`, `-`, `*` and `/`"),
            _ => error,
        })
    }

    fn number(&mut self) -> Result<Token, Error> {
        let start = self.at;
        if self.eat("0x") {
            self.skip(|char| char.is_ascii_hexdigit());
            let digits = &self.text[start + 2..self.at];
            return hex(digits.as_bytes()).map(Token::Bytes).ok_or_else(|| {
                Error::new(start..self.at, "bytes are written in pairs of digits")
                    .remedy("write `0x0a` for one byte")
            });
        }
        let digits = |char: char| char.is_ascii_digit();
        self.skip(digits);
        let mut is_double = false;
        if self.peek() == Some('.') {
            is_double = true;
            self.at += 1;
            self.skip(digits);
            let mut exponent = self.rest().bytes();
            if matches!(exponent.next(), Some(b'e' | b'E')) {
                let mut next = exponent.next();
                let mut length = 1;
                if matches!(next, Some(b'+' | b'-')) {
                    next = exponent.next();
                    length = 2;
                }
                if next.is_some_and(|byte| byte.is_ascii_digit()) {
                    self.at += length;
                    self.skip(digits);
                }
            }
        }
        let text = &self.text[start..self.at];
        let number = if is_double {
            text.parse().ok().map(Token::Double)
        } else {
            text.parse().ok().map(Token::Int)
        };
        number
            .ok_or_else(|| Error::new(start..self.at, format!("{text} does not fit into 64 bits")))
    }

    fn text_literal(&mut self) -> Result<Token, Error> {
        let start = self.at;
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(char) = self.peek() else {
                return Err(
                    Error::new(start..self.at, "the text is not ended").remedy("end it with `\"`")
                );
            };
            let at = self.at;
            self.at += char.len_utf8();
            match char {
                '"' => return Ok(Token::Str(out)),
                '\\' => self.escape(&mut out).ok_or_else(|| {
                    let end = self.at + self.peek().map_or(0, char::len_utf8);
                    let shown = &self.text[at..end];
                    Error::new(at..end, format!("`{shown}` is no escape sequence"))
                        .remedy("write `\\\\` for a backslash, as in \"\\\\d+\"")
                })?,
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    /// Reads what follows a backslash, as Go's texts have it.
    fn escape(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let char = self.peek()?;
        let single = match char {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            '"' => b'"',
            'x' => {
                out.push(self.digits(1, 2, 16)? as u8);
                return Some(());
            }
            '0'..='7' => {
                out.push(u8::try_from(self.digits(0, 3, 8)?).ok()?);
                return Some(());
            }
            'u' | 'U' => {
                let code = self.digits(1, if char == 'u' { 4 } else { 8 }, 16)?;
                let char = char::from_u32(code)?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            _ => return None,
        };
        self.at += 1;
        out.push(single);
        Some(())
    }

    fn digits(&mut self, skip: usize, count: usize, radix: u32) -> Option<u32> {
        let digits = self.rest().get(skip..skip + count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, radix).ok()?;
        self.at += skip + count;
        Some(value)
    }
}

/// The bytes that hexadecimal digits stand for.
pub(crate) fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| Some((nibble(*high)? << 4 | nibble(*low)?) as u8))
        .collect()
}
