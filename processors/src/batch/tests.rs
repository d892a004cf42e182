use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Wake;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tidegate_component::{BuildContext, ComponentConfig, Outbox, Processor, Promise};
use tidegate_pdata::testing::realistic_traces;
use tidegate_pdata::{Batch, Context, Outcome, Payload, Pending, Receipt, Signal};
use tokio::time::Instant;

use super::{Config, WORTHWHILE};

fn build(json: serde_json::Value, promise: Promise) -> Box<dyn Processor> {
    let config: Config = serde_json::from_value(json).unwrap();
    let mut cx = BuildContext::detached("processor", "batch".parse().unwrap());
    cx.promise = promise;
    config.build(&cx).unwrap()
}

/// Counts how often it is asked to flush.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn spans(count: usize) -> Payload {
    let request = realistic_traces(count).encode_to_vec();
    let admitted = Payload::admit(Signal::Traces, request.into(), None);
    admitted.unwrap().payload
}

fn batch(count: usize, context: Context) -> (Batch, Pending) {
    let (receipt, pending) = Receipt::new();
    (Batch::new(spans(count), context, receipt), pending)
}

fn sizes(out: &mut Outbox) -> Vec<usize> {
    out.take().iter().map(Batch::items).collect()
}

fn tenant(name: &str) -> Context {
    Context::builder().metadata("tenant", name).build()
}

