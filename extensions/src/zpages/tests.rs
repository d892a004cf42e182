use tidegate_component::status::{ExporterStatus, LedgerRow, Phase, PipelineStatus};

use super::*;

/// A process with one pipeline, whose names are as odd as names can be.
struct Odd;

impl StatusSource for Odd {
    fn phase(&self) -> Phase {
        Phase::Running
    }

    fn pipelines(&self) -> Vec<PipelineStatus> {
        vec![PipelineStatus {
            name: "traces/a&b".to_owned(),
            signal: "traces",
            receivers: vec!["otlp".to_owned()],
            processors: vec!["batch/<1>".to_owned()],
            exporters: vec![ExporterStatus {
                id: "otlp_grpc".to_owned(),
                healthy: false,
                error: Some("peer is <away>".to_owned()),
                breaker: None,
                queue_size: 0,
            }],
            promise: "memory",
            healthy: false,
        }]
    }

    fn ledger(&self) -> Vec<LedgerRow> {
        let mut batch = LedgerRow {
            pipeline: "traces/a&b".to_owned(),
            kind: "processor".into(),
            component: "batch/<1>".to_owned(),
            signal: "traces".into(),
            r#in: 47,
            out: 40,
            ..LedgerRow::default()
        };
        batch.drop_items("expired", 7, true);
        let queue = LedgerRow {
            kind: "exporter".into(),
            component: "otlp_grpc".to_owned(),
            signal: "traces".into(),
            r#in: 39,
            ..LedgerRow::default()
        };
        vec![batch, queue]
    }

    fn extensions(&self) -> Vec<String> {
        vec!["zpages".to_owned(), "health_check/1".to_owned()]
    }
}

fn page(expvar: bool, uri: &str) -> (StatusCode, String) {
    let desk = Desk {
        expvar,
        workers: 3,
        status: Arc::new(Odd),
        since: (Timestamp::UNIX_EPOCH, Instant::now()),
    };
    let page = desk.answer(&uri.parse().unwrap());
    let text = String::from_utf8(page.body().to_vec()).unwrap();
    (page.status(), text)
}

#[tokio::test]
async fn every_page_that_is_linked_is_there() {
    let (status, index) = page(false, "/debug/servicez");
    assert_eq!(status, StatusCode::OK);
    assert!(index.contains("<td>1970-01-01T00:00:00Z</td>"), "{index}");
    assert!(index.contains("<td>running</td>"), "{index}");
    let links: Vec<_> = index.split("href=\"").skip(1).collect();
    assert_eq!(links.len(), PAGES.len() - 1);
    for link in links {
        let (target, _) = link.split_once('"').unwrap();
        assert_eq!(page(false, target).0, StatusCode::OK, "{target}");
    }
    assert_eq!(page(false, "/debug").0, StatusCode::OK);
    assert_eq!(page(false, "/debug/other").0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pipelines_lead_to_the_ledger_of_their_components() {
    let (_, text) = page(false, "/debug/pipelinez");
    assert!(
        text.contains("no: otlp_grpc: peer is &lt;away&gt;"),
        "{text}"
    );
    assert!(!text.contains("<td>47</td>"), "{text}");
    let link =
        "?zpipelinename=traces/a%26b&amp;zcomponentname=batch/%3C1%3E&amp;zcomponentkind=processor";
    assert!(
        text.contains(&format!("<a href=\"{link}\">batch/&lt;1&gt;</a>")),
        "{text}"
    );
    let asked = format!("/debug/pipelinez{}", link.replace("&amp;", "&"));
    let (_, text) = page(false, &asked);
    assert!(text.contains("<h2>batch/&lt;1&gt;</h2>"), "{text}");
    assert!(
        text.contains("<td>47</td>") && text.contains("<td>expired 7</td>"),
        "{text}"
    );
    assert!(!text.contains("<td>39</td>"), "{text}");
    // The queue of an exporter is shared by pipelines.
    let asked = "/debug/pipelinez?zpipelinename=traces%2Fa%26b&zcomponentname=otlp_grpc&zcomponentkind=exporter";
    assert!(page(false, asked).1.contains("<td>39</td>"));
}

#[tokio::test]
async fn extensions_are_listed_and_no_other_is_said_to_run() {
    let (_, text) = page(false, "/debug/extensionz?zextensionname=health_check/1");
    assert!(
        text.contains(">zpages</a>") && text.contains("<h2>health_check/1</h2>"),
        "{text}"
    );
    let (_, text) = page(false, "/debug/extensionz?zextensionname=%3Cscript%3E");
    assert!(
        !text.contains("It runs") && !text.contains("script"),
        "{text}"
    );
}

#[tokio::test]
async fn figures_are_shown_where_they_are_asked_for() {
    assert_eq!(page(false, "/debug/expvarz").0, StatusCode::NOT_FOUND);
    let (status, text) = page(true, "/debug/expvarz");
    assert_eq!(status, StatusCode::OK);
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(figures["workers"], 3);
    assert!(
        figures["cmdline"][0].is_string() && figures["resident_memory_bytes"].as_u64() > Some(0)
    );
}
