//! Tokens of OAuth 2.0 that targets are sent.

use super::*;

/// The answer of a server that gives this token for so many seconds.
fn token(token: &str, seconds: u64) -> Reply {
    let text = format!(
        "{{\"access_token\": \"{token}\", \"token_type\": \"bearer\", \"expires_in\": {seconds}}}"
    );
    Reply::of("application/json", text.as_bytes())
}

#[tokio::test]
async fn a_token_is_fetched_once_and_sent_with_each_scrape() {
    let login = Peer::serving(|_| token("first", 3600)).await;
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let keys = format!(
        "oauth2: {{client_id: 'me&you', client_secret: 's ecret', token_url: 'http://{login}/token?x=1', \
         scopes: [read, write], endpoint_params: {{audience: 'http://a/'}}}}"
    );
    let mut rig = Rig::scraping(&[&peer], &keys).await;
    for _ in 0..3 {
        rig.value("a", 1.0).await;
    }
    peer.wait_for("authorization: Bearer first\r\n").await;
    assert_eq!(login.count(), 1);
    let request = login.request();
    assert!(
        request.starts_with("POST /token?x=1 HTTP/1.1\r\n"),
        "{request}"
    );
    // The ID and the secret as a form has them, joined by a colon.
    assert!(
        request.contains("authorization: Basic bWUlMjZ5b3U6cyUyMGVjcmV0\r\n"),
        "{request}"
    );
    assert!(
        request.contains("content-type: application/x-www-form-urlencoded\r\n"),
        "{request}"
    );
    assert!(
        request.ends_with(
            "\r\n\r\ngrant_type=client_credentials&scope=read%20write&audience=http%3A%2F%2Fa%2F"
        ),
        "{request}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_wants_the_secret_in_the_form_gets_it_there() {
    let login = Peer::serving(|count| match count {
        1 => Reply::status("401 Unauthorized", ""),
        // Shorter than it is worth to keep: the next scrape asks for another.
        count => token(&format!("t{count}"), 5),
    })
    .await;
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hush\n").unwrap();
    let keys = format!(
        "oauth2: {{client_id: me, client_secret_file: '{}', token_url: 'http://{login}/', \
         endpoint_params: {{grant_type: password, username: u}}}}",
        secret.display()
    );
    let mut rig = Rig::scraping(&[&peer], &keys).await;
    rig.value("a", 1.0).await;
    peer.wait_for("authorization: Bearer t3\r\n").await;
    let form = "grant_type=password&username=u&client_id=me&client_secret=hush";
    assert!(login.request().ends_with(form), "{}", login.request());
    // Which way it is remembered.
    assert!(!login.request().contains("authorization:"));
    std::fs::write(&secret, "other").unwrap();
    login.wait_for("client_secret=other").await;
    rig.stop().await;
}

#[tokio::test]
async fn without_a_token_nothing_is_scraped() {
    let login = Peer::serving(|count| match count {
        1 | 2 => Reply::status("500 Internal Server Error", ""),
        3 => Reply::of("application/json", b"{\"token\": 1}"),
        4 => Reply::Hangup,
        _ => Reply::of(
            "application/x-www-form-urlencoded",
            b"access_token=late&token_type=Own&expires_in=3600",
        ),
    })
    .await;
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let keys = format!("oauth2: {{client_id: me, token_url: 'http://{login}/'}}");
    let mut rig = Rig::scraping(&[&peer], &keys).await;
    rig.value("up", 0.0).await;
    assert_eq!(peer.count(), 0);
    rig.value("a", 1.0).await;
    assert!(peer.request().contains("authorization: Own late\r\n"));
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_lists_targets_is_sent_a_token_too() {
    let login = Peer::serving(|_| token("t", 3600)).await;
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let list = format!("[{{\"targets\": [\"{peer}\"]}}]");
    let server = Peer::serving(move |_| Reply::of("application/json", list.as_bytes())).await;
    let mut rig = Rig::start(&format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, http_sd_configs: [{{url: 'http://{server}/list', oauth2: {{client_id: me, token_url: 'http://{login}/'}}}}]}}]}}"
    ))
    .await;
    rig.value("a", 1.0).await;
    assert!(server.has("authorization: Bearer t\r\n"));
    assert!(!peer.has("authorization"));
    rig.stop().await;
}
