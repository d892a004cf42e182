//! `tidegate explain-sampling`: what the policies of `tail_sampling` say of traces at hand, and why.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use tidegate_component::BuildContext;
use tidegate_config::Kind;
use tidegate_document::{Diagnostics, examine};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Payload, Signal};
use tidegate_processors::tail_sampling;

use crate::cli::Sources;
use crate::configuration::Configuration;
use crate::report::print;

/// Bytes of a file of traces that are read at most.
const LARGEST: u64 = 1 << 28;

/// Explains what a processor of the configuration makes of the traces in a file.
pub(crate) fn explain(
    sources: &Sources,
    trace: &Path,
    processor: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let configuration = Configuration::read(sources)?;
    configuration.report();
    if configuration.found.has_errors() {
        return Ok(ExitCode::FAILURE);
    }
    let all = configuration.settings.components();
    let samplers =
        all.filter(|(kind, name, ..)| *kind == Kind::Processor && *name == "tail_sampling");
    let samplers: Vec<_> = samplers
        .map(|(_, _, id, component)| (id, component))
        .collect();
    let named = |wanted: &str| samplers.iter().find(|(id, _)| id.to_string() == wanted);
    let found = match (processor, samplers.as_slice()) {
        (Some(wanted), _) => named(wanted),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let Some((id, component)) = found else {
        let names: Vec<String> = samplers.iter().map(|(id, _)| id.to_string()).collect();
        match names.as_slice() {
            [] => bail!("the configuration has no processor tail_sampling"),
            names => bail!("name one with --processor: {}", names.join(", ")),
        }
    };
    let mut found = Diagnostics::default();
    let config: Option<tail_sampling::Config> = examine(&component.node, &mut found);
    let config = config.context("the processor cannot be read")?;
    let payload = payload(trace)?;
    let cx = BuildContext::detached("processor", (*id).clone());
    print(&config.explain(&payload, &cx)?);
    Ok(ExitCode::SUCCESS)
}

/// The spans of a file: a request as OTLP/JSON.
fn payload(path: &Path) -> anyhow::Result<Payload> {
    let size =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if size.len() > LARGEST {
        bail!("{} is larger than 256 MiB", path.display());
    }
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = from_json(Signal::Traces, &text, &mut |_| true)
        .with_context(|| format!("{} is no request of traces in OTLP/JSON", path.display()))?;
    let admitted = Payload::admit(Signal::Traces, bytes.into(), None)
        .with_context(|| format!("{} is no request of traces", path.display()))?;
    Ok(admitted.payload)
}
