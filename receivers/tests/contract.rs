//! Every receiver keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_receivers::{ALL, otlp};

#[test]
fn otlp_keeps_to_it() {
    let contract = Contract::<otlp::Config>::new("protocols: {grpc: }", &["protocols: {http: }"]);
    let both = "protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}";
    for protocol in ["grpc", "http"] {
        contract.receiver(both, |address| {
            format!("protocols: {{{protocol}: {{endpoint: '{address}'}}}}")
        });
    }
}

#[test]
fn no_receiver_is_forgotten() {
    for entry in ALL {
        let test = format!("fn {}_keeps_to_it()", entry.name);
        assert!(include_str!("contract.rs").contains(&test), "{test}");
    }
}
