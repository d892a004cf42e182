//! Patterns of paths, as `/var/log/pods/*/*/*.log` and `/srv/**/*.{log,txt}`.
//!
//! `*`, `?`, `[a-z]` and `{a,b}` stand for parts of one name, `**` for any number of directories.

/// A pattern of paths.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    /// Each of the ways in which its braces can be read.
    forms: Vec<Vec<Part>>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A name as it is.
    Name(String),
    /// A pattern of names.
    Pattern(Vec<Piece>),
    /// Any number of directories.
    Any,
}

/// A piece of a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Char(char),
    One,
    Many,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// How many ways of reading braces are followed.
const MAX_FORMS: usize = 256;

impl Glob {
    /// Reads a pattern; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fault = |why: &str| format!("{text:?} is no pattern of paths: {why}");
        if text.is_empty() {
            return Err(fault("it is empty"));
        }
        let mut forms = Vec::new();
        for form in expand(text).map_err(|why| fault(&why))? {
            let mut parts: Vec<Part> = Vec::new();
            for (at, name) in form.split('/').enumerate() {
                match name {
                    "" if at > 0 => continue,
                    "." if at > 0 => continue,
                    "**" => {
                        if parts.last() != Some(&Part::Any) {
                            parts.push(Part::Any);
                        }
                    }
                    name => parts.push(part(name).map_err(|why| fault(&why))?),
                }
            }
            // At the end it stands for files, too.
            if parts.last() == Some(&Part::Any) {
                parts.push(Part::Pattern(vec![Piece::Many]));
            }
            forms.push(parts);
        }
        Ok(Self { forms })
    }

    /// Each of the ways in which it can be read.
    pub(crate) fn forms(&self) -> impl Iterator<Item = &[Part]> {
        self.forms.iter().map(Vec::as_slice)
    }

    /// Whether it matches a path.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path
            .split('/')
            .enumerate()
            .filter(|(at, name)| *at == 0 || !matches!(*name, "" | "."))
            .map(|(_, name)| name)
            .collect();
        self.forms.iter().any(|parts| all_match(parts, &names))
    }
}

fn all_match(parts: &[Part], names: &[&str]) -> bool {
    match parts.split_first() {
        None => names.is_empty(),
        Some((Part::Any, rest)) => (0..=names.len()).any(|skip| all_match(rest, &names[skip..])),
        Some((part, rest)) => match names.split_first() {
            Some((name, names)) => part.matches(name) && all_match(rest, names),
            None => false,
        },
    }
}

impl Part {
    /// Whether it matches one name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Pattern(pieces) => piece_match(pieces, name),
            Self::Any => true,
        }
    }
}

/// Matches with one place to come back to: no pattern takes long.
fn piece_match(pieces: &[Piece], name: &str) -> bool {
    let (mut piece, mut rest) = (0, name);
    let mut star: Option<(usize, &str)> = None;
    while let Some(char) = rest.chars().next() {
        match pieces.get(piece) {
            Some(Piece::Many) => {
                piece += 1;
                star = Some((piece, rest));
            }
            Some(one) if one.takes(char) => {
                piece += 1;
                rest = &rest[char.len_utf8()..];
            }
            _ => match &mut star {
                Some((behind, from)) => {
                    let skipped = from.chars().next().map_or(0, char::len_utf8);
                    *from = &from[skipped..];
                    (piece, rest) = (*behind, *from);
                }
                None => return false,
            },
        }
    }
    pieces[piece..].iter().all(|piece| *piece == Piece::Many)
}

impl Piece {
    fn takes(&self, char: char) -> bool {
        match self {
            Self::Char(own) => *own == char,
            Self::One => true,
            Self::Many => false,
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&char))
                    != *negated
            }
        }
    }
}

