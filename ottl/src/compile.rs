//! What was written to what is evaluated: names are looked up, arguments checked, and what is known
//! beforehand is worked out.

use std::borrow::Cow;

use tidegate_pdata::splice::Part;

use crate::ast::{self, KeyKind, Span, ValueKind};
use crate::compare::compare;
use crate::context::{Context, unknown_symbol};
use crate::error::{Error, nearest};
use crate::functions::{self, Arg, Args, Function, Kind, Param, Run, State};
use crate::paths;
use crate::plan::{Call, Expr, Key, Test, calculate};
use crate::tree::{self, Tree};
use crate::value::{Map, Value};

/// Compiles for one context.
pub(crate) struct Compiler {
    context: Context,
    /// Whether anything was compiled that changes a message that the context's lies in.
    pub(crate) writes_up: bool,
}

type Result<T> = std::result::Result<T, Error>;

impl Compiler {
    pub(crate) const fn new(context: Context) -> Self {
        Self {
            context,
            writes_up: false,
        }
    }

    pub(crate) fn editor(&mut self, call: &ast::Call) -> Result<(functions::Editor, Args)> {
        let function = functions::find(&call.name, self.context)
            .ok_or_else(|| functions::unknown(&call.name, call.name_span.clone(), self.context))?;
        let Run::Editor(run) = function.run else {
            return Err(functions::unknown(
                &call.name,
                call.name_span.clone(),
                self.context,
            ));
        };
        Ok((run, self.arguments(function, call)?))
    }

