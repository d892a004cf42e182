use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tidegate_component::testing::{extension, extension_fault, read};

use super::*;
use crate::{basicauth, bearertokenauth};

fn set(extension: &Arc<dyn Extension>, context: &Context, given: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name: HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let client = extension.client_authenticator().unwrap();
    client.authorize(context, &mut headers).unwrap();
    headers
}

fn tenant(values: &[&str]) -> Context {
    let builder = Context::builder().auth("username", "jo");
    let values = values.iter();
    values
        .fold(builder, |builder, value| builder.metadata("tenant", value))
        .build()
}

#[tokio::test]
async fn each_action_does_what_it_says() {
    let yaml = "headers:
  - {key: A, value: new}
  - {action: insert, key: B, value: new}
  - {action: update, key: C, value: new}
  - {action: delete, key: D}";
    let setter = extension::<Config>(yaml).await;
    let none = Context::default();
    let all = set(
        &setter,
        &none,
        &[("a", "old"), ("b", "old"), ("c", "old"), ("d", "old")],
    );
    assert_eq!(
        (all.len(), &all["a"], &all["b"], &all["c"]),
        (
            3,
            &"new".parse().unwrap(),
            &"old".parse().unwrap(),
            &"new".parse().unwrap()
        )
    );
    let few = set(&setter, &none, &[]);
    assert_eq!(
        (few.len(), few.contains_key("a"), few.contains_key("b")),
        (2, true, true)
    );
    assert!(!setter.client_authenticator().unwrap().needs_tls());
}

#[tokio::test]
async fn values_come_from_the_client() {
    let yaml = "headers:
  - {key: X-Scope-OrgID, from_context: Tenant, default_value: nobody}
  - {key: X-User, from_attribute: username}
  - {key: X-User-Too, from_context: auth.username, default_value: none}";
    let setter = extension::<Config>(yaml).await;
    let headers = set(&setter, &tenant(&["acme"]), &[]);
    assert_eq!(headers["x-scope-orgid"], "acme");
    assert_eq!(
        (&headers["x-user"], &headers["x-user-too"]),
        (&"jo".parse().unwrap(), &"jo".parse().unwrap())
    );
    let headers = set(&setter, &Context::default(), &[]);
    assert_eq!(headers["x-scope-orgid"], "nobody");
    assert_eq!(
        (&headers["x-user"], &headers["x-user-too"]),
        (&"".parse().unwrap(), &"none".parse().unwrap())
    );
    // Nobody knows which one is meant, and the wrong one would mix up tenants.
    let client = setter.client_authenticator().unwrap();
    let fault = client.authorize(&tenant(&["a", "b"]), &mut HeaderMap::new());
    assert!(fault.unwrap_err().contains("several values"));
    let expected = ContextKeys::default().metadata("tenant").auth("username");
    assert_eq!(client.reads(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let yaml = format!(
        "{{headers: [{{key: X-Key, value_file: '{}'}}]}}",
        path.display()
    );
    let fault = extension_fault::<Config>(&yaml).await;
    assert!(fault.contains(&*path.to_string_lossy()), "{fault}");
    std::fs::write(&path, "one\n").unwrap();
    let setter = extension::<Config>(&yaml).await;
    assert_eq!(set(&setter, &Context::default(), &[])["x-key"], "one");
    std::fs::write(&path, "second\n").unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(set(&setter, &Context::default(), &[])["x-key"], "second");
}

#[tokio::test]
async fn credentials_are_not_for_the_disk() {
    let yaml = "headers:
  - {key: Authorization, from_context: authorization}
  - {key: X-Raw, from_attribute: raw}";
    let setter = extension::<Config>(yaml).await;
    let client = setter.client_authenticator().unwrap();
    assert_eq!(client.reads(), ContextKeys::default());
}

#[tokio::test]
async fn another_authenticator_comes_first() {
    let bearer = extension::<bearertokenauth::Config>("token: secret").await;
    let users = extension::<basicauth::Config>("htpasswd: {inline: 'a:b'}").await;
    let cx = BuildContext::detached("extension", "headers_setter".parse().unwrap());
    let built = |additional: &str| {
        let yaml = format!(
            "{{additional_auth: {additional}, headers: [{{action: update, key: Authorization, value: mine}}]}}"
        );
        read::<Config>(&yaml).build(&cx).ok().unwrap()
    };
    let all = Extensions::new([
        ("bearertokenauth".parse().unwrap(), bearer),
        ("basicauth".parse().unwrap(), users),
        ("headers_setter".parse().unwrap(), built("bearertokenauth")),
    ]);
    let setter = built("bearertokenauth");
    setter.join(&all).unwrap();
    // It was set before, else there would be nothing to update.
    assert_eq!(
        set(&setter, &Context::default(), &[])["authorization"],
        "mine"
    );
    assert!(setter.client_authenticator().unwrap().needs_tls());
    for (name, fault) in [
        ("absent", "there is no extension `absent`"),
        ("basicauth", "does not authenticate requests"),
        ("headers_setter", "stands on another extension"),
    ] {
        let error = built(name).join(&all).unwrap_err();
        assert_eq!(error.path, "additional_auth");
        assert!(
            error.message.contains(fault) && error.remedy.is_some(),
            "{error}"
        );
    }
}

#[test]
fn what_cannot_work_is_found_when_built() {
    let cx = BuildContext::detached("extension", "headers_setter".parse().unwrap());
    for (yaml, path) in [
        ("{}", "headers"),
        ("{headers: [{value: a}]}", "headers::0::key"),
        (
            "{headers: [{key: A, value: a}, {key: B}]}",
            "headers::1::key",
        ),
        ("{headers: [{key: 'a b', value: a}]}", "headers::0::key"),
        (
            "{headers: [{key: Content-Type, value: a}]}",
            "headers::0::key",
        ),
        (
            "{headers: [{key: A, value: a, from_context: b}]}",
            "headers::0::key",
        ),
        (
            "{headers: [{key: A, value: \"a\\nb\"}]}",
            "headers::0::value",
        ),
        (
            "{headers: [{key: A, from_context: b, default_value: \"a\\nb\"}]}",
            "headers::0::default_value",
        ),
    ] {
        let error = read::<Config>(yaml).build(&cx).err().unwrap();
        assert_eq!(error.path, path, "{yaml}: {error}");
        assert!(error.remedy.is_some(), "{yaml}");
    }
}
