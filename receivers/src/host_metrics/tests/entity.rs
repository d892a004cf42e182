//! The host as an entity, in pipelines of log records.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

use super::*;

/// Log records that came so far, as text.
fn records(door: &FakeDoor) -> Vec<String> {
    let taken = door.take().into_iter();
    let logs = taken.filter(|(payload, _)| payload.signal() == Signal::Logs);
    logs.map(|(payload, _)| {
        let request = ExportLogsServiceRequest::decode(payload.segments()[0].bytes().clone());
        let scope = request.unwrap().resource_logs[0].scope_logs[0].clone();
        let marker = &scope.scope.unwrap().attributes[0];
        assert_eq!(marker.key, "otel.entity.event_as_log");
        assert!(scope.log_records[0].time_unix_nano > 0);
        written(&scope.log_records[0].attributes)
    })
    .collect()
}

async fn told(interval: &str, pass: Duration) -> Vec<String> {
    let text = format!("{{metadata_collection_interval: {interval}, scrapers: {{system: }}}}");
    let build = BuildContext::detached("receiver", "host_metrics".parse().unwrap());
    let mut receiver = read::<Config>(&text).receiver(&build).unwrap();
    let door = Arc::new(FakeDoor::default());
    let mut cx = door.receiver(build.id);
    cx.intakes[Signal::Metrics.index()] = None;
    receiver.start(cx).await.unwrap();
    tokio::time::sleep(pass).await;
    receiver.stop().await;
    records(&door)
}

#[tokio::test(start_paused = true)]
async fn the_host_is_told_of_at_once_and_then_once_an_interval() {
    let told = told("5m", Duration::from_secs(610)).await;
    let event = "otel.entity.event.type=entity_state,otel.entity.type=host,\
                 otel.entity.interval=300000";
    assert_eq!(told, [event; 3]);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_it_is_told_of_once() {
    let told = told("0s", Duration::from_secs(6000)).await;
    assert_eq!(
        told,
        ["otel.entity.event.type=entity_state,otel.entity.type=host"]
    );
}
