//! Every extension keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_extensions::{ALL, admin, file_storage, health_check};

#[test]
fn admin_keeps_to_it() {
    Contract::<admin::Config>::new("{}", &["endpoint: localhost:1"])
        .extension(|address| format!("endpoint: '{address}'"));
}

#[test]
fn file_storage_keeps_to_it() {
    let full = [
        "
directory: /var/lib/tidegate
create_directory: true
directory_permissions: '0750'
timeout: 5s
fsync: always
group_commit: 200us
max_size: 10GiB
max_age: 72h
segment_size: 16MiB
",
        "
fsync: false
fsync_interval: 500ms
compaction: {on_start: true, on_rebound: true, directory: /tmp, check_interval: 5s, max_transaction_size: 65536}
recreate: true
",
    ];
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &std::path::Path| format!("directory: {}", path.display());
    Contract::<file_storage::Config>::new("{}", &full).storage(at, directory.path());
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
