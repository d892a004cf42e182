//! What may be configured.

use tidegate_component::ComponentConfig;

use super::*;

fn build(text: &str) -> Result<(), (String, String)> {
    let cx = BuildContext::detached("receiver", "otlp".parse().unwrap());
    match config(text).build(&cx) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.path, error.message)),
    }
}

#[test]
fn a_protocol_is_served_where_it_is_named() {
    let listens = |text: &str| config(text).listens();
    let grpc = (
        "protocols::grpc::endpoint".to_owned(),
        "localhost:4317".to_owned(),
    );
    let http = (
        "protocols::http::endpoint".to_owned(),
        "localhost:4318".to_owned(),
    );
    assert_eq!(
        listens("{protocols: {grpc: , http: }}"),
        [grpc.clone(), http]
    );
    assert_eq!(listens("{protocols: {grpc: {}}}"), [grpc]);
    assert_eq!(
        listens("{protocols: {http: {endpoint: '0.0.0.0:80'}}}"),
        [(
            "protocols::http::endpoint".to_owned(),
            "0.0.0.0:80".to_owned()
        )]
    );
}

#[test]
fn a_receiver_without_a_protocol_is_an_error() {
    for text in ["{}", "{protocols: }", "{protocols: {}}"] {
        let error = build(text).unwrap_err();
        assert_eq!(
            error,
            ("protocols".to_owned(), "no protocol is named".to_owned())
        );
    }
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, path, message) in [
        (
            "{protocols: {grpc: {auth: {authenticator: oidc}}}}",
            "protocols::grpc::auth::authenticator",
            "there is no extension `oidc` in the service",
        ),
        (
            "{protocols: {http: {endpoint: localhost}}}",
            "protocols::http::endpoint",
            "\"localhost\" has no port",
        ),
        (
            "{protocols: {http: {compression_algorithms: [br]}}}",
            "protocols::http::compression_algorithms",
            "\"br\" is no encoding that is known",
        ),
        (
            "{protocols: {http: {traces_url_path: /a, logs_url_path: a}}}",
            "protocols::http::logs_url_path",
            "\"/a\" is the path of another signal already",
        ),
    ] {
        let error = build(text).unwrap_err();
        assert_eq!(error, (path.to_owned(), message.to_owned()));
    }
}

#[test]
fn an_unknown_key_is_found_among_the_layers() {
    for text in [
        "{protocols: {http: {traces_url: /a}}}",
        "{protocols: {grpc: {traces_url_path: /a}}}",
        "{protocols: {thrift: }}",
    ] {
        let found = read::<Config>(&yaml::parse_str(text).unwrap()).unwrap_err();
        assert!(found.has_errors(), "{text}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_told_and_nothing_stays_open() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!(
        "{{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}, http: {{endpoint: '{address}'}}}}}}"
    );
    let cx = BuildContext::detached("receiver", "otlp".parse().unwrap());
    let mut otlp = config(&text).receiver(&cx).unwrap();
    let cx = ReceiverContext {
        id: cx.id.clone(),
        workers: Workers::new(Arc::new(Tasks)),
        budget: Budget::new(0),
        intakes: [None, None, None],
    };
    let error = otlp.start(cx).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    assert!(otlp.running.is_empty());
}
