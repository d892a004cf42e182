//! What statements were compiled to, as text for whoever wrote them.
//!
//! It shows what was worked out beforehand, what is evaluated for each record, and which fields that reads
//! and changes.

use std::fmt::Write as _;

use crate::functions::{Arg, Args};
use crate::lexer::{Comparison, Operation};
use crate::paths::Path;
use crate::plan::{Call, Expr, Key, Test};
use crate::program::{Condition, Statement};
use crate::text::hex;
use crate::value::Value;

/// The longest literal that is shown whole, in characters.
const LONGEST_LITERAL: usize = 120;

impl Statement {
    /// What it was compiled to, a step a line, each below the one that uses it.
    #[must_use]
    pub fn plan(&self) -> String {
        let mut plan = Plan::default();
        plan.call(0, self.args());
        if let Some(test) = self.condition() {
            plan.line(0, "where");
            plan.test(1, test);
        }
        plan.finish()
    }
}

impl Condition {
    /// What it was compiled to, a step a line, each below the one that uses it.
    #[must_use]
    pub fn plan(&self) -> String {
        let mut plan = Plan::default();
        plan.test(0, self.test());
        plan.finish()
    }
}

#[derive(Default)]
struct Plan {
    text: String,
    reads: Vec<String>,
    writes: Vec<String>,
}

impl Plan {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:1$}{text}", "", depth * 2);
    }

    fn finish(mut self) -> String {
        for (word, fields) in [("reads", &mut self.reads), ("changes", &mut self.writes)] {
            fields.sort();
            fields.dedup();
            let fields = if fields.is_empty() {
                "nothing of the record".to_owned()
            } else {
                fields.join(", ")
            };
            let _ = writeln!(self.text, "{word} {fields}");
        }
        self.text
    }

    fn test(&mut self, depth: usize, test: &Test) {
        match test {
            Test::Const(value) => self.line(depth, &format!("{value}, known beforehand")),
            Test::Call(expr) => self.expr(depth, "", expr),
            Test::Compare(left, operator, right) => {
                self.line(depth, comparison(*operator));
                self.expr(depth + 1, "", left);
                self.expr(depth + 1, "", right);
            }
            Test::Not(inner) => {
                self.line(depth, "not");
                self.test(depth + 1, inner);
            }
            Test::And(all) => self.joined(depth, "all of, until one is false", all),
            Test::Or(all) => self.joined(depth, "any of, until one is true", all),
        }
    }

    fn joined(&mut self, depth: usize, word: &str, all: &[Test]) {
        self.line(depth, word);
        for test in all {
            self.test(depth + 1, test);
        }
    }

    fn expr(&mut self, depth: usize, label: &str, expr: &Expr) {
        match expr {
            Expr::Literal(value) => self.line(depth, &format!("{label}{}", literal(value))),
            Expr::Path(path) => {
                let name = named(path);
                self.line(depth, &format!("{label}{name}"));
                self.reads.push(name);
                self.keys_within(depth + 1, &path.keys);
            }
            Expr::Call(call) => self.converter(depth, label, call),
            Expr::Index(inner, keys) => {
                self.line(depth, &format!("{label}a part{} of", steps(keys)));
                self.expr(depth + 1, "", inner);
                self.keys_within(depth + 1, keys);
            }
            Expr::List(values) => {
                self.line(depth, &format!("{label}a list of"));
                for value in values {
                    self.expr(depth + 1, "", value);
                }
            }
            Expr::Map(entries) => {
                self.line(depth, &format!("{label}a map of"));
                for (key, value) in entries {
                    let key = format!("{:?}: ", String::from_utf8_lossy(key));
                    self.expr(depth + 1, &key, value);
                }
            }
            Expr::Negative(inner) => {
                self.line(depth, &format!("{label}the negative of"));
                self.expr(depth + 1, "", inner);
            }
            Expr::Math(left, operation, right) => {
                self.line(depth, &format!("{label}{}", symbol(*operation)));
                self.expr(depth + 1, "", left);
                self.expr(depth + 1, "", right);
            }
        }
    }

    fn converter(&mut self, depth: usize, label: &str, call: &Call) {
        self.line(depth, &format!("{label}{}", call.args.function.name));
        self.arguments(depth + 1, &call.args, false);
    }

    fn call(&mut self, depth: usize, args: &Args) {
        self.line(depth, args.function.name);
        self.arguments(depth + 1, args, true);
    }

    fn arguments(&mut self, depth: usize, args: &Args, is_editor: bool) {
        for (param, value) in args.function.params.iter().zip(&args.values) {
            let label = format!("{}: ", param.name);
            match value {
                Arg::None => {}
                Arg::Expr(expr) => self.expr(depth, &label, expr),
                Arg::Path(path) => self.target(depth, &label, path, is_editor),
                Arg::Function(function) => {
                    self.line(depth, &format!("{label}the converter {}", function.name));
                }
                Arg::List(values) => {
                    self.line(depth, &format!("{label}each of"));
                    for value in values {
                        self.expr(depth + 1, "", value);
                    }
                }
            }
        }
    }

    fn target(&mut self, depth: usize, label: &str, path: &Path, is_editor: bool) {
        let name = named(path);
        self.line(depth, &format!("{label}{name}"));
        let fields = if is_editor {
            &mut self.writes
        } else {
            &mut self.reads
        };
        fields.push(name);
        self.keys_within(depth + 1, &path.keys);
    }

    /// The keys that are evaluated for each record.
    fn keys_within(&mut self, depth: usize, keys: &[Key]) {
        for key in keys {
            if let Key::Expr(expr) = key {
                self.expr(depth, "key: ", expr);
            }
        }
    }
}

