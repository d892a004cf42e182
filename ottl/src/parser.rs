//! Tokens to statements and conditions.

use crate::ast::{
    Argument, Call, Condition, Field, Key, KeyKind, Path, Span, Statement, Value, ValueKind,
};
use crate::error::Error;
use crate::lexer::{Operation, Spanned, Token, tokens};

/// Levels of parentheses, lists and calls; nobody writes more.
const DEEPEST: usize = 48;

/// Reads a statement: an editor, with `where` and a condition if it has one.
pub(crate) fn statement(text: &str) -> Result<Statement, Error> {
    parse(text, Parser::statement)
}

/// Reads a condition.
pub(crate) fn condition(text: &str) -> Result<Condition, Error> {
    parse(text, Parser::condition)
}

fn parse<T>(text: &str, read: impl FnOnce(&mut Parser) -> Result<T, Error>) -> Result<T, Error> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    read(&mut parser)
        .and_then(|read| parser.end().map(|()| read))
        .map_err(|error| error.in_text(text))
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        let at = (self.at + ahead).min(self.tokens.len() - 1);
        &self.tokens[at].0
    }

    fn span(&self) -> Span {
        self.tokens[self.at].1.clone()
    }

    /// From a position to the end of the last token that was taken.
    fn since(&self, start: usize) -> Span {
        let end = self.tokens[self.at.saturating_sub(1)].1.end;
        start..end.max(start)
    }

    fn take(&mut self) -> Spanned {
        let token = self.tokens[self.at].clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.take();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(name) if name == word);
        if found {
            self.take();
        }
        found
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = self.peek().describe();
        Error::new(self.span(), format!("expected {expected}, found {found}"))
    }

    fn expect(&mut self, token: &Token, expected: &str) -> Result<(), Error> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        if *self.peek() == Token::End {
            return Ok(());
        }
        Err(self.unexpected("the end, `where`, `and` or `or`"))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= DEEPEST {
            return Err(Error::new(
                self.span(),
                format!("this is nested deeper than {DEEPEST} levels"),
            ));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn statement(&mut self) -> Result<Statement, Error> {
        let span = self.span();
        match (self.peek(), self.peek_at(1)) {
            (Token::Name(name), Token::Open) if name.starts_with(|c: char| c.is_uppercase()) => {
                return Err(Error::new(
                    span,
                    format!("`{name}` is a converter, which changes nothing by itself"),
                )
                .remedy(format!(
                    "hand its value to an editor: set(attributes[\"…\"], {name}(…))"
                )));
            }
            (Token::Name(_), Token::Open) => {}
            _ => {
                return Err(self
                    .unexpected("an editor")
                    .remedy("a statement is an editor and its arguments, as set(name, \"a\")"));
            }
        }
        let editor = self.call()?;
        if *self.peek() == Token::OpenBracket {
            return Err(Error::new(
                self.span(),
                "what an editor does has no elements",
            ));
        }
        let condition = if self.eat_word("where") {
            Some(self.condition()?)
        } else {
            None
        };
        Ok(Statement { editor, condition })
    }

    fn condition(&mut self) -> Result<Condition, Error> {
        self.deeper(|this| {
            this.joined(
                "or",
                |this| this.joined("and", Self::term, Condition::And),
                Condition::Or,
            )
        })
    }

    fn joined(
        &mut self,
        word: &str,
        part: impl Fn(&mut Self) -> Result<Condition, Error>,
        join: impl FnOnce(Vec<Condition>) -> Condition,
    ) -> Result<Condition, Error> {
        let first = part(self)?;
        if !matches!(self.peek(), Token::Name(name) if name == word) {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.eat_word(word) {
            all.push(part(self)?);
        }
        Ok(join(all))
    }

    fn term(&mut self) -> Result<Condition, Error> {
        if self.eat_word("not") {
            let inner = self.boolean()?;
            return Ok(Condition::Not(Box::new(inner)));
        }
        self.boolean()
    }

    /// A comparison, a truth value, a converter that gives one, or a condition in parentheses.
    fn boolean(&mut self) -> Result<Condition, Error> {
        let start = self.at;
        if *self.peek() != Token::Open {
            return self.comparison();
        }
        // A parenthesis may be the start of a sum that is compared, or of a condition.
        let compared = self.deeper(Self::comparison);
        let far = self.at;
        let error = match compared {
            Ok(compared) => return Ok(compared),
            Err(error) => error,
        };
        self.at = start + 1;
        let inner = match self.condition() {
            Ok(inner) => inner,
            Err(other) => return Err(if self.at >= far { other } else { error }),
        };
        self.expect(&Token::Close, "`)`, `and` or `or`")?;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Condition, Error> {
        let left = self.value()?;
        if let Token::Compare(operator) = *self.peek() {
            self.take();
            let right = self.value()?;
            return Ok(Condition::Compare(left, operator, right));
        }
        match left.kind {
            ValueKind::Bool(value) => Ok(Condition::Const(value)),
            ValueKind::Call(..) => Ok(Condition::Call(left)),
            _ if *self.peek() == Token::Equal => {
                Err(self.unexpected("a comparison").remedy("write `==`"))
            }
            ValueKind::Path(_) => Err(self
                .unexpected("a comparison: a path alone is no condition")
                .remedy("write `== true`, `!= nil` or another comparison behind it")),
            _ => Err(self.unexpected("a comparison")),
        }
    }

    fn value(&mut self) -> Result<Value, Error> {
        self.deeper(Self::sum)
    }

    fn sum(&mut self) -> Result<Value, Error> {
        let mut left = self.product()?;
        while let Token::Math(operation @ (Operation::Add | Operation::Sub)) = *self.peek() {
            self.calculable(&left)?;
            self.take();
            let right = self.product()?;
            self.calculable(&right)?;
            left = math(left, operation, right);
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Value, Error> {
        let mut left = self.factor()?;
        while let Token::Math(operation @ (Operation::Mul | Operation::Div)) = *self.peek() {
            self.calculable(&left)?;
            self.take();
            let right = self.factor()?;
            self.calculable(&right)?;
            left = math(left, operation, right);
        }
        Ok(left)
    }

    fn calculable(&self, value: &Value) -> Result<(), Error> {
        match value.kind {
            ValueKind::Int(_)
            | ValueKind::Double(_)
            | ValueKind::Path(_)
            | ValueKind::Call(..)
            | ValueKind::Negative(_)
            | ValueKind::Math(..) => Ok(()),
            _ => Err(Error::new(
                value.span.clone(),
                "only numbers, paths and converters can be calculated with",
            )),
        }
    }

    fn factor(&mut self) -> Result<Value, Error> {
        let start = self.span().start;
        let sign = match self.peek() {
            Token::Math(sign @ (Operation::Add | Operation::Sub)) => Some(*sign),
            _ => None,
        };
        if sign.is_some() {
            self.take();
        }
        let mut value = if self.eat(&Token::Open) {
            let value = self.value()?;
            self.calculable(&value)?;
            self.expect(&Token::Close, "`)`")?;
            value
        } else {
            self.primary()?
        };
        if sign.is_some() {
            self.calculable(&value)?;
        }
        if sign == Some(Operation::Sub) {
            value.kind = match value.kind {
                ValueKind::Int(number) => ValueKind::Int(-number),
                ValueKind::Double(number) => ValueKind::Double(-number),
                other => ValueKind::Negative(Box::new(Value {
                    kind: other,
                    span: value.span.clone(),
                })),
            };
        }
        value.span = self.since(start);
        Ok(value)
    }

    fn primary(&mut self) -> Result<Value, Error> {
        let (token, span) = (self.peek().clone(), self.span());
        let kind = match token {
            Token::Bytes(bytes) => ValueKind::Bytes(bytes),
            Token::Double(number) => ValueKind::Double(number),
            Token::Int(number) => ValueKind::Int(number),
            Token::Str(text) => ValueKind::Str(text),
            Token::OpenBracket => return self.list(),
            Token::OpenBrace => return self.map(),
            Token::Name(name) => match name.as_str() {
                "nil" => ValueKind::Nil,
                "true" => ValueKind::Bool(true),
                "false" => ValueKind::Bool(false),
                "not" | "and" | "or" | "where" => return Err(self.unexpected("a value")),
                _ => return self.named(&name),
            },
            _ => return Err(self.unexpected("a value")),
        };
        self.take();
        Ok(Value { kind, span })
    }

    /// A converter, a name in capitals or a path.
    fn named(&mut self, name: &str) -> Result<Value, Error> {
        let span = self.span();
        let is_upper = name.starts_with(|char: char| char.is_ascii_uppercase());
        if *self.peek_at(1) == Token::Open {
            if !is_upper {
                let mut capital = name.to_owned();
                capital[..1].make_ascii_uppercase();
                return Err(Error::new(
                    span,
                    format!("`{name}` is no converter: their names begin with a capital"),
                )
                .remedy(format!(
                    "write `{capital}`, or make the editor its own statement"
                )));
            }
            let call = self.call()?;
            let keys = self.keys()?;
            let span = self.since(span.start);
            return Ok(Value {
                kind: ValueKind::Call(call, keys),
                span,
            });
        }
        if is_upper {
            self.take();
            return Ok(Value {
                kind: ValueKind::Symbol(name.to_owned()),
                span,
            });
        }
        let path = self.path()?;
        let span = path.span.clone();
        Ok(Value {
            kind: ValueKind::Path(path),
            span,
        })
    }

    fn path(&mut self) -> Result<Path, Error> {
        let start = self.span().start;
        let mut fields = Vec::new();
        loop {
            let (token, span) = self.take();
            let Token::Name(name) = token else {
                return Err(Error::new(
                    span,
                    format!("expected a field after the dot, found {}", token.describe()),
                ));
            };
            if name.contains(|char: char| char.is_ascii_uppercase()) {
                return Err(
                    Error::new(span, format!("fields have no capitals, as `{name}` has"))
                        .remedy(format!("write `{}`", name.to_ascii_lowercase())),
                );
            }
            let keys = self.keys()?;
            fields.push(Field {
                name,
                keys,
                span: self.since(span.start),
            });
            if !self.eat(&Token::Dot) {
                let span = self.since(start);
                return Ok(Path { fields, span });
            }
        }
    }

    fn keys(&mut self) -> Result<Vec<Key>, Error> {
        let mut keys = Vec::new();
        while *self.peek() == Token::OpenBracket {
            let start = self.span().start;
            self.take();
            let value = self.value()?;
            let kind = match value.kind {
                ValueKind::Str(text) => KeyKind::Str(text),
                ValueKind::Int(number) => KeyKind::Int(number),
                ValueKind::Path(_)
                | ValueKind::Call(..)
                | ValueKind::Math(..)
                | ValueKind::Negative(_) => KeyKind::Value(Box::new(value)),
                _ => {
                    return Err(Error::new(
                        value.span,
                        "an index is a text, a whole number, a path or a converter",
                    ));
                }
            };
            self.expect(&Token::CloseBracket, "`]`")?;
            let span = self.since(start);
            keys.push(Key { kind, span });
        }
        Ok(keys)
    }

    fn call(&mut self) -> Result<Call, Error> {
        let (token, name_span) = self.take();
        let Token::Name(name) = token else {
            return Err(Error::new(name_span, "expected the name of a function"));
        };
        self.expect(&Token::Open, "`(`")?;
        let mut arguments: Vec<Argument> = Vec::new();
        while !self.eat(&Token::Close) {
            if !arguments.is_empty() {
                self.expect(&Token::Comma, "`,` or `)`")?;
            }
            let argument = self.argument()?;
            if argument.name.is_none() && arguments.last().is_some_and(|last| last.name.is_some()) {
                return Err(Error::new(
                    argument.value.span,
                    "an argument without a name follows one with a name",
                )
                .remedy("put arguments with names last"));
            }
            arguments.push(argument);
        }
        let span = self.since(name_span.start);
        Ok(Call {
            name,
            name_span,
            arguments,
            span,
        })
    }

    fn argument(&mut self) -> Result<Argument, Error> {
        let name = match (self.peek(), self.peek_at(1)) {
            (Token::Name(name), Token::Equal) => Some((name.clone(), self.span())),
            _ => None,
        };
        if name.is_some() {
            self.take();
            self.take();
        }
        let value = self.value()?;
        Ok(Argument { name, value })
    }

    fn list(&mut self) -> Result<Value, Error> {
        let start = self.span().start;
        self.take();
        let mut values = Vec::new();
        while !self.eat(&Token::CloseBracket) {
            if !values.is_empty() {
                self.expect(&Token::Comma, "`,` or `]`")?;
            }
            values.push(self.value()?);
        }
        let span = self.since(start);
        Ok(Value {
            kind: ValueKind::List(values),
            span,
        })
    }

    fn map(&mut self) -> Result<Value, Error> {
        let start = self.span().start;
        self.take();
        let mut entries: Vec<(Vec<u8>, Value)> = Vec::new();
        while !self.eat(&Token::CloseBrace) {
            if !entries.is_empty() {
                // The original takes maps without commas between their entries, and with one at the end.
                self.eat(&Token::Comma);
                if self.eat(&Token::CloseBrace) {
                    break;
                }
            }
            let (token, span) = self.take();
            let Token::Str(key) = token else {
                let message = format!("expected a text as the key, found {}", token.describe());
                return Err(Error::new(span, message));
            };
            self.expect(&Token::Colon, "`:`")?;
            entries.push((key, self.value()?));
        }
        let span = self.since(start);
        Ok(Value {
            kind: ValueKind::Map(entries),
            span,
        })
    }
}

fn math(left: Value, operation: Operation, right: Value) -> Value {
    let span = left.span.start..right.span.end;
    Value {
        kind: ValueKind::Math(Box::new(left), operation, Box::new(right)),
        span,
    }
}
