use std::net::SocketAddr;

use super::*;
use crate::compare::control;
use crate::signal::Signal;
use crate::sink::{self, Failure, Faults, Sink};

async fn sink(faults: Faults) -> SocketAddr {
    let sink = Sink::bind(&sink::Settings {
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

fn settings(endpoint: SocketAddr, signal: Signal, way: Way) -> Settings {
    Settings {
        endpoint: endpoint.to_string(),
        shape: Shape {
            signal,
            ..Shape::default()
        },
        way,
        items: 5_000,
        seconds: None,
        tls_ca: None,
        seed: 1,
    }
}

#[tokio::test]
async fn every_accepted_item_is_counted_by_the_sink_by_every_way() {
    let sink = sink(Faults::default()).await;
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            for signal in Signal::ALL {
                let before = control::counts(sink).await.unwrap().of(signal);
                let way = Way {
                    protocol,
                    compression,
                    ..Way::default()
                };
                let report = run(&settings(sink, signal, way)).await.unwrap();
                let after = control::counts(sink).await.unwrap().of(signal);
                let case = format!("{protocol:?} {compression:?} {signal:?}");
                assert_eq!(report.accepted.items, 5_000, "{case}");
                assert_eq!(after.items - before.items, 5_000, "{case}");
                assert_eq!(
                    after.fingerprint.wrapping_sub(before.fingerprint),
                    report.accepted.fingerprint,
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test]
async fn refused_requests_are_sent_again_until_they_are_taken() {
    let sink = sink(Faults {
        fail_rate: 0.5,
        fail_status: Failure::Unavailable,
        ..Faults::default()
    })
    .await;
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let way = Way {
            protocol,
            ..Way::default()
        };
        let report = run(&settings(sink, Signal::Traces, way)).await.unwrap();
        assert_eq!(report.accepted.items, 5_000);
        assert_eq!(report.given_up.items, 0);
        assert!(report.refused_requests >= 25, "{}", report.refused_requests);
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up_with_its_reason() {
    let sink = sink(Faults {
        fail_rate: 1.0,
        fail_status: Failure::Invalid,
        ..Faults::default()
    })
    .await;
    let report = run(&settings(sink, Signal::Logs, Way::default()))
        .await
        .unwrap();
    assert_eq!((report.accepted.items, report.given_up.items), (0, 5_000));
    assert!(
        report
            .reasons
            .keys()
            .any(|why| why.contains("grpc-status 3"))
    );
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_on_is_an_error_at_once() {
    let [address] = crate::compare::free_addresses().unwrap();
    let result = run(&settings(address, Signal::Logs, Way::default())).await;
    assert!(result.unwrap_err().to_string().contains("cannot connect"));
}

#[tokio::test]
async fn requests_at_a_rate_are_due_one_spacing_apart() {
    let [address] = crate::compare::free_addresses().unwrap();
    let way = Way {
        rate: Some(25_000.0),
        ..Way::default()
    };
    let work = Work::prepare(&settings(address, Signal::Logs, way)).unwrap();
    let start = Instant::now();
    assert_eq!(work.due(start, 3), Some(start + Duration::from_millis(12)));
    let unpaced = Work::prepare(&settings(address, Signal::Logs, Way::default())).unwrap();
    assert_eq!(unpaced.due(start, 3), None);
}

#[tokio::test]
async fn a_sink_with_a_certificate_takes_both_tls_and_plain_connections() {
    // Some other test may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let files = crate::tls::Certificate::make(folder.path()).unwrap();
    let sink = Sink::bind(&sink::Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        faults: Faults::default(),
        frame_size: 16_384,
        tls_certificate: Some(files.certificate.clone()),
        tls_key: Some(files.key),
        until_stdin_closes: false,
    })
    .await
    .unwrap();
    let address = sink.address().unwrap();
    tokio::spawn(sink.serve());
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for tls_ca in [Some(files.certificate.clone()), None] {
            let way = Way {
                protocol,
                ..Way::default()
            };
            let mut settings = settings(address, Signal::Traces, way);
            settings.tls_ca = tls_ca;
            let report = run(&settings).await.unwrap();
            assert_eq!(report.accepted.items, 5_000);
        }
    }
    let counts = control::counts(address).await.unwrap();
    assert_eq!(counts.of(Signal::Traces).items, 20_000);
}
