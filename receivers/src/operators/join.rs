//! Building operators: who sends entries to whom, and what each does with them.

use std::collections::BTreeMap;

use tidegate_component::{BuildContext, BuildError};
use tidegate_document::{OneOrMany, did_you_mean};

use super::chain::{Faults, Filter, Label, Node, OUT, Route, Router, Target, Transform, Work};
use super::config::{Common, OperatorConfig, RouterKeys};
use super::entry::Entry;
use super::expr::{Expression, Fault};
use super::parsers::{Parse, Parsing, Uri};
use super::transforms;

/// The names of operators, by which they send entries to each other.
pub(super) struct Names {
    names: BTreeMap<String, Target>,
    ids: Vec<String>,
    path: String,
}

impl Names {
    pub(super) fn of(configs: &[OperatorConfig], path: &str) -> Result<Self, BuildError> {
        let mut names = BTreeMap::new();
        let mut ids = Vec::new();
        let mut told = Vec::new();
        for (at, config) in configs.iter().enumerate() {
            let (kind, common) = config.about();
            let Some(common) = common else {
                let message = format!("the operator `{kind}` is not built");
                return Err(BuildError::at(format!("{path}::{at}"), message)
                    .remedy("take it out, or keep this part on the Collector"));
            };
            if let Some(id) = &common.id {
                let key = id.strip_prefix("$.").unwrap_or(id).to_owned();
                if names.insert(key.clone(), at).is_some() {
                    let message = format!("another operator has the ID {id:?}");
                    return Err(BuildError::at(format!("{path}::{at}::id"), message));
                }
                told.push(at);
            }
            ids.push(common.id.clone().unwrap_or_else(|| kind.to_owned()));
        }
        // Those without a name of their own share the names of their types out.
        for (at, config) in configs.iter().enumerate() {
            if told.contains(&at) {
                continue;
            }
            let kind = config.about().0;
            let name = (0..)
                .map(|turn| match turn {
                    0 => kind.to_owned(),
                    turn => format!("{kind}{turn}"),
                })
                .find(|name| !names.contains_key(name));
            if let Some(name) = name {
                ids[at].clone_from(&name);
                names.insert(name, at);
            }
        }
        Ok(Self {
            names,
            ids,
            path: path.to_owned(),
        })
    }

    fn targets(&self, outputs: &OneOrMany<String>, path: &str) -> Result<Vec<Target>, BuildError> {
        let mut targets = Vec::new();
        for id in outputs.as_slice() {
            let key = id.strip_prefix("$.").unwrap_or(id);
            let target = self.names.get(key).ok_or_else(|| {
                let message = format!("there is no operator with the ID {id:?}");
                let known = self.names.keys().map(String::as_str);
                let error = BuildError::at(path, message);
                match did_you_mean(key, known) {
                    Some(hint) => error.remedy(hint),
                    None => error,
                }
            })?;
            targets.push(*target);
        }
        Ok(targets)
    }

    pub(super) fn node(
        &self,
        at: usize,
        config: &OperatorConfig,
        cx: &BuildContext,
    ) -> Result<Node, BuildError> {
        let path = format!("{}::{at}", self.path);
        let fallback = Common::default();
        let common = config.about().1.unwrap_or(&fallback);
        let condition = common.condition.as_deref().map(Expression::parse);
        let fault = |fault: Fault| BuildError::at(format!("{path}::if"), fault.to_string());
        let below = if at + 1 < self.ids.len() { at + 1 } else { OUT };
        let next = match &common.output {
            None => vec![below],
            Some(outputs) => self.targets(outputs, &format!("{path}::output"))?,
        };
        if matches!(config, OperatorConfig::Router(_)) && common.output.is_some() {
            let error = BuildError::at(
                format!("{path}::output"),
                "a router has ways out of its own",
            );
            return Err(error.remedy("write `default` for entries that take none of the `routes`"));
        }
        Ok(Node {
            work: self.work(config, &path, cx)?,
            condition: condition.transpose().map_err(fault)?,
            on_error: common.on_error,
            next,
            faults: Faults::new(&self.ids[at], cx),
        })
    }

