//! Every extension keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_extensions::{ALL, admin, health_check};

#[test]
fn admin_keeps_to_it() {
    Contract::<admin::Config>::new("{}", &["endpoint: localhost:1"])
        .extension(|address| format!("endpoint: '{address}'"));
}

#[test]
fn health_check_keeps_to_it() {
    let full = "
endpoint: localhost:1
path: /health
response_body: {healthy: up, unhealthy: down}
check_collector_pipeline: {enabled: true, interval: 5m, exporter_failure_threshold: 5}
";
    Contract::<health_check::Config>::new("{}", &[full])
        .extension(|address| format!("endpoint: '{address}'"));
}

#[test]
fn no_extension_is_forgotten() {
    for entry in ALL {
        let test = format!("fn {}_keeps_to_it()", entry.name);
        assert!(include_str!("contract.rs").contains(&test), "{test}");
    }
}
