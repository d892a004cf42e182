//! `tidegate ottl`: statements and conditions tried outside of a pipeline.

use std::fmt::Write as _;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Outbox, Processor};
use tidegate_ottl::{Condition, Context, Error, Statement, infer_context};
use tidegate_pdata::json::{from_json, to_json};
use tidegate_pdata::{Batch, Outcome, Payload, Receipt, Signal};
use tidegate_processors::{filter, transform};

use crate::cli::{ErrorMode, Kind, Ottl, RunFormat, Texts};
use crate::report::print;

/// Lines that stay the same and are shown around those that change.
const SURROUNDINGS: usize = 4;

/// Does what is asked with statements or conditions.
pub(crate) fn ottl(action: &Ottl) -> anyhow::Result<ExitCode> {
    match action {
        Ottl::Check { texts, signal } => {
            let (context, _) = compiled(texts, *signal)?;
            let are = match (texts.conditions, texts.texts.len()) {
                (false, 1) => "the statement is",
                (false, _) => "the statements are",
                (true, 1) => "the condition is",
                (true, _) => "the conditions are",
            };
            print(&format!(
                "{are} valid in the context `{}`\n",
                context.name()
            ));
        }
        Ottl::Explain { texts, signal } => {
            let (context, plans) = compiled(texts, *signal)?;
            let mut text = format!("for each {}\n", context.name());
            for plan in plans {
                write!(text, "\n{plan}")?;
            }
            print(&text);
        }
        Ottl::Run {
            texts,
            input,
            error_mode,
            format,
        } => run(texts, input, *error_mode, *format)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles all texts; gives their context and what they were compiled to.
fn compiled(texts: &Texts, signal: Option<Kind>) -> anyhow::Result<(Context, Vec<String>)> {
    let context = match &texts.context {
        Some(name) => named(name)?,
        None => inferred(texts, signal).map_err(|error| said(&error))?,
    };
    let plans = texts.texts.iter().map(|text| {
        let plan = if texts.conditions {
            Condition::compile(text, context).map(|condition| condition.plan())
        } else {
            Statement::compile(text, context).map(|statement| statement.plan())
        };
        plan.map_err(|error| said(&error))
    });
    Ok((context, plans.collect::<Result<_, _>>()?))
}

fn named(name: &str) -> anyhow::Result<Context> {
    Context::of(name).ok_or_else(|| {
        let known: Vec<&str> = Context::ALL.iter().map(|context| context.name()).collect();
        anyhow!(
            "there is no context `{name}`; write one of {}",
            known.join(", ")
        )
    })
}

/// The context that the paths name, of the first signal that has all of them.
fn inferred(texts: &Texts, signal: Option<Kind>) -> Result<Context, Error> {
    let (statements, conditions) = if texts.conditions {
        (&[][..], &texts.texts[..])
    } else {
        (&texts.texts[..], &[][..])
    };
    let infer = |signal| infer_context(signal, statements, conditions);
    match signal {
        Some(kind) => infer(signal_of(kind)),
        None => infer(Signal::Traces)
            .or_else(|_| infer(Signal::Metrics))
            .or_else(|_| infer(Signal::Logs)),
    }
}

const fn signal_of(kind: Kind) -> Signal {
    match kind {
        Kind::Traces => Signal::Traces,
        Kind::Metrics => Signal::Metrics,
        Kind::Logs => Signal::Logs,
    }
}

fn said(error: &Error) -> anyhow::Error {
    match &error.remedy {
        Some(remedy) => anyhow!("{error}\n{remedy}"),
        None => anyhow!("{error}"),
    }
}

fn run(
    texts: &Texts,
    input: &Path,
    error_mode: ErrorMode,
    format: RunFormat,
) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    if input == Path::new("-") {
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("the standard input cannot be read")?;
    } else {
        bytes =
            std::fs::read(input).with_context(|| format!("{} cannot be read", input.display()))?;
    }
    let requests = serde_json::Deserializer::from_slice(&bytes).into_iter::<Box<RawValue>>();
    let mut any = false;
    for (index, request) in requests.enumerate() {
        let request = request.with_context(|| format!("request {} is no JSON", index + 1))?;
        let (payload, before) =
            admitted(request.get()).with_context(|| format!("in request {}", index + 1))?;
        let after = processed(texts, error_mode, payload)?;
        match format {
            RunFormat::Json => print(&format!("{after}\n")),
            RunFormat::Diff => print(&difference(&before, &after)?),
        }
        any = true;
    }
    if !any {
        bail!("there is no request in the input; write one, as {{\"resourceLogs\":[…]}}");
    }
    Ok(())
}

/// A request as the door lets it in, and how it is written.
fn admitted(text: &str) -> anyhow::Result<(Payload, String)> {
    let value: Value = serde_json::from_str(text)?;
    let has = |key: &str| value.get(key).is_some();
    let signal = if has("resourceSpans") {
        Signal::Traces
    } else if has("resourceMetrics") {
        Signal::Metrics
    } else if has("resourceLogs") {
        Signal::Logs
    } else {
        bail!("it has none of `resourceSpans`, `resourceMetrics` and `resourceLogs`");
    };
    let bytes = from_json(signal, text.as_bytes(), &mut |_| true)?;
    let payload = Payload::admit(signal, bytes.into(), None)?.payload;
    let before = written(&payload);
    Ok((payload, before))
}

/// What a processor with these texts makes of a request.
fn processed(texts: &Texts, error_mode: ErrorMode, payload: Payload) -> anyhow::Result<String> {
    let signal = payload.signal();
    let mut processor = built(texts, error_mode, signal)?;
    let (receipt, pending) = Receipt::new();
    let mut outbox = Outbox::default();
    let batch = Batch::new(payload, tidegate_pdata::Context::default(), receipt);
    processor.process(batch, &mut outbox);
    let mut result = Payload::empty(signal);
    for batch in outbox.take() {
        let (payload, _, receipt) = batch.into_parts();
        result.append(payload);
        receipt.settle(&Outcome::Delivered);
    }
    match pending.now() {
        Some(Outcome::Rejected(message)) => bail!("{message}"),
        _ => Ok(written(&result)),
    }
}

fn built(texts: &Texts, mode: ErrorMode, signal: Signal) -> anyhow::Result<Box<dyn Processor>> {
    let mode = match mode {
        ErrorMode::Propagate => "propagate",
        ErrorMode::Ignore => "silent",
    };
    let (kind, prefix) = match signal {
        Signal::Traces => ("traces", "trace"),
        Signal::Metrics => ("metrics", "metric"),
        Signal::Logs => ("logs", "log"),
    };
    let mut group = json!({});
    if let Some(context) = &texts.context {
        group["context"] = json!(context);
    }
    let name = if texts.conditions {
        "filter"
    } else {
        "transform"
    };
    let mut cx = BuildContext::detached("processor", name.parse()?);
    cx.pipeline = Some(kind.to_owned());
    cx.signal = Some(signal);
    let built = if texts.conditions {
        group["conditions"] = json!(texts.texts);
        let keys = json!({ "error_mode": mode, format!("{prefix}_conditions"): [group] });
        serde_json::from_value::<filter::Config>(keys)?.build(&cx)
    } else {
        group["statements"] = json!(texts.texts);
        let keys = json!({ "error_mode": mode, format!("{prefix}_statements"): [group] });
        serde_json::from_value::<transform::Config>(keys)?.build(&cx)
    };
    built.map_err(|error: BuildError| match error.remedy {
        Some(remedy) => anyhow!("{}\n{remedy}", error.message),
        None => anyhow!("{}", error.message),
    })
}

fn written(payload: &Payload) -> String {
    let requests = payload.segments().iter().map(|segment| &**segment.bytes());
    let mut out = Vec::new();
    to_json(payload.signal(), requests, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// What differs between two requests, as lines of indented JSON.
fn difference(before: &str, after: &str) -> anyhow::Result<String> {
    let pretty = |text: &str| -> anyhow::Result<String> {
        let value: Value = serde_json::from_str(text)?;
        Ok(serde_json::to_string_pretty(&value)? + "\n")
    };
    let (before, after) = (pretty(before)?, pretty(after)?);
    if before == after {
        return Ok("nothing changed\n".to_owned());
    }
    let coloured = std::io::stdout().is_terminal();
    let diff = TextDiff::from_lines(&before, &after);
    let mut out = String::new();
    for (index, group) in diff.grouped_ops(SURROUNDINGS).iter().enumerate() {
        if index > 0 {
            out.push_str("  …\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, colour) = match change.tag() {
                ChangeTag::Delete => ('-', "\x1b[31m"),
                ChangeTag::Insert => ('+', "\x1b[32m"),
                ChangeTag::Equal => (' ', ""),
            };
            let line = change.value().trim_end_matches('\n');
            if coloured && !colour.is_empty() {
                writeln!(out, "{colour}{sign} {line}\x1b[0m")?;
            } else {
                writeln!(out, "{sign} {line}")?;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"body":{"stringValue":"user=7"},"attributes":[{"key":"password","value":{"stringValue":"x"}}]},
        {"body":{"stringValue":"other"}}]}]}]}"#;

    fn texts(texts: &[&str], conditions: bool, context: Option<&str>) -> Texts {
        Texts {
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            conditions,
            context: context.map(str::to_owned),
        }
    }

    #[test]
    fn a_context_is_found_in_any_signal() {
        for (text, expected) in [
            (r#"set(span.name, "a")"#, Context::Span),
            (r#"set(metric.unit, "s")"#, Context::Metric),
            (r#"set(log.body, "a")"#, Context::Log),
        ] {
            let (context, plans) = compiled(&texts(&[text], false, None), None).unwrap();
            assert_eq!(context, expected);
            assert!(plans[0].starts_with("set\n"), "{}", plans[0]);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = compiled(&texts(&["nmae == 1"], true, Some("span")), None).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("column 1") && error.contains("^^^^"),
            "{error}"
        );
        let error = compiled(&texts(&["true"], true, Some("spam")), None).unwrap_err();
        assert!(error.to_string().contains("one of log"), "{error}");
    }

    #[test]
    fn statements_show_what_they_change() {
        let (payload, before) = admitted(LOG).unwrap();
        let statement = r#"delete_key(log.attributes, "password")"#;
        let texts = texts(&[statement], false, None);
        let after = processed(&texts, ErrorMode::Propagate, payload).unwrap();
        let shown = difference(&before, &after).unwrap();
        let has = |sign| {
            let mut lines = shown.lines().filter(|line| line.contains("\"password\""));
            lines.any(|line| line.starts_with(sign))
        };
        assert!(has('-') && !has('+'), "{shown}");
        assert_eq!(difference(&after, &after).unwrap(), "nothing changed\n");
    }

    #[test]
    fn conditions_show_what_they_drop() {
        let (payload, _) = admitted(LOG).unwrap();
        let texts = texts(&[r#"log.body == "other""#], true, None);
        let after = processed(&texts, ErrorMode::Propagate, payload).unwrap();
        assert!(
            after.contains("user=7") && !after.contains("other"),
            "{after}"
        );
    }

    #[test]
    fn a_statement_that_fails_is_said_or_passed_over() {
        let statement = r#"set(log.attributes["a"], Substring(log.body, 5, 90))"#;
        let texts = texts(&[statement], false, None);
        let (payload, _) = admitted(LOG).unwrap();
        let error = processed(&texts, ErrorMode::Propagate, payload).unwrap_err();
        assert!(error.to_string().contains("failed"), "{error}");
        let (payload, before) = admitted(LOG).unwrap();
        let after = processed(&texts, ErrorMode::Ignore, payload).unwrap();
        assert_eq!(after, before);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let error = admitted("{}").unwrap_err();
        assert!(error.to_string().contains("resourceSpans"), "{error}");
        assert!(admitted(r#"{"resourceLogs": 1}"#).is_err());
    }
}
