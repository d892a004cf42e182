//! Traces: a request at the front door and the calls that it causes.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::shop::{Route, Shop, int, text};

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

/// One trace of at most `limit` spans that ended at `now` (Unix time in nanoseconds).
pub(super) fn trace(shop: &mut Shop, now: u64, limit: usize) -> ExportTraceServiceRequest {
    let route = shop.route();
    let fails = shop.fails();
    let micros = shop.micros(route.micros);
    let calls = shop.below(u64::from(shop.settings.services.min(6))) as u32;
    let trace = shop.id::<16>();
    let root = shop.id::<8>();
    let start = now.saturating_sub(micros * 1000);

    let user = shop.user();
    let front = Span {
        trace_id: trace.clone(),
        span_id: root.clone(),
        name: format!("{} {}", route.method, route.path),
        kind: SERVER,
        start_time_unix_nano: start,
        end_time_unix_nano: now,
        attributes: request(route, fails, &user),
        events: if fails {
            vec![exception(now)]
        } else {
            Vec::new()
        },
        status: fails.then(|| Status {
            message: "payment was declined".to_owned(),
            code: ERROR,
        }),
        flags: 1,
        ..Span::default()
    };
    let mut spans = vec![(0, front)];
    for call in 1..=calls {
        if spans.len() + 2 > limit {
            break;
        }
        let share = micros * 1000 / u64::from(calls + 1);
        let from = start + share * u64::from(call - 1);
        let length = share * 3 / 4;
        let client = remote(&trace, &root, shop, call, (from, from + length));
        let inner = (from + length / 10, from + length * 9 / 10);
        let server = served(&trace, &client.span_id, shop, route, inner);
        spans.push((0, client));
        spans.push((call, server));
    }
    ExportTraceServiceRequest {
        resource_spans: grouped(shop, spans),
    }
}

fn request(
    route: Route,
    fails: bool,
    user: &str,
) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    vec![
        text("http.request.method", route.method),
        text("http.route", route.path),
        int("http.response.status_code", if fails { 500 } else { 200 }),
        text("url.scheme", "https"),
        text("server.address", "shop.example"),
        text("user.id", user),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
    ]
}

fn exception(time: u64) -> Event {
    Event {
        time_unix_nano: time,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", "PaymentDeclined"),
            text("exception.message", "the card has expired"),
        ],
        ..Event::default()
    }
}

fn remote(trace: &[u8], parent: &[u8], shop: &mut Shop, service: u32, time: (u64, u64)) -> Span {
    Span {
        trace_id: trace.to_vec(),
        span_id: shop.id::<8>(),
        parent_span_id: parent.to_vec(),
        name: format!("call {}", shop.service(service)),
        kind: CLIENT,
        start_time_unix_nano: time.0,
        end_time_unix_nano: time.1,
        attributes: vec![
            text("rpc.system", "grpc"),
            text("server.address", shop.service(service)),
            int("server.port", 8080),
        ],
        flags: 1,
        ..Span::default()
    }
}

fn served(trace: &[u8], parent: &[u8], shop: &mut Shop, route: Route, time: (u64, u64)) -> Span {
    let rows = shop.below(50);
    Span {
        trace_id: trace.to_vec(),
        span_id: shop.id::<8>(),
        parent_span_id: parent.to_vec(),
        name: format!("handle {}", route.path),
        kind: SERVER,
        start_time_unix_nano: time.0,
        end_time_unix_nano: time.1,
        attributes: vec![
            text("db.system.name", "postgresql"),
            text("db.operation.name", "SELECT"),
            int(
                "db.response.returned_rows",
                i64::try_from(rows).unwrap_or(0),
            ),
        ],
        flags: 1,
        ..Span::default()
    }
}

/// Spans under the resources of their services.
fn grouped(shop: &Shop, spans: Vec<(u32, Span)>) -> Vec<ResourceSpans> {
    let mut groups: Vec<(u32, Vec<Span>)> = Vec::new();
    for (service, span) in spans {
        match groups.iter_mut().find(|(known, _)| *known == service) {
            Some((_, group)) => group.push(span),
            None => groups.push((service, vec![span])),
        }
    }
    groups
        .into_iter()
        .map(|(service, spans)| ResourceSpans {
            resource: Some(shop.resource(service)),
            scope_spans: vec![ScopeSpans {
                scope: Some(shop.scope()),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        })
        .collect()
}
