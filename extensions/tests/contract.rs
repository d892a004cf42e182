//! Every extension keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_extensions::{
    ALL, admin, basicauth, bearertokenauth, file_storage, headers_setter, health_check,
    healthcheckv2, pprof, zpages,
};

#[test]
fn admin_keeps_to_it() {
    Contract::<admin::Config>::new("{}", &["endpoint: localhost:1"])
        .extension(|address| format!("endpoint: '{address}'"));
}

#[test]
fn basicauth_keeps_to_it() {
    let full = [
        "htpasswd: {inline: 'jo:secret', file: /etc/users}",
        "client_auth: {username: jo, password: secret, username_file: /a, password_file: /b}",
    ];
    Contract::<basicauth::Config>::new("htpasswd: {inline: 'jo:secret'}", &full).authenticator();
}

#[test]
fn bearertokenauth_keeps_to_it() {
    let full = [
        "{header: X-Key, scheme: Token, token: secret}",
        "{tokens: [one, two], filename: /etc/token}",
    ];
    Contract::<bearertokenauth::Config>::new("token: secret", &full).authenticator();
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
fn headers_setter_keeps_to_it() {
    let full = "
additional_auth: basicauth/client
headers:
  - {key: X-A, value: a}
  - {action: insert, key: X-B, from_context: tenant, default_value: b}
  - {action: update, key: X-C, from_attribute: username, default_value: c}
  - {action: upsert, key: X-D, value_file: /etc/d}
  - {action: delete, key: X-E}
";
    let minimal = "headers: [{key: X-A, value: a}]";
    Contract::<headers_setter::Config>::new(minimal, &[full]).authenticator();
}

#[test]
fn pprof_keeps_to_it() {
    let full = "{endpoint: 'localhost:1777', dialer: {timeout: 1s}, block_profile_fraction: 3, mutex_profile_fraction: 5, save_to_file: a}";
    Contract::<pprof::Config>::new("{}", &[full])
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
fn healthcheckv2_keeps_to_it() {
    let full = [
        "
endpoint: localhost:1
path: /health
response_body: {healthy: up, unhealthy: down}
check_collector_pipeline: {enabled: true, interval: 5m, exporter_failure_threshold: 5}
",
        "
use_v2: true
component_health: {include_permanent_errors: true, include_recoverable_errors: true, recovery_duration: 5m}
http: {endpoint: 'localhost:1', status: {enabled: true, path: /health}, config: {enabled: false, path: /config}}
",
    ];
    Contract::<healthcheckv2::Config>::new("{}", &full)
        .extension(|address| format!("{{use_v2: true, http: {{endpoint: '{address}'}}}}"));
}

#[test]
fn zpages_keeps_to_it() {
    let full = "{endpoint: 'localhost:1', expvar: {enabled: true}}";
    Contract::<zpages::Config>::new("{}", &[full])
        .extension(|address| format!("endpoint: '{address}'"));
}

#[test]
fn no_extension_is_forgotten() {
    for entry in ALL {
        let test = format!("fn {}_keeps_to_it()", entry.name);
        assert!(include_str!("contract.rs").contains(&test), "{test}");
    }
}