    fn work(
        &self,
        config: &OperatorConfig,
        path: &str,
        cx: &BuildContext,
    ) -> Result<Work, BuildError> {
        use OperatorConfig as C;
        Ok(match config {
            C::Filter(it) => Work::Filter(Filter {
                expression: expression(&it.own.expr, &format!("{path}::expr"))?,
                ratio: it.own.drop_ratio,
                dropped: cx.reason("filtered"),
            }),
            C::Router(it) => Work::Router(self.router(&it.own, path, cx)?),
            C::Recombine(it) => Work::Recombine(Box::new(it.own.build(path)?)),
            C::Container(it) => Work::Container(Box::new(it.own.build(&it.parsing, path)?)),
            _ => match transform(config, path)? {
                Some(transform) => Work::Transform(transform),
                None => Work::Pass,
            },
        })
    }

    fn router(
        &self,
        keys: &RouterKeys,
        path: &str,
        cx: &BuildContext,
    ) -> Result<Router, BuildError> {
        let mut routes = Vec::new();
        for (at, route) in keys.routes.iter().enumerate() {
            let path = format!("{path}::routes::{at}");
            let mut attributes = Vec::new();
            for (key, text) in &route.attributes {
                let label = Label::parse(text, &format!("{path}::attributes::{key}"))?;
                attributes.push((key.clone(), label));
            }
            routes.push(Route {
                expression: expression(&route.expr, &format!("{path}::expr"))?,
                attributes,
                next: self.targets(&route.output, &format!("{path}::output"))?,
            });
        }
        let default = match &keys.default {
            Some(outputs) => self.targets(outputs, &format!("{path}::default"))?,
            None => Vec::new(),
        };
        Ok(Router {
            routes,
            default,
            dropped: cx.reason("not_routed"),
        })
    }
}

fn expression(text: &str, path: &str) -> Result<Expression, BuildError> {
    Expression::parse(text).map_err(|fault| BuildError::at(path, fault.to_string()))
}

/// A transform that is one function of a parser of an entry's parts.
struct Reads<F>(F);

impl<F: FnMut(&mut Entry) -> Result<(), String> + Send> Transform for Reads<F> {
    fn apply(&mut self, entry: &mut Entry) -> Result<(), String> {
        (self.0)(entry)
    }
}

/// The operators that change one entry in place; none for those that change nothing.
fn transform(
    config: &OperatorConfig,
    path: &str,
) -> Result<Option<Box<dyn Transform>>, BuildError> {
    use OperatorConfig as C;
    let parsed = |parsing: &Parsing, parser: Box<dyn Parse>| parsing.build(parser, path);
    let transform: Box<dyn Transform> = match config {
        C::JsonParser(it) => parsed(&it.parsing, Box::new(it.own.parser()))?,
        C::RegexParser(it) => parsed(&it.parsing, Box::new(it.own.parser(path)?))?,
        C::KeyValueParser(it) => parsed(&it.parsing, Box::new(it.own.parser(path)?))?,
        C::CsvParser(it) => parsed(&it.parsing, Box::new(it.own.parser(path)?))?,
        C::UriParser(it) => parsed(&it.parsing, Box::new(Uri))?,
        C::SyslogParser(it) => it.own.build(&it.parsing, path)?,
        C::TimeParser(it) => {
            let parser = it.own.build(path)?;
            Box::new(Reads(move |entry: &mut Entry| parser.parse(entry)))
        }
        C::SeverityParser(it) => {
            let parser = it.own.build(path)?;
            Box::new(Reads(move |entry: &mut Entry| parser.parse(entry)))
        }
        C::TraceParser(it) => {
            let parser = it.own.build(path)?;
            Box::new(Reads(move |entry: &mut Entry| parser.parse(entry)))
        }
        C::ScopeNameParser(it) => {
            let parser = it.own.build(path)?;
            Box::new(Reads(move |entry: &mut Entry| parser.parse(entry)))
        }
        C::Add(it) => transforms::add(&it.own, path)?,
        C::Copy(it) => transforms::copy(&it.own, path)?,
        C::Move(it) => transforms::move_(&it.own, path)?,
        C::Remove(it) => transforms::remove(&it.own, path)?,
        C::Retain(it) => transforms::retain(&it.own, path)?,
        C::Flatten(it) => transforms::flatten(&it.own, path)?,
        C::Unquote(it) => transforms::unquote(&it.own, path)?,
        C::AssignKeys(it) => transforms::assign_keys(&it.own, path)?,
        _ => return Ok(None),
    };
    Ok(Some(transform))
}