#[tokio::test(start_paused = true)]
async fn collects_until_the_size_is_reached() {
    let mut processor = build(serde_json::json!({"send_batch_size": 10}), Promise::Memory);
    let mut out = Outbox::default();
    processor.process(batch(6, Context::default()).0, &mut out);
    assert!(sizes(&mut out).is_empty());
    assert_eq!(processor.held().0, 6);
    processor.process(batch(6, Context::default()).0, &mut out);
    assert_eq!(sizes(&mut out), [12]);
    assert_eq!(processor.deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn cuts_at_the_maximum_and_keeps_the_rest() {
    let limits = serde_json::json!({"send_batch_size": 4, "send_batch_max_size": 5});
    let mut processor = build(limits, Promise::Memory);
    let mut out = Outbox::default();
    processor.process(batch(13, Context::default()).0, &mut out);
    assert_eq!(sizes(&mut out), [5, 5]);
    processor.flush(Instant::now() + Duration::from_secs(1), &mut out);
    assert_eq!(sizes(&mut out), [3]);
}

#[tokio::test(start_paused = true)]
async fn flushes_what_waited_for_the_timeout() {
    let mut processor = build(serde_json::json!({"timeout": "1s"}), Promise::Memory);
    let mut out = Outbox::default();
    processor.process(batch(1, Context::default()).0, &mut out);
    let due = processor.deadline().unwrap();
    assert_eq!(due - Instant::now(), Duration::from_secs(1));
    processor.flush(due - Duration::from_millis(1), &mut out);
    assert!(sizes(&mut out).is_empty());
    processor.flush(due, &mut out);
    assert_eq!(sizes(&mut out), [1]);
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_everything_goes_on_at_once() {
    let mut processor = build(serde_json::json!({"timeout": "0s"}), Promise::Memory);
    let mut out = Outbox::default();
    processor.process(batch(3, Context::default()).0, &mut out);
    assert_eq!(sizes(&mut out), [3]);
}

#[tokio::test(start_paused = true)]
async fn takes_over_where_the_pipeline_promises_memory() {
    let mut processor = build(serde_json::json!({}), Promise::Memory);
    let (batch, pending) = batch(1, Context::default());
    processor.process(batch, &mut Outbox::default());
    assert_eq!(pending.now(), Some(Outcome::TakenOver));
}

#[tokio::test(start_paused = true)]
async fn carries_receipts_where_the_pipeline_promises_more() {
    let limits = serde_json::json!({"send_batch_size": 3, "send_batch_max_size": 3});
    let mut processor = build(limits, Promise::Durable);
    let mut out = Outbox::default();
    let (first, one) = batch(2, Context::default());
    let (second, two) = batch(2, Context::default());
    let (early, _) = batch(1, Context::default());
    processor.process(early, &mut out);
    let under_way = out.take();
    processor.process(first, &mut out);
    processor.process(second, &mut out);
    assert_eq!(one.now(), None);
    for batch in out.take() {
        batch.into_parts().2.settle(&Outcome::Durable);
    }
    // One span is still held, and it may be of either sender.
    assert_eq!(two.now(), None);
    drop(under_way);
    processor.flush(Instant::now() + Duration::from_secs(1), &mut out);
    for batch in out.take() {
        batch.into_parts().2.settle(&Outcome::Durable);
    }
    assert_eq!(one.now(), Some(Outcome::Durable));
    assert_eq!(two.now(), Some(Outcome::Durable));
}

#[tokio::test(start_paused = true)]
async fn keeps_tenants_apart_and_bounds_their_number() {
    let limits = serde_json::json!({
        "metadata_keys": ["Tenant"], "metadata_cardinality_limit": 2, "send_batch_size": 100,
    });
    let mut processor = build(limits, Promise::Memory);
    let mut out = Outbox::default();
    for name in ["a", "b", "a"] {
        processor.process(batch(1, tenant(name)).0, &mut out);
    }
    let (third, pending) = batch(1, tenant("c"));
    processor.process(third, &mut out);
    assert!(matches!(pending.now(), Some(Outcome::Rejected(_))));
    processor.flush(Instant::now() + Duration::from_secs(1), &mut out);
    let mut sent: Vec<_> = out
        .take()
        .iter()
        .map(|batch| {
            let tenant = batch
                .context()
                .metadata("tenant")
                .next()
                .unwrap()
                .to_owned();
            (tenant, batch.items())
        })
        .collect();
    sent.sort();
    assert_eq!(sent, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
}

#[test]
fn names_the_limits_that_contradict_each_other() {
    let config: Config =
        serde_json::from_value(serde_json::json!({"send_batch_max_size": 5})).unwrap();
    let cx = BuildContext::detached("processor", "batch".parse().unwrap());
    let error = config.build(&cx).err().unwrap();
    assert_eq!(error.path, "send_batch_max_size");
    assert_eq!(error.message, "5 is less than send_batch_size, 8192");
}

#[tokio::test(start_paused = true)]
async fn request_of_many_times_the_maximum_goes_out_in_order_and_whole() {
    let limits = serde_json::json!({"send_batch_size": 3, "send_batch_max_size": 3});
    let mut processor = build(limits, Promise::Delivered);
    let mut out = Outbox::default();
    let (batch, pending) = batch(3001, Context::default());
    let mut expected = Vec::new();
    batch.payload().segments().iter().for_each(|segment| {
        expected.extend_from_slice(segment.bytes());
    });
    processor.process(batch, &mut out);
    let mut sent = out.take();
    assert_eq!(sent.len(), 1000);
    assert_eq!(processor.held().0, 1);
    processor.flush(Instant::now() + Duration::from_secs(1), &mut out);
    sent.extend(out.take());
    let names = |bytes: &[u8]| {
        let request = ExportTraceServiceRequest::decode(bytes).unwrap();
        let resources = request.resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        spans.map(|span| span.span_id).collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    for batch in sent {
        assert!(pending.now().is_none());
        let (payload, _, receipt) = batch.into_parts();
        for segment in payload.segments() {
            seen.extend(names(segment.bytes()));
        }
        receipt.settle(&Outcome::Delivered);
    }
    assert_eq!(seen, names(&expected));
    assert_eq!(pending.now(), Some(Outcome::Delivered));
}

#[tokio::test(start_paused = true)]
async fn first_batch_goes_at_once_where_its_sender_waits_and_the_next_when_that_is_answered() {
    let calls = Arc::new(Calls::default());
    let mut cx = BuildContext::detached("processor", "batch".parse().unwrap());
    cx.promise = Promise::Durable;
    cx.waker = Arc::clone(&calls).into();
    let mut processor = Config::default().build(&cx).unwrap();
    let mut out = Outbox::default();
    let (first, one) = batch(1, Context::default());
    processor.process(first, &mut out);
    let sent = out.take();
    assert_eq!(sent.len(), 1);
    for _ in 0..2 {
        let (next, _) = batch(1, Context::default());
        processor.process(next, &mut out);
    }
    processor.flush(Instant::now(), &mut out);
    assert!(out.take().is_empty());
    assert_eq!(calls.0.load(Relaxed), 0);
    for batch in sent {
        batch.into_parts().2.settle(&Outcome::Durable);
    }
    assert_eq!(one.now(), Some(Outcome::Durable));
    assert_eq!(calls.0.load(Relaxed), 1);
    processor.flush(Instant::now(), &mut out);
    let sent = out.take();
    assert_eq!((sent.len(), sent[0].items()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn batch_that_is_never_answered_does_not_hold_up_the_next_for_longer_than_the_timeout() {
    let mut processor = build(serde_json::json!({"timeout": "50ms"}), Promise::Durable);
    let mut out = Outbox::default();
    for _ in 0..2 {
        let (next, _) = batch(1, Context::default());
        processor.process(next, &mut out);
    }
    let stuck = out.take();
    assert_eq!(stuck.len(), 1);
    processor.flush(Instant::now() + Duration::from_millis(50), &mut out);
    assert_eq!(out.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_large_by_itself_waits_for_no_answer() {
    let mut processor = build(serde_json::json!({}), Promise::Durable);
    let mut out = Outbox::default();
    let (first, _) = batch(1, Context::default());
    processor.process(first, &mut out);
    // Dropped, it would be answered for.
    let stuck = out.take();
    assert_eq!(stuck.len(), 1);
    let mut sent = Vec::new();
    let mut bytes = 0;
    while sent.is_empty() {
        assert!(bytes < WORTHWHILE);
        let (next, _) = batch(100, Context::default());
        bytes += next.payload().bytes();
        processor.process(next, &mut out);
        sent.extend(out.take());
    }
    assert!(bytes >= WORTHWHILE);
    assert_eq!(stuck[0].items(), 1);
    assert_eq!((sent.len(), sent[0].payload().bytes()), (1, bytes));
}
