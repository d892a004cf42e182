use std::sync::Mutex as Lock;

use tidegate_component::status::{ExporterStatus, LedgerRow, Phase, PipelineStatus};
use tidegate_component::testing::read;

use super::*;

/// A process with two pipelines, of which the exporter of the first may fail.
struct Process(Lock<(Phase, Option<&'static str>)>);

impl StatusSource for Process {
    fn phase(&self) -> Phase {
        self.0.lock().unwrap().0
    }

    fn pipelines(&self) -> Vec<PipelineStatus> {
        let pipeline = |name: &str, error: Option<&str>| PipelineStatus {
            name: name.to_owned(),
            signal: "traces",
            receivers: vec!["otlp".to_owned()],
            processors: vec!["batch".to_owned()],
            exporters: vec![ExporterStatus {
                id: "otlp_grpc".to_owned(),
                healthy: error.is_none(),
                error: error.map(str::to_owned),
                breaker: None,
                queue_size: 0,
            }],
            promise: "memory",
            healthy: error.is_none(),
        };
        let error = self.0.lock().unwrap().1;
        vec![pipeline("traces/a", error), pipeline("traces/b", None)]
    }

    fn ledger(&self) -> Vec<LedgerRow> {
        Vec::new()
    }

    fn extensions(&self) -> Vec<String> {
        vec!["healthcheckv2".to_owned()]
    }
}

struct Rig {
    process: Arc<Process>,
    desk: Desk,
}

fn rig(recovery: Option<u64>) -> Rig {
    let process = Arc::new(Process(Lock::new((Phase::Running, None))));
    Rig {
        desk: Desk {
            status: StatusPath::default(),
            source: Arc::clone(&process) as Arc<dyn StatusSource>,
            observer: Observer::new(recovery.map(std::time::Duration::from_secs)),
        },
        process,
    }
}

impl Rig {
    fn ask(&self, uri: &str) -> (u16, serde_json::Value) {
        let page = self.desk.answer(&uri.parse().unwrap());
        let body = serde_json::from_slice(page.body()).unwrap_or_default();
        (page.status().as_u16(), body)
    }

    fn be(&self, phase: Phase, error: Option<&'static str>) {
        *self.process.0.lock().unwrap() = (phase, error);
    }
}

#[tokio::test(start_paused = true)]
async fn the_process_is_as_its_worst_part_is() {
    let rig = rig(Some(60));
    let (code, body) = rig.ask("/status?verbose");
    assert_eq!(
        (code, &body["status"], &body["healthy"]),
        (200, &"StatusOK".into(), &true.into())
    );
    let exporter = &body["components"]["pipeline:traces/a"]["components"]["exporter:otlp_grpc"];
    assert_eq!(exporter["status"], "StatusOK");
    let extension = &body["components"]["extensions"]["components"]["extension:healthcheckv2"];
    assert_eq!(extension["healthy"], true);
    rig.be(Phase::Running, Some("away"));
    let (code, body) = rig.ask("/status");
    assert_eq!(
        (code, &body["status"], &body["error"]),
        (200, &"StatusRecoverableError".into(), &"away".into())
    );
    assert!(body.get("components").is_none() && body["start_time"].is_string());
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    let (code, body) = rig.ask("/status?verbose=true");
    assert_eq!((code, &body["healthy"]), (500, &false.into()));
    assert_eq!(body["components"]["pipeline:traces/b"]["healthy"], true);
    assert_eq!(rig.ask("/status?pipeline=traces%2Fa").0, 500);
    let (code, body) = rig.ask("/status?pipeline=traces/b&verbose");
    assert_eq!(
        (code, &body["components"]["processor:batch"]["status"]),
        (200, &"StatusOK".into())
    );
    rig.be(Phase::Running, None);
    assert_eq!(rig.ask("/status").0, 200);
    // It may fail as long again.
    rig.be(Phase::Running, Some("away"));
    assert_eq!(rig.ask("/status").0, 200);
}

#[tokio::test(start_paused = true)]
async fn failing_exporters_are_told_and_make_nothing_unhealthy_unless_asked() {
    let rig = rig(None);
    rig.be(Phase::Running, Some("away"));
    rig.ask("/status");
    tokio::time::advance(std::time::Duration::from_secs(100_000)).await;
    let (code, body) = rig.ask("/status");
    assert_eq!(
        (code, &body["status"]),
        (200, &"StatusRecoverableError".into())
    );
}

#[tokio::test]
async fn what_does_not_run_is_unavailable() {
    let rig = rig(None);
    for (phase, status) in [
        (Phase::Starting, "StatusStarting"),
        (Phase::Stopping, "StatusStopping"),
    ] {
        rig.be(phase, None);
        let (code, body) = rig.ask("/status");
        assert_eq!((code, &body["status"]), (503, &status.into()));
        assert_eq!(rig.ask("/status?pipeline=traces/a").0, 503);
    }
    rig.be(Phase::Running, None);
    assert_eq!(rig.ask("/status?pipeline=other").0, 404);
    assert_eq!(rig.ask("/config").0, 404);
}

#[test]
fn what_cannot_work_is_found_when_built() {
    let cx = BuildContext::detached("extension", "healthcheckv2".parse().unwrap());
    for (yaml, path) in [
        ("{use_v2: true}", "http"),
        (
            "{use_v2: true, http: {}, endpoint: 'localhost:1'}",
            "endpoint",
        ),
        (
            "{use_v2: true, http: {config: {enabled: true}}}",
            "http::config::enabled",
        ),
        (
            "{use_v2: true, http: {status: {path: x}}}",
            "http::status::path",
        ),
        ("{http: {}}", "http"),
        ("{path: x}", "path"),
    ] {
        let error = read::<Config>(yaml).build(&cx).err().unwrap();
        assert_eq!(error.path, path, "{yaml}: {error}");
        assert!(error.remedy.is_some(), "{yaml}");
    }
}
