//! From tokens to a tree that can be evaluated.

use regex::bytes::Regex;
use tidegate_component::pattern;
use tidegate_document::did_you_mean;

use super::lex::{Token, tokens};
use super::{Fault, Function};

/// How deep expressions may nest.
const MAX_DEPTH: usize = 100;

/// What an expression can read of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Body,
    Attributes,
    Resource,
    SeverityText,
    SeverityNumber,
}

const PARTS: [(&str, Part); 6] = [
    ("body", Part::Body),
    ("$", Part::Body),
    ("attributes", Part::Attributes),
    ("resource", Part::Resource),
    ("severity_text", Part::SeverityText),
    ("severity_number", Part::SeverityNumber),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Contains,
    StartsWith,
    EndsWith,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Else,
}

/// A part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Part(Part),
    /// A key or an index of what is before it; with `?.` nothing has no keys.
    Member(Box<Node>, Box<Node>, bool),
    Not(Box<Node>),
    Minus(Box<Node>),
    Binary(Op, Box<Node>, Box<Node>),
    Matches(Box<Node>, Regex),
    Choice(Box<Node>, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

/// Parses a whole expression.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    let node = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(node),
        Token::Sign("|") => Err(parser.not_built("the pipe `|`")),
        other => {
            let why = format!("nothing is expected here, but there is {}", shown(other));
            Err(parser.fault(why))
        }
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
}

fn shown(token: &Token) -> String {
    match token {
        Token::Int(number) => format!("`{number}`"),
        Token::Float(number) => format!("`{number}`"),
        Token::Text(text) => format!("{text:?}"),
        Token::Name(name) => format!("`{name}`"),
        Token::Sign(sign) => format!("`{sign}`"),
        Token::End => "the end".to_owned(),
    }
}

