use bytes::Bytes;
use http::Method;

use super::*;
use crate::compare::control::call;
use crate::signal::Signal;

async fn start(faults: Faults) -> SocketAddr {
    let sink = Sink::bind(&Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        faults,
        frame_size: 16_384,
        tls_certificate: None,
        tls_key: None,
        until_stdin_closes: false,
    })
    .await
    .unwrap();
    let address = sink.address().unwrap();
    tokio::spawn(sink.serve());
    address
}

async fn counts(sink: SocketAddr) -> Counts {
    let json = call(Method::GET, sink, "/count", Bytes::new()).await;
    serde_json::from_slice(&json.unwrap()).unwrap()
}

#[tokio::test]
async fn an_unreadable_request_is_refused_and_counted_apart() {
    let sink = start(Faults::default()).await;
    let body = Bytes::from_static(&[0x0a, 0xff]);
    assert!(call(Method::POST, sink, "/v1/traces", body).await.is_err());
    let counts = counts(sink).await;
    assert_eq!((counts.malformed, counts.requests), (1, 0));
}

#[tokio::test]
async fn a_reset_forgets_and_an_unknown_path_is_not_found() {
    let sink = start(Faults::default()).await;
    call(Method::POST, sink, "/v1/logs", Bytes::new())
        .await
        .unwrap();
    assert_eq!(counts(sink).await.requests, 1);
    call(Method::POST, sink, "/reset", Bytes::new())
        .await
        .unwrap();
    assert_eq!(counts(sink).await, Counts::default());
    let lost = call(Method::GET, sink, "/elsewhere", Bytes::new()).await;
    assert!(lost.unwrap_err().to_string().contains("404"));
}

#[tokio::test]
async fn faults_change_while_it_runs() {
    let sink = start(Faults::default()).await;
    let faults = Bytes::from_static(br#"{"fail_rate": 1.0, "fail_status": "invalid"}"#);
    call(Method::POST, sink, "/faults", faults).await.unwrap();
    let refused = call(Method::POST, sink, "/v1/logs", Bytes::new()).await;
    assert!(refused.unwrap_err().to_string().contains("400"));
    let counts = counts(sink).await;
    assert_eq!((counts.failed, counts.of(Signal::Logs).items), (1, 0));
}