    pub(crate) fn condition(&mut self, condition: &ast::Condition) -> Result<Test> {
        Ok(match condition {
            ast::Condition::Const(value) => Test::Const(*value),
            ast::Condition::Call(value) => match self.expr(value)? {
                Expr::Literal(Value::Bool(value)) => Test::Const(value),
                Expr::Literal(other) => {
                    return Err(Error::new(
                        value.span.clone(),
                        format!(
                            "a condition is true or false, but this is a {}",
                            other.kind()
                        ),
                    ));
                }
                expr => Test::Call(expr),
            },
            ast::Condition::Compare(left, operator, right) => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                match (left.literal(), right.literal()) {
                    (Some(left), Some(right)) => Test::Const(compare(left, *operator, right)),
                    _ => Test::Compare(left, *operator, right),
                }
            }
            ast::Condition::Not(inner) => match self.condition(inner)? {
                Test::Const(value) => Test::Const(!value),
                test => Test::Not(Box::new(test)),
            },
            ast::Condition::And(all) => self.joined(all, false)?,
            ast::Condition::Or(all) => self.joined(all, true)?,
        })
    }

    /// Conditions that are joined, without those that are known; one that is `decisive` decides alone,
    /// unless what comes before it fails.
    fn joined(&mut self, all: &[ast::Condition], decisive: bool) -> Result<Test> {
        let mut tests = Vec::with_capacity(all.len());
        let mut is_decided = false;
        for condition in all {
            // What is never looked at is to be right all the same.
            match self.condition(condition)? {
                _ if is_decided => {}
                Test::Const(value) if value == decisive => {
                    is_decided = true;
                    tests.push(Test::Const(value));
                }
                Test::Const(_) => {}
                test => tests.push(test),
            }
        }
        Ok(match (tests.len(), decisive) {
            (0, _) => Test::Const(!decisive),
            (1, _) => tests.remove(0),
            (_, true) => Test::Or(tests.into()),
            (_, false) => Test::And(tests.into()),
        })
    }

    pub(crate) fn expr(&mut self, value: &ast::Value) -> Result<Expr> {
        let literal = |value| Ok(Expr::Literal(value));
        match &value.kind {
            ValueKind::Nil => literal(Value::Nil),
            ValueKind::Bool(value) => literal(Value::Bool(*value)),
            ValueKind::Int(value) => literal(Value::Int(*value)),
            ValueKind::Double(value) => literal(Value::Double(*value)),
            ValueKind::Str(text) => literal(Value::Str(Cow::Owned(text.clone()))),
            ValueKind::Bytes(bytes) => literal(Value::Bytes(Cow::Owned(bytes.clone()))),
            ValueKind::Symbol(name) => self
                .context
                .symbol(name)
                .map(|number| Expr::Literal(Value::Int(number)))
                .ok_or_else(|| unknown_symbol(name, value.span.clone(), self.context)),
            ValueKind::List(values) => self.list(values),
            ValueKind::Map(entries) => self.map(entries),
            ValueKind::Path(path) => Ok(Expr::Path(self.path(path)?.0)),
            ValueKind::Call(call, keys) => self.call(call, keys),
            ValueKind::Negative(inner) => match self.expr(inner)? {
                Expr::Literal(Value::Int(value)) => literal(Value::Int(value.wrapping_neg())),
                Expr::Literal(Value::Double(value)) => literal(Value::Double(-value)),
                expr => Ok(Expr::Negative(Box::new(expr))),
            },
            ValueKind::Math(left, operation, right) => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                let known = match (left.literal(), right.literal()) {
                    (Some(left), Some(right)) => Some(
                        calculate(left.borrow(), *operation, right.borrow())
                            .map_err(|fault| Error::new(value.span.clone(), fault.to_string()))?,
                    ),
                    _ => None,
                };
                Ok(match known {
                    Some(known) => Expr::Literal(known.into_owned()),
                    None => Expr::Math(Box::new(left), *operation, Box::new(right)),
                })
            }
        }
    }

    fn list(&mut self, values: &[ast::Value]) -> Result<Expr> {
        let exprs: Vec<Expr> = self.exprs(values)?;
        let known: Option<Vec<Tree>> = exprs.iter().map(known).collect();
        Ok(match known {
            Some(values) => Expr::Literal(Value::List(Cow::Owned(tree::list(&values)))),
            None => Expr::List(exprs.into()),
        })
    }

    fn exprs(&mut self, values: &[ast::Value]) -> Result<Vec<Expr>> {
        values.iter().map(|value| self.expr(value)).collect()
    }

    fn map(&mut self, entries: &[(Vec<u8>, ast::Value)]) -> Result<Expr> {
        let mut exprs: Vec<(Box<[u8]>, Expr)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let expr = self.expr(value)?;
            exprs.retain(|(known, _)| **known != **key);
            exprs.push((key.clone().into(), expr));
        }
        let known: Option<Vec<(Vec<u8>, Tree)>> = exprs
            .iter()
            .map(|(key, expr)| Some((key.to_vec(), known(expr)?)))
            .collect();
        Ok(match known {
            Some(entries) => {
                Expr::Literal(Value::Map(Map::Encoded(Cow::Owned(tree::map(&entries)))))
            }
            None => Expr::Map(exprs.into()),
        })
    }

    fn path(&mut self, path: &ast::Path) -> Result<(paths::Path, Context)> {
        let context = self.context;
        paths::resolve(path, context, &mut |key| self.key(key))
    }

    fn key(&mut self, key: &ast::Key) -> Result<Key> {
        Ok(match &key.kind {
            KeyKind::Str(text) => Key::Str(text.clone().into()),
            KeyKind::Int(number) => Key::Int(*number),
            KeyKind::Value(value) => match self.expr(value)? {
                Expr::Literal(Value::Str(text)) => Key::Str(text.into_owned().into()),
                Expr::Literal(Value::Int(number)) => Key::Int(number),
                expr => Key::Expr(expr),
            },
        })
    }

    fn call(&mut self, call: &ast::Call, keys: &[ast::Key]) -> Result<Expr> {
        let unknown = || functions::unknown(&call.name, call.name_span.clone(), self.context);
        let function = functions::find(&call.name, self.context).ok_or_else(unknown)?;
        let Run::Converter(run) = function.run else {
            return Err(unknown());
        };
        let args = self.arguments(function, call)?;
        let mut expr = Expr::Call(Box::new(Call { run, args }));
        if !keys.is_empty() {
            let keys = keys
                .iter()
                .map(|key| self.key(key))
                .collect::<Result<_>>()?;
            expr = Expr::Index(Box::new(expr), keys);
        } else if function.is_pure
            && let Expr::Call(call) = &expr
            && let Some(value) = fold(call)
        {
            expr = Expr::Literal(value);
        }
        Ok(expr)
    }

    fn arguments(&mut self, function: &'static Function, call: &ast::Call) -> Result<Args> {
        let mut values: Vec<Arg> = function.params.iter().map(|_| Arg::None).collect();
        let mut spans: Vec<Span> = vec![call.name_span.clone(); values.len()];
        for (index, argument) in call.arguments.iter().enumerate() {
            let position = match &argument.name {
                Some((name, span)) => named(function, name, span)?,
                None if index < function.params.len() => index,
                None => return Err(too_many(function, &argument.value.span)),
            };
            if !matches!(values[position], Arg::None) {
                let name = function.params[position].name;
                return Err(Error::new(
                    argument.value.span.clone(),
                    format!("`{name}` is given twice"),
                ));
            }
            let param = &function.params[position];
            values[position] = self.argument(function, param, &argument.value)?;
            spans[position] = argument.value.span.clone();
        }
        let missing = function
            .params
            .iter()
            .zip(&values)
            .find(|(param, value)| !param.is_optional && matches!(value, Arg::None));
        if let Some((param, _)) = missing {
            return Err(Error::new(
                call.span.clone(),
                format!("`{}` lacks its argument `{}`", function.name, param.name),
            )
            .remedy(format!("write {}", signature(function))));
        }
        let mut args = Args {
            function,
            values,
            state: State::None,
        };
        if let Some(prepare) = function.prepare {
            prepare(&mut args).map_err(|(index, message)| {
                let span = spans.get(index).unwrap_or(&call.name_span);
                Error::new(span.clone(), message)
            })?;
        }
        Ok(args)
    }

    fn argument(&mut self, function: &Function, param: &Param, value: &ast::Value) -> Result<Arg> {
        match param.kind {
            Kind::Target => {
                let ValueKind::Path(path) = &value.kind else {
                    return Err(self.misfit(function, param, "a path", value));
                };
                let (path, owner) = self.path(path)?;
                paths::check_settable(&path, owner, self.context, value.span.clone())?;
                let is_own = path.part == self.context.part();
                self.writes_up |= !is_own && path.field != paths::Field::Cache;
                // What lies in the metric is shared by its points.
                debug_assert!(path.part != Part::Child || self.context == Context::SpanEvent);
                return Ok(Arg::Path(path));
            }
            Kind::Function => {
                let ValueKind::Symbol(name) = &value.kind else {
                    return Err(self.misfit(function, param, "the name of a converter", value));
                };
                return functions::find(name, self.context)
                    .filter(|function| matches!(function.run, Run::Converter(_)))
                    .map(Arg::Function)
                    .ok_or_else(|| functions::unknown(name, value.span.clone(), self.context));
            }
            Kind::Each | Kind::EachStr | Kind::EachStrLike | Kind::ConstStrs => {
                let ValueKind::List(values) = &value.kind else {
                    return Err(self.misfit(function, param, "a list in brackets", value));
                };
                let element = match param.kind {
                    Kind::EachStr => Kind::Str,
                    Kind::EachStrLike => Kind::StrLike,
                    Kind::ConstStrs => Kind::ConstStr,
                    _ => Kind::Any,
                };
                let mut exprs = Vec::with_capacity(values.len());
                for value in values {
                    let expr = self.expr(value)?;
                    self.check(function, param, element, &expr, value)?;
                    exprs.push(expr);
                }
                return Ok(Arg::List(exprs));
            }
            _ => {}
        }
        let expr = self.expr(value)?;
        self.check(function, param, param.kind, &expr, value)?;
        Ok(Arg::Expr(expr))
    }

    /// Checks what is known of an argument beforehand.
    fn check(
        &self,
        function: &Function,
        param: &Param,
        kind: Kind,
        expr: &Expr,
        value: &ast::Value,
    ) -> Result<()> {
        let literal = expr.literal();
        let is_const = matches!(kind, Kind::ConstStr | Kind::ConstInt | Kind::ConstBool);
        let (fits, needed) = match (kind, literal) {
            (Kind::ConstStr, _) => (matches!(literal, Some(Value::Str(_))), "a text"),
            (Kind::ConstInt, _) => (matches!(literal, Some(Value::Int(_))), "a whole number"),
            (Kind::ConstBool, _) => (matches!(literal, Some(Value::Bool(_))), "true or false"),
            (_, None) => return Ok(()),
            (Kind::Str, Some(value)) => (matches!(value, Value::Str(_)), "a text"),
            (Kind::Int, Some(value)) => (matches!(value, Value::Int(_)), "a whole number"),
            (Kind::DoubleLike, Some(Value::Str(text))) => (
                std::str::from_utf8(text).is_ok_and(functions::is_double),
                "a number",
            ),
            (Kind::Map, Some(value)) => (matches!(value, Value::Map(_)), "a map"),
            (Kind::List, Some(value)) => (matches!(value, Value::List(_)), "a list"),
            (Kind::Time, Some(value)) => (matches!(value, Value::Time(_)), "a time"),
            (Kind::Duration, Some(value)) => (
                matches!(value, Value::Duration(_)),
                "a duration, as Duration(\"5s\")",
            ),
            _ => return Ok(()),
        };
        if fits {
            return Ok(());
        }
        let needed = if is_const && literal.is_none() {
            format!("{needed} that is written there")
        } else {
            needed.to_owned()
        };
        Err(self.misfit(function, param, &needed, value))
    }

    fn misfit(
        &self,
        function: &Function,
        param: &Param,
        needed: &str,
        value: &ast::Value,
    ) -> Error {
        let message = format!("`{}` of `{}` is {needed}", param.name, function.name);
        Error::new(value.span.clone(), message).remedy(format!("write {}", signature(function)))
    }
}