fn named(path: &Path) -> String {
    format!("{}{}", path.text, steps(&path.keys))
}

fn steps(keys: &[Key]) -> String {
    let mut out = String::new();
    for key in keys {
        let _ = match key {
            Key::Str(text) => write!(out, "[{:?}]", String::from_utf8_lossy(text)),
            Key::Int(index) => write!(out, "[{index}]"),
            Key::Expr(_) => write!(out, "[…]"),
        };
    }
    out
}

fn literal(value: &Value<'_>) -> String {
    let text = match value {
        Value::Nil => "nil".to_owned(),
        Value::Str(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::Bytes(bytes) => format!("0x{}", hex(bytes)),
        Value::Duration(nanos) => format!("{:#}", jiff::SignedDuration::from_nanos(*nanos)),
        Value::TraceId(id) => hex(id),
        Value::SpanId(id) => hex(id),
        other => crate::functions::text_like(other.borrow())
            .ok()
            .flatten()
            .map_or_else(
                || format!("a {}", other.kind()),
                |text| String::from_utf8_lossy(&text).into_owned(),
            ),
    };
    if text.chars().count() <= LONGEST_LITERAL {
        return text;
    }
    let mut short: String = text.chars().take(LONGEST_LITERAL).collect();
    short.push('…');
    short
}

const fn comparison(operator: Comparison) -> &'static str {
    match operator {
        Comparison::Eq => "==",
        Comparison::Ne => "!=",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}

const fn symbol(operation: Operation) -> &'static str {
    match operation {
        Operation::Add => "+",
        Operation::Sub => "-",
        Operation::Mul => "*",
        Operation::Div => "/",
    }
}

#[cfg(test)]
mod tests {
    use crate::{Condition, Context, Statement};

    #[test]
    fn a_plan_shows_what_is_left_to_evaluate() {
        let text = r#"set(attributes["slow"], Concat(["a", "b"], "-")) where end_time - start_time > Duration("1500ms") and (name == "x" or false)"#;
        let statement = Statement::compile(text, Context::Span).unwrap();
        let expected = "\
set
  target: span.attributes[\"slow\"]
  value: \"a-b\"
where
  all of, until one is false
    >
      -
        span.end_time
        span.start_time
      1s 500ms
    ==
      span.name
      \"x\"
reads span.end_time, span.name, span.start_time
changes span.attributes[\"slow\"]
";
        assert_eq!(statement.plan(), expected);
    }

    #[test]
    fn a_condition_that_is_known_reads_nothing() {
        let condition = Condition::compile("1 + 1 == 2", Context::Log).unwrap();
        let expected =
            "true, known beforehand\nreads nothing of the record\nchanges nothing of the record\n";
        assert_eq!(condition.plan(), expected);
    }
}
