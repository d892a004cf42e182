//! Decisions do not depend on how many workers there are, and limits hold over all of them.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_component::testing::read;
use tidegate_component::{BuildContext, ComponentConfig, Outbox, Partition, Processor};
use tidegate_pdata::{Batch, Context, Payload, Receipt};
use tokio::time::{Duration, Instant};

use super::{Config, attribute, count, plain, span, spans};

/// The instances of a processor, a worker each.
struct Workers {
    instances: Vec<Box<dyn Processor>>,
    kept: BTreeMap<u128, usize>,
    context: BuildContext,
}

impl Workers {
    fn new(yaml: &str, workers: usize) -> Self {
        let mut context = BuildContext::detached("processor", "tail_sampling".parse().unwrap());
        context.workers = workers;
        let instances = (0..workers).map(|worker| {
            context.worker = worker;
            read::<Config>(yaml).build(&context).unwrap()
        });
        let instances: Vec<_> = instances.collect();
        assert!(
            instances
                .iter()
                .all(|of| of.partition() == Partition::TraceId)
        );
        Self {
            instances,
            kept: BTreeMap::new(),
            context,
        }
    }

    /// Deals a payload over the workers as the engine's exchange does.
    fn send(&mut self, payload: &Payload) {
        let workers = self.instances.len().try_into().unwrap();
        let hash = |id: &[u8]| {
            let step = |hash: u64, byte: &u8| hash.wrapping_mul(31).wrapping_add((*byte).into());
            id.iter().fold(7, step).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let shares = payload.clone().partition_by_trace(workers, hash);
        for (worker, share) in shares.into_iter().enumerate() {
            let mut out = Outbox::default();
            let batch = Batch::new(share, Context::default(), Receipt::none());
            self.instances[worker].process(batch, &mut out);
            self.take(&mut out);
        }
    }

    fn finish(&mut self) {
        for worker in 0..self.instances.len() {
            let mut out = Outbox::default();
            let end = Instant::now() + Duration::from_secs(1 << 30);
            self.instances[worker].flush(end, &mut out);
            self.take(&mut out);
        }
    }

    fn take(&mut self, out: &mut Outbox) {
        for batch in out.take() {
            count(batch.payload(), &mut self.kept);
        }
    }
}

/// Traces of all kinds, their spans in several batches.
fn traffic() -> Vec<Payload> {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut batches = Vec::new();
    for _ in 0..30 {
        let records = (0..40).map(|_| {
            let trace = u128::from(random(300)) + 1;
            let end = 1_700_000_000_000_000_000 + random(400) * 1_000_000;
            let more = json!({
                "endTimeUnixNano": end.to_string(),
                "status": {"code": if random(40) == 0 { 2 } else { 0 }},
                "attributes": [attribute("route", format!("/r{}", random(30)))],
                "parentSpanId": if random(5) == 0 { "" } else { "00000000000000aa" },
                "flags": u64::from(random(60) == 0),
            });
            span((trace << 64) | (trace * 104_729), &more)
        });
        batches.push(spans(records.collect()));
    }
    batches
}

#[test]
fn the_same_traces_are_kept_by_one_worker_and_by_eight() {
    let yaml = r#"
policies:
- {name: health, type: drop, drop: {drop_sub_policy: [{name: r, type: string_attribute, string_attribute: {key: route, values: ["/r1$"], enabled_regex_matching: true}}]}}
- {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
- {name: slow, type: latency, latency: {threshold_ms: 395}}
- {name: flags, type: and, and: {and_sub_policy: [{name: f, type: trace_flags}, {name: p, type: probabilistic, probabilistic: {sampling_percentage: 50}}]}}
- {name: ottl, type: ottl_condition, ottl_condition: {span: ['attributes["route"] == "/r2" and status.code == 0 and parent_span_id != nil', 'attributes["route"] == "/r29"']}}
"#;
    let traffic = traffic();
    let kept = [1, 2, 8].map(|workers| {
        let mut workers = Workers::new(yaml, workers);
        traffic.iter().for_each(|payload| workers.send(payload));
        workers.finish();
        workers.kept
    });
    assert!((30..270).contains(&kept[0].len()), "{}", kept[0].len());
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0], kept[2]);
}

#[test]
fn rates_and_numbers_hold_over_all_workers() {
    let yaml = "policies: [{name: b, type: bytes_limiting, bytes_limiting: {bytes_per_second: 1, burst_capacity: 3000}}]";
    let traces = spans((1..=800).map(|at| plain(at << 64 | at)).collect());
    let kept = [1, 8].map(|workers| {
        let mut workers = Workers::new(yaml, workers);
        workers.send(&traces);
        workers.finish();
        workers.kept.len()
    });
    assert_eq!(kept[0], kept[1]);
    assert!((5..50).contains(&kept[0]), "{}", kept[0]);

    let yaml = "{num_traces: 100, policies: [{name: a, type: always_sample}]}";
    let mut workers = Workers::new(yaml, 8);
    for at in 1..=800 {
        workers.send(&spans(vec![plain(at << 64 | at)]));
    }
    let held: usize = workers.instances.iter().map(|of| of.held().0).sum();
    assert!((92..=108).contains(&held), "{held}");
    let gauge = "otelcol_processor_tail_sampling_sampling_traces_on_memory";
    let gauge = workers.context.metrics.gauge(gauge, "", &[]);
    assert_eq!(gauge.value(), held as i64);
    workers.instances.clear();
    assert_eq!(gauge.value(), 0);
}
