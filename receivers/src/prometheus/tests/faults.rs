//! Targets that are slow, endless, broken or lie.

use tidegate_component::Shut;
use tidegate_pdata::{Outcome, Refusal};

use super::*;

#[tokio::test]
async fn a_target_that_fails_is_down_and_its_series_end() {
    let peer = Peer::serving(|count| match count {
        2 => Reply::status("500 Internal Server Error", ""),
        5 => Reply::page("a 1\nb x\n"),
        8 => Reply::Hangup,
        _ => Reply::page("a 1\n"),
    })
    .await;
    let mut rig = Rig::scraping(&[&peer], "").await;
    for _ in 0..3 {
        rig.value("a", 1.0).await;
        rig.ended("a").await;
        rig.value("up", 0.0).await;
    }
    rig.value("a", 1.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_slow_target_holds_up_nobody() {
    let slow = Peer::serving(|_| Reply::Silence).await;
    let swift = Peer::serving(|count| Reply::page(&format!("n {count}\n"))).await;
    let mut rig = Rig::scraping(&[&slow, &swift], "").await;
    slow.wait_for("GET").await;
    for count in 1..=5 {
        rig.value("n", f64::from(count)).await;
    }
    let down = rig.value("up", 0.0).await;
    assert_eq!(down.instance, slow.to_string());
    rig.stop().await;
}

#[tokio::test]
async fn the_stop_waits_for_no_target() {
    let slow = Peer::serving(|_| Reply::Silence).await;
    let rig = Rig::start(&format!(
        "config: {{scrape_configs: [{{job_name: a, scrape_interval: 1d, scrape_timeout: 1d, static_configs: [{{targets: ['{slow}', 'localhost:1']}}]}}]}}"
    ))
    .await;
    rig.stop().await;
    let rig = Rig::scraping(&[&slow], "scrape_timeout: 200ms").await;
    slow.wait_for("GET").await;
    rig.stop().await;
}

#[tokio::test]
async fn pages_without_end_are_cut() {
    let chunk = format!("a 1\n{}\n", "#".repeat(8000));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
    let (head, chunk) = (head.as_bytes().to_vec(), chunk.into_bytes());
    let endless = Peer::serving(move |_| Reply::Endless(head.clone(), chunk.clone())).await;
    let mut rig = Rig::scraping(
        &[&endless],
        "body_size_limit: 1MB, extra_scrape_metrics: true",
    )
    .await;
    rig.value("scrape_body_size_bytes", -1.0).await;
    rig.stop().await;
    // A line that never ends, and no limit: time ends it.
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
        .as_bytes()
        .to_vec();
    let endless = Peer::serving(move |_| Reply::Endless(head.clone(), b"a".repeat(8000))).await;
    let mut rig = Rig::scraping(&[&endless], "").await;
    rig.value("up", 0.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn compressed_pages_are_inflated_as_far_as_they_may_be() {
    let peer = Peer::serving(|_| Reply::gzip(b"a 1\n")).await;
    let mut rig = Rig::scraping(&[&peer], "").await;
    rig.value("a", 1.0).await;
    rig.stop().await;
    let bomb = vec![b'\n'; 8 << 20];
    let peer = Peer::serving(move |_| Reply::gzip(&bomb)).await;
    let mut rig = Rig::scraping(&[&peer], "body_size_limit: 4MB, extra_scrape_metrics: true").await;
    rig.value("scrape_body_size_bytes", -1.0).await;
    rig.stop().await;
    for headers in ["content-encoding: gzip\r\n", "content-encoding: br\r\n"] {
        let peer = Peer::serving(move |_| Reply::with(headers, b"a 1\n")).await;
        let mut rig = Rig::scraping(&[&peer], "").await;
        rig.value("up", 0.0).await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_large_page_is_read() {
    let mut page = String::new();
    for number in 0..110 {
        page += &format!(
            "# HELP a{number} {}\na{number} {number}\n",
            "x".repeat(1_000_000)
        );
    }
    assert!(page.len() > 100 << 20);
    let reply = Reply::page(&page);
    let peer = Peer::serving(move |_| reply.clone()).await;
    let text = format!(
        "config: {{scrape_configs: [{{job_name: a, scrape_interval: 30s, scrape_timeout: 30s, static_configs: [{{targets: ['{peer}'], labels: {{__scrape_interval__: 2s, __scrape_timeout__: 2s}}}}]}}]}}"
    );
    // As slow as the machine may be, some scrape gets through.
    let text = text.replace("2s", "10s");
    let mut rig = Rig::start(&text).await;
    rig.value("a109", 109.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn redirections_are_followed_unless_told() {
    let end = Peer::serving(|_| Reply::page("a 1\n")).await;
    let to = format!("location: http://{end}/there\r\n");
    let peer = Peer::serving(move |_| Reply::status("302 Found", &to)).await;
    let mut rig = Rig::scraping(&[&peer], "").await;
    rig.value("a", 1.0).await;
    assert!(end.has("GET /there"));
    rig.stop().await;
    let mut rig = Rig::scraping(&[&peer], "follow_redirects: false").await;
    rig.value("up", 0.0).await;
    rig.stop().await;
    let around = Peer::serving(|_| Reply::status("302 Found", "location: /\r\n")).await;
    let mut rig = Rig::scraping(&[&around], "").await;
    rig.value("up", 0.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn more_targets_than_the_limit_are_down() {
    let peers = [
        Peer::serving(|_| Reply::page("a 1\n")).await,
        Peer::serving(|_| Reply::page("a 1\n")).await,
    ];
    let mut rig = Rig::scraping(&[&peers[0], &peers[1]], "target_limit: 1").await;
    let down = rig.value("up", 0.0).await;
    rig.wait_for(|came| came.value == Some(0.0) && came.instance != down.instance)
        .await;
    assert!(!peers[0].has("GET") && !peers[1].has("GET"));
    rig.stop().await;
}

#[tokio::test]
async fn a_door_that_is_shut_is_waited_for_and_a_refusal_survived() {
    let peer = Peer::serving(|count| Reply::page(&format!("n {count}\n"))).await;
    let door = Arc::new(FakeDoor::default());
    let refusal = || Refusal::new("full", Duration::from_secs(1));
    door.shut(Some(Shut::Refused(refusal())));
    let text = format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, static_configs: [{{targets: ['{peer}']}}]}}]}}"
    );
    let mut rig = Rig::before(Arc::clone(&door), &text).await;
    sleep(Duration::from_millis(500)).await;
    assert!(!peer.has("GET"), "it scrapes what it can bring nowhere");
    door.answer(Some(Outcome::Refused(refusal())));
    door.shut(None);
    rig.value("n", 1.0).await;
    door.answer(Some(Outcome::TakenOver));
    rig.wait_for(|came| came.metric == "n").await;
    rig.stop().await;
}

#[tokio::test]
async fn a_page_without_room_in_the_budget_is_not_taken() {
    let page = format!("a 1\n{}", "#\n".repeat(200_000));
    let reply = Reply::page(&page);
    let peer = Peer::serving(move |_| reply.clone()).await;
    let door = Arc::new(FakeDoor::within(200_000));
    let text = format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, static_configs: [{{targets: ['{peer}']}}]}}]}}"
    );
    let mut rig = Rig::before(Arc::clone(&door), &text).await;
    rig.value("up", 0.0).await;
    rig.stop().await;
    rig_is_empty(&door).await;
}

/// Nothing of the budget is held once all that came in is gone.
async fn rig_is_empty(door: &FakeDoor) {
    drop(door.take());
    let until = Instant::now() + PATIENCE;
    while door.budget().used() > 0 {
        assert!(
            Instant::now() < until,
            "{} bytes are held",
            door.budget().used()
        );
        sleep(Duration::from_millis(10)).await;
    }
}