fn part(name: &str) -> Result<Part, String> {
    let mut pieces = Vec::new();
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        pieces.push(match char {
            '*' => {
                while chars.next_if_eq(&'*').is_some() {}
                Piece::Many
            }
            '?' => Piece::One,
            '\\' => Piece::Char(chars.next().ok_or("it ends in a backslash")?),
            '[' => {
                let negated = chars.next_if(|c| matches!(c, '!' | '^')).is_some();
                let mut ranges = Vec::new();
                loop {
                    let open = || "a bracket is not closed".to_owned();
                    let from = match chars.next().ok_or_else(open)? {
                        ']' if !ranges.is_empty() => break,
                        '\\' => chars.next().ok_or_else(open)?,
                        other => other,
                    };
                    let mut to = from;
                    if chars.next_if_eq(&'-').is_some() {
                        to = match chars.next().ok_or_else(open)? {
                            ']' => {
                                ranges.push((from, from));
                                ranges.push(('-', '-'));
                                break;
                            }
                            '\\' => chars.next().ok_or_else(open)?,
                            other => other,
                        };
                    }
                    ranges.push((from, to));
                }
                Piece::Class { negated, ranges }
            }
            other => Piece::Char(other),
        });
    }
    let plain: Option<String> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Char(char) => Some(*char),
            _ => None,
        })
        .collect();
    Ok(plain.map_or(Part::Pattern(pieces), Part::Name))
}

/// Reads the first pair of braces in each of its ways, and so on.
fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        if done.len() + open.len() > MAX_FORMS {
            return Err("its braces can be read in too many ways".to_owned());
        }
        let Some((before, ways, after)) = braces(&text)? else {
            done.push(text);
            continue;
        };
        open.extend(
            ways.into_iter()
                .rev()
                .map(|way| format!("{before}{way}{after}")),
        );
    }
    Ok(done)
}

type Braces<'t> = (&'t str, Vec<&'t str>, &'t str);

fn braces(text: &str) -> Result<Option<Braces<'_>>, String> {
    let mut depth = 0;
    let mut begin = 0;
    let mut commas = Vec::new();
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match char {
            '\\' => escaped = true,
            '{' => {
                if depth == 0 {
                    begin = at;
                }
                depth += 1;
            }
            ',' if depth == 1 => commas.push(at),
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    let mut ways = Vec::new();
                    let mut from = begin + 1;
                    for comma in commas.into_iter().chain([at]) {
                        ways.push(&text[from..comma]);
                        from = comma + 1;
                    }
                    return Ok(Some((&text[..begin], ways, &text[at + 1..])));
                }
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a brace is not closed".to_owned());
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::parse(pattern).unwrap().matches(path)
    }

    #[test]
    fn names_and_directories() {
        assert!(matches("/var/log/*.log", "/var/log/app.log"));
        assert!(!matches("/var/log/*.log", "/var/log/a/app.log"));
        assert!(matches(
            "/var/log/pods/*/*/*.log",
            "/var/log/pods/ns_a_1/c/0.log"
        ));
        assert!(matches("/var/**/*.log", "/var/a.log"));
        assert!(matches("/var/**/*.log", "/var/a/b/c.log"));
        assert!(matches("**/c.log", "a/b/c.log"));
        assert!(matches("a/**", "a/b/c.log") && !matches("a/**", "a"));
        assert!(!matches("/var/**/x/*.log", "/var/a/b/c.log"));
        assert!(matches("/a/b//./c", "/a/b/c"));
    }

    #[test]
    fn parts_of_names() {
        assert!(matches("a?c", "abc") && !matches("a?c", "ac"));
        assert!(matches("a*b*c", "axxbyyc") && !matches("a*b*c", "axxbyy"));
        assert!(matches("[a-c]x[!0-9]", "bxy") && !matches("[a-c]x[!0-9]", "bx1"));
        assert!(matches("[]a-]", "]") && matches("[]a-]", "-") && !matches("[]a-]", "b"));
        assert!(matches(r"\*", "*") && !matches(r"\*", "a"));
        assert!(matches("*.{log,txt}", "a.txt") && !matches("*.{log,txt}", "a.md"));
        assert!(matches("{a,b{c,d}}/x", "bd/x") && matches("{,a}b", "b"));
    }

    #[test]
    fn faults_are_told_and_nothing_takes_long() {
        for faulty in ["", "[a", "{a", "a\\", &"{a,b}".repeat(20)] {
            assert!(Glob::parse(faulty).is_err(), "{faulty}");
        }
        assert!(!matches(
            &"*a".repeat(40),
            &"a".repeat(200).replace("aa", "ab")
        ));
    }
}
