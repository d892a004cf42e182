use serde::de::DeserializeOwned;
use tidegate_document::{read, yaml};

use super::*;
use std::time::Duration;

fn keys<T: DeserializeOwned + JsonSchema>(text: &str) -> T {
    read(&yaml::parse_str(text).unwrap()).unwrap()
}

fn grpc(text: &str) -> Result<Settings, BuildError> {
    let keys: GrpcServer = keys(text);
    let prepared = keys.prepare("protocols::grpc", "localhost:4317")?;
    Ok(prepared.settings)
}

fn http(text: &str) -> Result<Settings, BuildError> {
    let keys: HttpServer = keys(text);
    let prepared = keys.prepare("protocols::http", "localhost:4318")?;
    Ok(prepared.settings)
}

#[test]
fn without_keys_there_are_the_defaults() {
    let settings = grpc("{}").unwrap();
    assert_eq!(settings.address.to_string(), "localhost:4317");
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(settings.ping_interval, Some(Duration::from_secs(7200)));
    assert_eq!(keys::<GrpcServer>("{}").max_message(), 4 << 20);

    let settings = http("{}").unwrap();
    assert_eq!(settings.address.to_string(), "localhost:4318");
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(300)));
    assert!(settings.keep_alives);
    let keys: HttpServer = keys("{}");
    assert_eq!(keys.max_body(), 20 << 20);
    assert_eq!(keys.pace().total, None);
}

#[test]
fn every_key_of_the_original_is_known() {
    let settings = grpc(
        "{endpoint: '0.0.0.0:1', transport: tcp, dialer: {timeout: 1s}, max_recv_msg_size_mib: 16,
          max_concurrent_streams: 16, read_buffer_size: 1024, write_buffer_size: 1024,
          include_metadata: true, middlewares: [], keepalive: {
            server_parameters: {max_connection_idle: 11s, max_connection_age: 12s,
              max_connection_age_grace: 13s, time: 30s, timeout: 5s},
            enforcement_policy: {min_time: 10s, permit_without_stream: true}}}",
    )
    .unwrap();
    assert_eq!(settings.max_concurrent_streams, 16);
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(11)));
    assert_eq!(settings.max_age, Some(Duration::from_secs(12)));
    assert_eq!(settings.max_age_grace, Some(Duration::from_secs(13)));
    assert_eq!(settings.ping_interval, Some(Duration::from_secs(30)));
    assert_eq!(settings.ping_timeout, Duration::from_secs(5));

    let text = "{endpoint: '0.0.0.0:1', transport: tcp4, max_request_body_size: 100,
          include_metadata: true, response_headers: {X-One: two}, read_timeout: 1s,
          compression_algorithms: ['', gzip], read_header_timeout: 2s, write_timeout: 3s,
          idle_timeout: 4s, keep_alives_enabled: false, middlewares: [], cors: {
            allowed_origins: ['*'], allowed_headers: [X-Two], exposed_headers: [X-One], max_age: 7}}";
    let settings = http(text).unwrap();
    assert_eq!(settings.header_timeout, Some(Duration::from_secs(2)));
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(4)));
    assert!(!settings.keep_alives);
    let keys: HttpServer = keys(text);
    assert_eq!(keys.max_body(), 100);
    assert_eq!(keys.pace().total, Some(Duration::from_secs(1)));
    assert_eq!(keys.response_headers("").unwrap()["x-one"], "two");
    assert!(keys.cors("").unwrap().is_some());
}

#[test]
fn zero_sets_no_limit() {
    let settings = http("{idle_timeout: 0, read_header_timeout: 0s}").unwrap();
    assert_eq!(
        (settings.idle_timeout, settings.header_timeout),
        (None, None)
    );
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, path, message) in [
        (
            "{auth: {authenticator: oidc}}",
            "auth",
            "this component does not ask clients who they are",
        ),
        (
            "{middlewares: [{id: limit}]}",
            "middlewares",
            "middlewares are not built yet",
        ),
        (
            "{endpoint: localhost}",
            "endpoint",
            "\"localhost\" has no port",
        ),
        (
            "{tls: {}}",
            "tls::cert_file",
            "a server needs a certificate",
        ),
    ] {
        for (error, server) in [(grpc(text), "grpc"), (http(text), "http")] {
            let error = error.unwrap_err();
            assert_eq!(error.path, format!("protocols::{server}::{path}"));
            assert_eq!(error.message, message);
        }
    }
    for (error, port) in [
        (grpc("{endpoint: here}"), 4317),
        (http("{endpoint: here}"), 4318),
    ] {
        let remedy = error.unwrap_err().remedy;
        assert_eq!(remedy, Some(format!("write \"here:{port}\"")));
    }
    let keys: HttpServer = keys(
        "{compression_algorithms: [br], cors: {allowed_origins: [a], allowed_headers: ['a b']}}",
    );
    let error = keys.encodings("http").unwrap_err();
    assert_eq!(error.message, "\"br\" is no encoding that is known");
    assert_eq!(keys.cors("http").unwrap_err().path, "http::cors");
}