/// A binary operator and how tightly it binds.
fn binary(token: &Token) -> Option<(&str, u8)> {
    let word = match token {
        Token::Sign(sign) => sign,
        Token::Name(name) => name.as_str(),
        _ => return None,
    };
    let binds = match word {
        "or" | "||" => 10,
        "and" | "&&" => 15,
        "==" | "!=" | "<" | ">" | "<=" | ">=" | "in" | "matches" | "contains" | "startsWith"
        | "endsWith" => 20,
        ".." => 25,
        "+" | "-" => 30,
        "*" | "/" | "%" => 60,
        "**" | "^" => 100,
        "??" => 200,
        _ => return None,
    };
    Some((word, binds))
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)].0
    }

    fn place(&self) -> usize {
        self.tokens[self.next.min(self.tokens.len() - 1)].1
    }

    fn fault(&self, why: impl Into<String>) -> Fault {
        Fault::at(self.place(), why.into())
    }

    fn not_built(&self, what: &str) -> Fault {
        self.fault(format!("{what} is not built"))
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(found) if found == word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.accept(sign) {
            return Ok(());
        }
        Err(self.fault(format!("`{sign}` is expected, not {}", shown(self.peek()))))
    }

    /// Parses what binds at least so tightly.
    fn expression(&mut self, least: u8) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fault("the expression is nested too deeply"));
        }
        let mut left = self.unary()?;
        loop {
            let negated = matches!(self.peek(), Token::Name(word) if word == "not");
            let operator = self.tokens.get(self.next + usize::from(negated));
            let Some((word, binds)) = operator.and_then(|(token, _)| binary(token)) else {
                break;
            };
            if binds < least {
                break;
            }
            let word = word.to_owned();
            self.next += 1 + usize::from(negated);
            let node = self.binary(left, &word, binds)?;
            left = if negated {
                Node::Not(Box::new(node))
            } else {
                node
            };
        }
        if least == 0 && self.accept("?") {
            let yes = self.expression(0)?;
            self.expect(":")?;
            let no = self.expression(0)?;
            left = Node::Choice(Box::new(left), Box::new(yes), Box::new(no));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn binary(&mut self, left: Node, word: &str, binds: u8) -> Result<Node, Fault> {
        let place = self.place();
        // Only powers bind to the right.
        let right = self.expression(if binds == 100 { binds } else { binds + 1 })?;
        let op = match word {
            "or" | "||" => Op::Or,
            "and" | "&&" => Op::And,
            "==" => Op::Equal,
            "!=" => Op::Unequal,
            "<" => Op::Less,
            "<=" => Op::LessEqual,
            ">" => Op::Greater,
            ">=" => Op::GreaterEqual,
            "in" => Op::In,
            "contains" => Op::Contains,
            "startsWith" => Op::StartsWith,
            "endsWith" => Op::EndsWith,
            "+" => Op::Add,
            "-" => Op::Subtract,
            "*" => Op::Multiply,
            "/" => Op::Divide,
            "%" => Op::Remainder,
            "**" | "^" => Op::Power,
            "??" => Op::Else,
            "matches" => {
                let Node::Text(pattern) = right else {
                    let why = "a pattern that is no text in quotes is not built";
                    return Err(Fault::at(place, why.to_owned()));
                };
                let pattern = pattern::compile(&pattern).map_err(|why| Fault::at(place, why))?;
                return Ok(Node::Matches(Box::new(left), pattern));
            }
            other => return Err(Fault::at(place, format!("`{other}` is not built"))),
        };
        Ok(Node::Binary(op, Box::new(left), Box::new(right)))
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        if self.accept("!") || self.accept_word("not") {
            return Ok(Node::Not(Box::new(self.expression(50)?)));
        }
        if self.accept("-") {
            return Ok(match self.expression(90)? {
                Node::Int(number) => Node::Int(number.wrapping_neg()),
                Node::Float(number) => Node::Float(-number),
                other => Node::Minus(Box::new(other)),
            });
        }
        if self.accept("+") {
            return self.expression(90);
        }
        let first = self.primary()?;
        self.postfix(first)
    }

    fn postfix(&mut self, mut node: Node) -> Result<Node, Fault> {
        loop {
            let optional = self.accept("?.");
            if optional || self.accept(".") {
                if optional && self.accept("[") {
                    node = self.index(node, true)?;
                    continue;
                }
                let Token::Name(key) = self.take() else {
                    self.next -= 1;
                    return Err(self.fault("a key is expected behind the dot"));
                };
                if matches!(self.peek(), Token::Sign("(")) {
                    return Err(self.not_built(&format!("the method `{key}`")));
                }
                node = Node::Member(Box::new(node), Box::new(Node::Text(key)), optional);
            } else if self.accept("[") {
                node = self.index(node, false)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn index(&mut self, node: Node, optional: bool) -> Result<Node, Fault> {
        if matches!(self.peek(), Token::Sign(":")) {
            return Err(self.not_built("a slice"));
        }
        let key = self.expression(0)?;
        if matches!(self.peek(), Token::Sign(":")) {
            return Err(self.not_built("a slice"));
        }
        self.expect("]")?;
        Ok(Node::Member(Box::new(node), Box::new(key), optional))
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let place = self.place();
        match self.take() {
            Token::Int(number) => Ok(Node::Int(number)),
            Token::Float(number) => Ok(Node::Float(number)),
            Token::Text(text) => Ok(Node::Text(text)),
            Token::Sign("(") => {
                let node = self.expression(0)?;
                self.expect(")")?;
                Ok(node)
            }
            Token::Sign("[") => Ok(Node::List(self.list("]")?)),
            Token::Sign("{") => Err(Fault::at(place, "a map in braces is not built".to_owned())),
            Token::Name(name) => self.named(name, place),
            other => {
                let why = format!("a value is expected, not {}", shown(&other));
                Err(Fault::at(place, why))
            }
        }
    }

    fn named(&mut self, name: String, place: usize) -> Result<Node, Fault> {
        match name.as_str() {
            "true" => return Ok(Node::Bool(true)),
            "false" => return Ok(Node::Bool(false)),
            "nil" => return Ok(Node::Nil),
            _ => {}
        }
        if self.accept("(") {
            let Some(function) = Function::named(&name) else {
                let known = Function::ALL.iter().map(|(name, ..)| *name);
                let mut why = format!("the function `{name}` is not built");
                if let Some(hint) = did_you_mean(&name, known) {
                    why.push_str(&format!("; {hint}"));
                }
                return Err(Fault::at(place, why));
            };
            let arguments = self.list(")")?;
            let (least, most) = function.takes();
            if !(least..=most).contains(&arguments.len()) {
                let wanted = if least == most {
                    format!("{least}")
                } else {
                    format!("{least} or {most}")
                };
                let given = arguments.len();
                let why = format!("`{name}` takes {wanted} arguments, not {given}");
                return Err(Fault::at(place, why));
            }
            return Ok(Node::Call(function, arguments));
        }
        let part = PARTS.iter().find(|(known, _)| *known == name);
        part.map(|(_, part)| Node::Part(*part)).ok_or_else(|| {
            let mut why = if name == "timestamp" {
                "`timestamp` is not built".to_owned()
            } else {
                format!("`{name}` is always nothing here")
            };
            let known = PARTS.iter().map(|(known, _)| *known);
            if let Some(hint) = did_you_mean(&name, known) {
                why.push_str(&format!("; {hint}"));
            }
            Fault::at(place, why)
        })
    }

    fn list(&mut self, close: &str) -> Result<Vec<Node>, Fault> {
        let mut list = Vec::new();
        while !self.accept(close) {
            if !list.is_empty() {
                self.expect(",")?;
                if self.accept(close) {
                    break;
                }
            }
            list.push(self.expression(0)?);
        }
        Ok(list)
    }
}
