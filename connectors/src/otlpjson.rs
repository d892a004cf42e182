//! `otlpjson`: telemetry that stands as OTLP/JSON in the bodies of log records.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Connector, Reason, Routes, Stability,
};
use tidegate_pdata::view::AnyValue;
use tidegate_pdata::{Batch, Budget, Outcome, Payload, Signal, Signals, json};

/// Reads spans, data points and log records off the bodies of log records that are requests of OTLP/JSON, as other
/// collectors write them into files. Takes no settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl ComponentConfig for Config {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "otlpjson";
    const SIGNALS: Signals = Signals::LOGS;
    const STABILITY: Stability = Stability::Beta;
    const PAIRS: &'static [(Signal, Signal)] = &[
        (Signal::Logs, Signal::Traces),
        (Signal::Logs, Signal::Metrics),
        (Signal::Logs, Signal::Logs),
    ];

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        Ok(Box::new(OtlpJson {
            budget: Arc::clone(&cx.budget),
            read: cx.reason("read"),
            other: cx.reason("no_otlp"),
            unwanted: cx.reason("no_pipeline"),
            malformed: cx.loss("malformed"),
        }))
    }
}

struct OtlpJson {
    budget: Arc<Budget>,
    /// Records in whose place is now what they held.
    read: Reason,
    /// Records that hold no request.
    other: Reason,
    /// Records of whose request's signal no pipeline is fed.
    unwanted: Reason,
    /// Records that begin as a request does and are none.
    malformed: Reason,
}

/// The first keys of requests.
const KEYS: [(&[u8], Signal); 6] = [
    (b"resourceSpans", Signal::Traces),
    (b"resource_spans", Signal::Traces),
    (b"resourceMetrics", Signal::Metrics),
    (b"resource_metrics", Signal::Metrics),
    (b"resourceLogs", Signal::Logs),
    (b"resource_logs", Signal::Logs),
];

/// The signal of a request, by its first key.
fn signal(text: &[u8]) -> Option<Signal> {
    let rest = text.trim_ascii_start().strip_prefix(b"{")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let is = |(key, _): &&(&[u8], Signal)| {
        let after = rest.strip_prefix(*key);
        after.is_some_and(|after| after.first() == Some(&b'"'))
    };
    KEYS.iter().find(is).map(|(_, signal)| *signal)
}

impl OtlpJson {
    /// The request that a text is.
    fn request(&self, signal: Signal, text: &[u8]) -> Option<Payload> {
        let bytes = json::from_json(signal, text, &mut |_| true).ok()?;
        let hold = self.budget.overdraw(bytes.len());
        let admitted = Payload::admit(signal, Bytes::from(bytes), Some(hold)).ok()?;
        Some(admitted.payload)
    }

    /// What of a batch becomes what.
    fn take(&self, batch: &Batch, out: &mut Routes<'_>) -> [Payload; 3] {
        let mut made = Signal::ALL.map(Payload::empty);
        let fed = |signal: Signal| out.routes().iter().any(|route| route.signal == signal);
        let fed = Signal::ALL.map(fed);
        let (mut read, mut other, mut unwanted, mut malformed) = (0, 0, 0, 0);
        let scopes = batch
            .payload()
            .resource_logs()
            .flat_map(|group| group.scopes());
        for record in scopes.flat_map(|scope| scope.log_records()) {
            let Some(AnyValue::String(text)) = record.body() else {
                other += 1;
                continue;
            };
            match signal(text.as_bytes()) {
                None => other += 1,
                Some(signal) if !fed[signal.index()] => unwanted += 1,
                Some(signal) => match self.request(signal, text.as_bytes()) {
                    Some(payload) => {
                        read += 1;
                        made[signal.index()].append(payload);
                    }
                    None => malformed += 1,
                },
            }
        }
        for (reason, items) in [
            (&self.read, read),
            (&self.other, other),
            (&self.unwanted, unwanted),
            (&self.malformed, malformed),
        ] {
            if items > 0 {
                out.outbox.dropped(reason, items);
            }
        }
        made
    }
}

impl Connector for OtlpJson {
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        let made = self.take(&batch, out);
        let (_, context, receipt) = batch.into_parts();
        for payload in made {
            if !payload.is_empty() {
                out.outbox.created(payload.items());
                out.broadcast(Batch::new(payload, context.clone(), receipt.fork()));
            }
        }
        // What is passed on answers for its share.
        receipt.settle(&Outcome::Delivered);
    }
}

#[cfg(test)]
mod tests {
    use tidegate_component::testing::{ConnectorBench, Contract, realistic};
    use tidegate_pdata::compose::{Request, log_record};

    use super::*;

    fn logs(bodies: &[&str]) -> Payload {
        let mut request = Request::new(Signal::Logs);
        for body in bodies {
            request.record(|record| record.value(log_record::BODY, (*body).into()));
        }
        request.finish(None).unwrap()
    }

    fn text(payload: &Payload) -> String {
        let mut text = Vec::new();
        let requests = payload.segments().iter().map(|one| &**one.bytes());
        json::to_json(payload.signal(), requests, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn keeps_the_contract() {
        Contract::<Config>::new("{}", &[]).connector();
    }

    #[test]
    fn requests_in_bodies_go_where_they_belong() {
        let all = Signal::ALL.map(|signal| realistic(signal, 5));
        let texts = all.each_ref().map(text);
        let mut bodies: Vec<&str> = texts.iter().map(String::as_str).collect();
        bodies.extend([
            "{\"resourceSpans\": 5}",
            "GET /",
            "{\"level\": \"info\"}",
            "{\"resourceSpans\": []}",
        ]);
        let routes = [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Logs];
        let mut bench = ConnectorBench::new::<Config>("{}", Signal::Logs, &routes);
        bench.send(logs(&bodies));
        assert_eq!(bench.items(), [5, 5, 5, 5]);
        // What came in is gone, in its place is what it held, twice where two pipelines take it.
        assert_eq!(bench.counts(), (20, 7));
    }

    #[test]
    fn what_no_pipeline_takes_ends_here() {
        let spans = text(&realistic(Signal::Traces, 3));
        let mut bench = ConnectorBench::new::<Config>("{}", Signal::Logs, &[Signal::Metrics]);
        bench.send(logs(&[&spans]));
        assert_eq!(bench.items(), [0]);
        assert_eq!(bench.counts(), (0, 1));
    }

    #[test]
    fn the_signal_is_told_by_the_first_key() {
        for (text, expected) in [
            ("{\"resourceSpans\":[]}", Some(Signal::Traces)),
            (" { \"resource_logs\" : []}", Some(Signal::Logs)),
            ("{\"resourceMetricsX\":[]}", None),
            ("{\"a\":1,\"resourceSpans\":[]}", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(signal(text.as_bytes()), expected, "{text}");
        }
    }
}
