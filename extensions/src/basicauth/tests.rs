use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tidegate_component::Identity;
use tidegate_component::testing::{extension, extension_fault, read};
use tidegate_pdata::Context;

use super::htpasswd::Table;
use super::*;

/// `secret` in every way that it can be known, as OpenSSL and Apache write it.
const SECRET: [&str; 7] = [
    "secret",
    "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0",
    "$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
    "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SSHA}+RFhsab2AfzZ0VfEdyknXtUT06RhYmNk",
];

fn header(scheme: &str, text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("{scheme} {}", STANDARD.encode(text));
    headers.insert(AUTHORIZATION, value.parse().unwrap());
    headers
}

async fn asked(extension: &Arc<dyn Extension>, headers: &HeaderMap) -> Result<Identity, String> {
    let server = extension.server_authenticator().unwrap();
    let answer = server.authenticate(headers).await;
    answer.map_err(|fault| fault.to_string())
}

fn sent(extension: &Arc<dyn Extension>) -> String {
    let client = extension.client_authenticator().unwrap();
    let mut headers = HeaderMap::new();
    client.authorize(&Context::default(), &mut headers).unwrap();
    let text = headers[AUTHORIZATION].to_str().unwrap();
    let encoded = text.strip_prefix("Basic ").unwrap();
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

#[test]
fn passwords_are_known_by_every_hash() {
    let mut table = Table::default();
    for (at, hash) in SECRET.iter().enumerate() {
        table
            .read(&format!("# a comment\n\n user{at}:{hash}\n"))
            .unwrap();
        assert!(table.matches(&format!("user{at}"), "secret"), "{hash}");
        assert!(!table.matches(&format!("user{at}"), "secreT"), "{hash}");
        assert!(!table.matches(&format!("user{at}"), ""), "{hash}");
    }
    let long = "long:$apr1$abc$77rKqJqY.58.YAtshgYSi1";
    table.read(long).unwrap();
    assert!(table.matches("long", "a much longer password than sixteen"));
    for version in ["a", "b", "y"] {
        let hash = format!("$2{version}$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        table.read(&format!("blow:{hash}")).unwrap();
        assert!(table.matches("blow", "U*U"), "{hash}");
        assert!(!table.matches("blow", "U*V"), "{hash}");
    }
    assert!(!table.matches("nobody", "secret"));
}

#[test]
fn a_line_that_is_none_is_named() {
    for (text, line) in [
        ("a:b\nno colon", 2),
        ("a:$2y$05$short", 1),
        ("a:$apr1$saltsalt", 1),
        ("\na:$6$", 2),
        ("a:{SHA}5en6", 1),
        ("a:{SHA}+RFhsab2AfzZ0VfEdyknXtUT06RhYmNk", 1),
    ] {
        let fault = Table::default().read(text).unwrap_err();
        assert!(
            fault.starts_with(&format!("line {line} ")),
            "{text}: {fault}"
        );
    }
}

#[tokio::test]
async fn who_is_in_the_table_is_let_in_and_named() {
    let inline = "a:$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0\nb:with:colon";
    let users = extension::<Config>(&format!(
        "{{htpasswd: {{inline: \"{}\"}}}}",
        inline.replace('\n', "\\n")
    ))
    .await;
    // The second time it is remembered.
    for _ in 0..2 {
        let identity = asked(&users, &header("basic", "a:secret")).await.unwrap();
        let raw = STANDARD.encode("a:secret");
        assert_eq!(
            identity,
            Identity::default().with("username", "a").with("raw", &raw)
        );
    }
    assert!(
        asked(&users, &header("Basic", "b:with:colon"))
            .await
            .is_ok()
    );
    for (headers, fault) in [
        (HeaderMap::new(), "no basic auth provided"),
        (
            header("Bearer", "a:secret"),
            "invalid authorization scheme prefix",
        ),
        (header("Basic", "secret"), "invalid authorization format"),
        (header("Basic", "a:secreT"), "invalid credentials"),
        (header("Basic", "c:secret"), "invalid credentials"),
        (header("Basic", "a:"), "invalid credentials"),
    ] {
        assert_eq!(asked(&users, &headers).await.unwrap_err(), fault);
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_is_followed_and_what_stands_inline_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, "a:file\nb:file\n").unwrap();
    let yaml = format!(
        "{{htpasswd: {{file: '{}', inline: 'a:inline'}}}}",
        path.display()
    );
    let users = extension::<Config>(&yaml).await;
    assert!(asked(&users, &header("Basic", "a:inline")).await.is_ok());
    assert!(asked(&users, &header("Basic", "b:file")).await.is_ok());
    assert!(asked(&users, &header("Basic", "a:file")).await.is_err());
    // What was right is forgotten with the table that said so.
    for text in ["b:changed", "damaged"] {
        std::fs::write(&path, text).unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(asked(&users, &header("Basic", "b:file")).await.is_err());
        assert!(asked(&users, &header("Basic", "b:changed")).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn user_and_password_are_sent_and_their_files_followed() {
    let fixed = extension::<Config>("{client_auth: {username: jo, password: 'a:b'}}").await;
    assert_eq!(sent(&fixed), "jo:a:b");
    let folder = tempfile::tempdir().unwrap();
    let (user, password) = (folder.path().join("user"), folder.path().join("password"));
    std::fs::write(&user, "jo\n").unwrap();
    std::fs::write(&password, "one\r\n").unwrap();
    let yaml = format!(
        "{{client_auth: {{username: x, username_file: '{}', password_file: '{}'}}}}",
        user.display(),
        password.display()
    );
    let files = extension::<Config>(&yaml).await;
    assert_eq!(sent(&files), "jo:one");
    std::fs::write(&password, "second").unwrap();
    std::fs::write(&user, "a:b").unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(sent(&files), "jo:second");
    std::fs::remove_file(&user).unwrap();
    let fault = extension_fault::<Config>(&yaml).await;
    assert!(fault.contains(&*user.to_string_lossy()), "{fault}");
}

#[test]
fn what_cannot_work_is_found_when_built() {
    let cx = BuildContext::detached("extension", "basicauth".parse().unwrap());
    for (yaml, path) in [
        ("{}", ""),
        (
            "{htpasswd: {inline: 'a:b'}, client_auth: {username: a}}",
            "client_auth",
        ),
        ("{htpasswd: {}}", "htpasswd"),
        ("{htpasswd: {file: ''}}", "htpasswd"),
        ("{htpasswd: {inline: 'a'}}", "htpasswd::inline"),
        ("{client_auth: {username: 'a:b'}}", "client_auth::username"),
        (
            "{client_auth: {aws_secrets_manager: {secret_arn: x}}}",
            "client_auth::aws_secrets_manager",
        ),
    ] {
        let error = read::<Config>(yaml).build(&cx).err().unwrap();
        assert_eq!(error.path, path, "{yaml}: {error}");
        assert!(error.remedy.is_some(), "{yaml}");
    }
}