/// The value of a call whose arguments are all known, if it has one.
fn fold(call: &Call) -> Option<Value<'static>> {
    let is_known = |arg: &Arg| match arg {
        Arg::None => true,
        Arg::Expr(expr) => expr.literal().is_some(),
        Arg::List(list) => list.iter().all(|expr| expr.literal().is_some()),
        Arg::Path(_) | Arg::Function(_) => false,
    };
    if !call.args.values.iter().all(is_known) {
        return None;
    }
    with_nothing(|subject| (call.run)(&call.args, subject).ok().map(Value::into_owned))
}

/// Evaluates without a record, which what is evaluated does not look at.
fn with_nothing<T>(evaluate: impl FnOnce(&crate::subject::Subject<'_>) -> Option<T>) -> Option<T> {
    use tidegate_pdata::splice::{Edits, ResourceEditor, Splicer, Visit};
    use tidegate_pdata::{Payload, Signal};
    struct Once<F, T>(Option<F>, Option<T>);
    impl<T, F: FnOnce(&crate::subject::Subject<'_>) -> Option<T>> Edits for Once<F, T> {
        fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
            let mut room = crate::subject::Room::default();
            if let Some(evaluate) = self.0.take() {
                self.1 = evaluate(&crate::subject::Subject::resource(resource, &mut room));
            }
            Visit::Skip
        }
    }
    // A request with one empty resource.
    let request = vec![0x0a, 0x00];
    let admitted = Payload::admit(Signal::Logs, request.into(), None).ok()?;
    let mut once = Once(Some(evaluate), None);
    Splicer::default().edit(admitted.payload, &mut once);
    once.1
}

