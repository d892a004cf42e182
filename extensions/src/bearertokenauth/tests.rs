use std::time::Duration;

use tidegate_component::testing::{extension, extension_fault};

use super::*;

fn with(name: &str, text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name.parse::<HeaderName>().unwrap(), text.parse().unwrap());
    headers
}

async fn asked(extension: &Arc<dyn Extension>, headers: &HeaderMap) -> Result<Identity, String> {
    let server = extension.server_authenticator().unwrap();
    let answer = server.authenticate(headers).await;
    answer.map_err(|fault| fault.to_string())
}

fn sent(extension: &Arc<dyn Extension>, name: &str) -> String {
    let client = extension.client_authenticator().unwrap();
    let mut headers = with(name, "stale");
    client.authorize(&Context::default(), &mut headers).unwrap();
    assert!(client.needs_tls());
    headers[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_sent_and_asked_for() {
    let tokens = extension::<Config>("{tokens: [one, two]}").await;
    assert_eq!(sent(&tokens, "authorization"), "Bearer one");
    for token in ["one", "two"] {
        let headers = with("authorization", &format!("Bearer {token}"));
        assert_eq!(asked(&tokens, &headers).await, Ok(Identity::default()));
    }
    for wrong in ["Bearer three", "bearer one", "one", "Bearer on", "Bearer "] {
        let fault = asked(&tokens, &with("authorization", wrong))
            .await
            .unwrap_err();
        assert_eq!(
            fault,
            "provided authorization does not match expected scheme or token"
        );
    }
    let fault = asked(&tokens, &HeaderMap::new()).await.unwrap_err();
    assert_eq!(
        fault,
        "missing or empty authorization header: Authorization"
    );
}

#[tokio::test]
async fn header_and_scheme_are_as_configured() {
    let keys = extension::<Config>("{header: X-Api-Key, scheme: '', token: secret}").await;
    assert_eq!(sent(&keys, "x-api-key"), "secret");
    assert!(asked(&keys, &with("x-api-key", "secret")).await.is_ok());
    assert!(
        asked(&keys, &with("authorization", "secret"))
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_is_followed_and_blank_lines_let_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "one\n\n two \n").unwrap();
    let yaml = format!("{{filename: '{}', token: other}}", path.display());
    let file = extension::<Config>(&yaml).await;
    assert_eq!(sent(&file, "authorization"), "Bearer one");
    assert!(
        asked(&file, &with("authorization", "Bearer two"))
            .await
            .is_ok()
    );
    for wrong in ["Bearer other", "Bearer "] {
        assert!(asked(&file, &with("authorization", wrong)).await.is_err());
    }
    for (text, expected) in [("three", "Bearer three"), ("\n", "Bearer three")] {
        std::fs::write(&path, text).unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(sent(&file, "authorization"), expected);
    }
    assert!(
        asked(&file, &with("authorization", "Bearer one"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_file_that_is_missing_is_named_at_the_start() {
    let fault = extension_fault::<Config>("{filename: /no/such/token}").await;
    assert!(fault.contains("/no/such/token"), "{fault}");
}

#[test]
fn what_cannot_work_is_found_when_built() {
    let cx = BuildContext::detached("extension", "bearertokenauth".parse().unwrap());
    for (yaml, path) in [
        ("{}", ""),
        ("{token: a, tokens: [b]}", "tokens"),
        ("{token: \"a\\nb\"}", "token"),
        ("{tokens: [\"a\\nb\"]}", "tokens"),
        ("{token: a, header: 'a b'}", "header"),
    ] {
        let error = tidegate_component::testing::read::<Config>(yaml).build(&cx);
        let error = error.err().unwrap();
        assert_eq!(error.path, path, "{yaml}: {error}");
        assert!(error.remedy.is_some(), "{yaml}");
    }
}
