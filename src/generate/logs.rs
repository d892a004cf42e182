//! Log records: what the services of the shop say while they serve requests.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::shop::{Shop, int, text};

const INFO: (i32, &str) = (9, "INFO");
const WARN: (i32, &str) = (13, "WARN");
const ERROR: (i32, &str) = (17, "ERROR");

/// `count` records of one service, the last of them at `now` (Unix time in nanoseconds).
pub(super) fn logs(shop: &mut Shop, now: u64, count: usize) -> ExportLogsServiceRequest {
    let service = shop.below(u64::from(shop.settings.services)) as u32;
    let records = (0..count)
        .map(|at| record(shop, now.saturating_sub((count - 1 - at) as u64 * 1000)))
        .collect();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(shop.resource(service)),
            scope_logs: vec![ScopeLogs {
                scope: Some(shop.scope()),
                log_records: records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

fn record(shop: &mut Shop, time: u64) -> LogRecord {
    let route = shop.route();
    let micros = shop.micros(route.micros);
    let (severity, body) = if shop.fails() {
        (ERROR, format!("{} {} failed", route.method, route.path))
    } else if micros > route.micros * 3 {
        (WARN, format!("{} {} was slow", route.method, route.path))
    } else {
        (INFO, format!("{} {} served", route.method, route.path))
    };
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: severity.0,
        severity_text: severity.1.to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(body)),
        }),
        attributes: vec![
            text("http.route", route.path),
            text("user.id", shop.user()),
            int("duration_us", i64::try_from(micros).unwrap_or(i64::MAX)),
        ],
        trace_id: shop.id::<16>(),
        span_id: shop.id::<8>(),
        ..LogRecord::default()
    }
}
