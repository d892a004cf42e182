//! Targets that come and go.

use std::fmt::Write as _;

use super::*;

#[tokio::test]
async fn targets_of_files_come_and_go() {
    let (one, two) = (
        Peer::serving(|_| Reply::page("one 1\n")).await,
        Peer::serving(|_| Reply::page("two 2\n")).await,
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let list = |peers: &[&Peer]| {
        let mut text = "[".to_owned();
        for (at, peer) in peers.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(
                text,
                "{comma}{{\"targets\": [\"{peer}\"], \"labels\": {{\"n\": \"{at}\"}}}}"
            )
            .unwrap();
        }
        std::fs::write(&file, text + "]").unwrap();
    };
    list(&[&one]);
    let mut rig = Rig::start(&format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, file_sd_configs: [{{files: ['{}/*.json'], refresh_interval: 1s}}]}}]}}",
        folder.path().display()
    ))
    .await;
    let point = rig.value("one", 1.0).await;
    assert_eq!(point.attributes, [("n".to_owned(), "0".to_owned())]);
    list(&[&one, &two]);
    rig.value("two", 2.0).await;
    rig.value("one", 1.0).await;
    // What goes ends, what the scrapes told of themselves too.
    list(&[&one]);
    let ended = rig.ended("two").await;
    assert_eq!(ended.instance, two.to_string());
    rig.wait_for(|came| came.metric == "up" && came.value.is_none())
        .await;
    rig.value("one", 1.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn targets_are_listed_by_servers() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let list = format!("[{{\"targets\": [\"{peer}\"], \"labels\": {{\"zone\": \"x\"}}}}]");
    let server = Peer::serving(move |count| match count {
        1 => Reply::status("503 Service Unavailable", ""),
        3 => Reply::of("application/json", b"[{"),
        4 => Reply::of("text/html", b"[]"),
        _ => Reply::of("application/json; charset=utf-8", list.as_bytes()),
    })
    .await;
    let mut rig = Rig::start(&format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, http_sd_configs: [{{url: 'http://{server}/list', refresh_interval: 200ms, authorization: {{credentials: t}}}}], relabel_configs: [{{source_labels: [__meta_url], target_label: from}}]}}]}}"
    ))
    .await;
    let point = rig.value("a", 1.0).await;
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let from = format!("http://{server}/list");
    assert_eq!(point.attributes, [label("from", &from), label("zone", "x")]);
    server.wait_for("authorization: Bearer t").await;
    // Answers that are none change nothing.
    rig.value("a", 1.0).await;
    rig.stop().await;
}