fn known(expr: &Expr) -> Option<Tree> {
    expr.literal()?.as_any().map(Tree::of)
}

/// The position of a parameter by its name, in either spelling.
fn named(function: &Function, name: &str, span: &Span) -> Result<usize> {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let found = function
        .params
        .iter()
        .position(|param| plain(param.name) == plain(name));
    found.ok_or_else(|| {
        let error = Error::new(
            span.clone(),
            format!("`{}` has no parameter `{name}`", function.name),
        );
        match nearest(name, function.params.iter().map(|param| param.name)) {
            Some(near) => error.remedy(format!("write `{near}`")),
            None => error.remedy(format!("write {}", signature(function))),
        }
    })
}

fn too_many(function: &Function, span: &Span) -> Error {
    let most = function.params.len();
    let some = if most == 1 { "argument" } else { "arguments" };
    let message = format!("`{}` takes {most} {some} at most", function.name);
    Error::new(span.clone(), message).remedy(format!("write {}", signature(function)))
}

/// How a function is called.
pub(crate) fn signature(function: &Function) -> String {
    let params = function.params.iter().map(|param| {
        if param.is_optional {
            format!("[{}]", param.name)
        } else {
            param.name.to_owned()
        }
    });
    format!(
        "{}({})",
        function.name,
        params.collect::<Vec<_>>().join(", ")
    )
}
