//! Every exporter keeps to the contract.

#[path = "support/peer.rs"]
mod peer;
#[path = "support/store.rs"]
mod store;

use peer::Peer;
use tidegate_component::testing::Contract;
use tidegate_exporters::{
    ALL, awss3, debug, file, googlecloudstorage, jaeger, nop, object_storage, otlp_grpc, otlp_http,
    prometheus, prometheus_remote_write,
};

/// Every key of a gRPC client.
const GRPC: &str = "
endpoint: localhost:1
compression: zstd
tls: {insecure: true}
keepalive: {time: 30s, timeout: 5s, permit_without_stream: true}
read_buffer_size: 1
write_buffer_size: 1
wait_for_ready: false
headers: {x-tenant: a}
user_agent: probe
balancer_name: pick_first
authority: gateway
middlewares: []
";

const TLS: &str = "
endpoint: https://localhost:1
auth:
tls:
  insecure: false
  insecure_skip_verify: true
  server_name_override: gateway
  ca_file: ''
  ca_pem: ''
  include_system_ca_certs_pool: true
  cert_file: ''
  cert_pem: ''
  key_file: ''
  key_pem: ''
  min_version: '1.2'
  max_version: '1.3'
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  include_insecure_cipher_suites: false
  curve_preferences: [X25519, P256]
  reload_interval: 1h
  tpm: {enabled: false}
";

const HTTP: &str = "
endpoint: http://localhost:1
traces_endpoint: http://localhost:1/t
metrics_endpoint: http://localhost:1/m
logs_endpoint: http://localhost:1/l
profiles_endpoint: http://localhost:1/p
encoding: json
proxy_url: http://localhost:1
tls: {insecure: true}
read_buffer_size: 1
write_buffer_size: 1
headers: [{name: x-tenant, value: a}]
auth:
compression: gzip
compression_params: {level: 9}
max_idle_conns: 1
max_idle_conns_per_host: 1
max_conns_per_host: 1
idle_conn_timeout: 1s
disable_keep_alives: true
http2_read_idle_timeout: 1s
http2_ping_timeout: 1s
cookies: {enabled: true}
force_attempt_http2: false
middlewares: []
";

#[test]
fn otlp_grpc_keeps_to_it() {
    let contract = Contract::<otlp_grpc::Config>::new("endpoint: localhost:4317", &[GRPC, TLS]);
    contract.exporter(GRPC);
    let peer = Peer::grpc();
    let text = format!("{{endpoint: '{}', tls: {{insecure: true}}}}", peer.address);
    contract.exporter_delivering(&text, || peer.taken());
}

#[test]
fn otlp_http_keeps_to_it() {
    let contract = Contract::<otlp_http::Config>::new("endpoint: http://localhost:4318", &[HTTP]);
    contract.exporter(HTTP);
    let peer = Peer::http();
    let text = format!("{{endpoint: 'http://{}', compression: none}}", peer.address);
    contract.exporter_delivering(&text, || peer.taken());
}

#[test]
fn jaeger_keeps_to_it() {
    let contract = Contract::<jaeger::Config>::new("{}", &[GRPC, TLS]);
    contract.exporter(GRPC);
    let peer = Peer::grpc();
    let text = format!("{{endpoint: '{}', tls: {{insecure: true}}}}", peer.address);
    contract.exporter_delivering(&text, || peer.taken());
}

#[test]
fn nop_keeps_to_it() {
    Contract::<nop::Config>::new("{}", &[]).exporter("{}");
}

#[test]
fn debug_keeps_to_it() {
    let full = [
        "{verbosity: detailed, sampling_initial: 5, sampling_thereafter: 100, use_internal_logger: true, sending_queue: {}}",
        "{use_internal_logger: false, output_paths: [stderr]}",
    ];
    let contract = Contract::<debug::Config>::new("{}", &full);
    for verbosity in ["basic", "normal", "detailed"] {
        contract.exporter(&format!("verbosity: {verbosity}"));
    }
}

/// Every key of `prometheus`.
const PROMETHEUS: &str = "
endpoint: 127.0.0.1:0
transport: tcp
dialer: {timeout: 1s}
cors: {allowed_origins: [http://a.example], allowed_headers: [x-a], exposed_headers: [x-b], max_age: 5}
auth:
max_request_body_size: 1
include_metadata: false
response_headers: {x-a: b}
compression_algorithms: [gzip]
read_timeout: 1s
read_header_timeout: 1s
write_timeout: 1s
idle_timeout: 1s
middlewares: []
keep_alives_enabled: false
namespace: shop
const_labels: {region: eu}
send_timestamps: true
metric_expiration: 10m
resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}
enable_open_metrics: true
without_scope_info: true
add_metric_suffixes: false
translation_strategy: NoTranslation
max_series: 100
sending_queue: {}
";

#[test]
fn prometheus_keeps_to_it() {
    let minimal = "endpoint: 127.0.0.1:0";
    let tls = "{endpoint: 'localhost:0', tls: {cert_file: a, key_file: b}}";
    let full = [PROMETHEUS, tls];
    let contract = Contract::<prometheus::Config>::new(minimal, &full);
    contract.exporter(minimal);
    contract.exporter(PROMETHEUS);
}

/// Every key of `prometheus_remote_write` but for those of an HTTP client.
const REMOTE_WRITE: &str = "
endpoint: http://localhost:1/api/v1/write
http:
namespace: shop
external_labels: {region: eu}
remote_write_queue: {enabled: true, queue_size: 10, num_consumers: 2}
max_batch_request_parallelism: 3
max_batch_size_bytes: 1000
resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}
target_info: {enabled: false}
disable_scope_info: true
add_metric_suffixes: false
translation_strategy: NoUTF8EscapingWithSuffixes
send_metadata: true
protobuf_message: io.prometheus.write.v2.Request
wal: {directory: a, buffer_size: 100, truncate_frequency: 45s, lag_record_frequency: 15s}
proxy_url: http://localhost:1
tls: {insecure: true}
read_buffer_size: 1
write_buffer_size: 1
headers: {x-tenant: a}
auth:
compression: snappy
compression_params: {level: 0}
max_idle_conns: 1
max_idle_conns_per_host: 1
max_conns_per_host: 1
idle_conn_timeout: 1s
disable_keep_alives: true
http2_read_idle_timeout: 1s
http2_ping_timeout: 1s
cookies: {enabled: true}
force_attempt_http2: false
middlewares: []
";

#[test]
fn prometheus_remote_write_keeps_to_it() {
    let minimal = "endpoint: http://localhost:1/api/v1/write";
    let full = [REMOTE_WRITE];
    let contract = Contract::<prometheus_remote_write::Config>::new(minimal, &full);
    contract.exporter(minimal);
    let second =
        "{endpoint: 'http://localhost:1', protobuf_message: io.prometheus.write.v2.Request}";
    contract.exporter(second);
}

const LAKE: &str = "
format: parquet
compression: zstd
compression_level: 3
partition_by: [date, hour, minute, service]
partition_time: arrival
roll: {max_size: 1MiB, max_rows: 10, max_age: 1s}
row_group_rows: 5
ids: binary
columns: {http.request.method: string, order.id: int64, app.cart.total: double, app.cache.hit: bool}
max_buffer: 1GiB
max_open: 5
s3: {region: eu-west-1, endpoint: 'http://localhost:1', force_path_style: true, access_key_id: a, secret_access_key: b, session_token: c, storage_class: STANDARD_IA}
gcs: {service_account_path: '', endpoint: 'http://localhost:1', anonymous: true}
azure: {account: a, access_key: b, endpoint: 'http://localhost:1/a'}
";

#[test]
fn object_storage_keeps_to_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = |keys: &str| format!("{keys}\nurl: {}", directory.path().display());
    let full = url(LAKE);
    let minimal = url("");
    let full = [full.as_str()];
    let contract = Contract::<object_storage::Config>::new(&minimal, &full);
    for keys in [
        "",
        LAKE,
        "partition_by: []",
        "format: otlp_json\ncompression: gzip",
        "format: otlp_proto\npartition_by: [service]",
    ] {
        contract.exporter(&url(keys));
    }
}

#[test]
fn awss3_keeps_to_it() {
    let full = "
s3uploader:
  region: eu-west-1
  s3_bucket: bucket
  s3_prefix: a
  s3_base_prefix: b
  s3_partition_format: '%Y/%m'
  s3_partition_timezone: Europe/Berlin
  file_prefix: c
  endpoint: http://localhost:1
  role_arn: ''
  external_id: ''
  s3_force_path_style: true
  disable_ssl: true
  acl: private
  storage_class: STANDARD_IA
  compression: gzip
  retry_mode: nop
  retry_max_attempts: 5
  retry_max_backoff: 1s
  unique_key_func_name: uuidv7
marshaler: otlp_proto
encoding:
encoding_file_extension: ''
resource_attrs_to_s3: {s3_bucket: '', s3_prefix: com.awss3.prefix}
";
    Contract::<awss3::Config>::new("s3uploader: {s3_bucket: bucket}", &[full])
        .exporter_without_end();
}

#[test]
fn googlecloudstorage_keeps_to_it() {
    let store = store::Store::start();
    let reached = format!("gcs: {{endpoint: '{}', anonymous: true}}", store.url());
    let minimal = format!("bucket: {{name: b, reuse_if_exists: true}}\n{reached}");
    let full = format!(
        "
bucket:
  project_id: p
  name: b
  file_prefix: c/
  partition: {{format: 'year=%Y', prefix: archive}}
  reuse_if_exists: true
  region: europe-west1
  compression: zstd
encoding:
{reached}
"
    );
    Contract::<googlecloudstorage::Config>::new(&minimal, &[&full]).exporter(&full);
}

#[test]
fn file_keeps_to_it() {
    // Takes everything that is opened, and has no room for a byte.
    let full = [
        "{path: a, append: true, format: proto, flush_interval: 2s}",
        "{path: a, create_directory: true, directory_permissions: '0700', compression: zstd}",
        "{path: a, rotation: {max_megabytes: 1, max_days: 1, max_backups: 1, localtime: true}}",
        "{path: a/*, group_by: {enabled: true, resource_attribute: b, max_open_files: 2}}",
        "{path: a, encoding: }",
    ];
    Contract::<file::Config>::new("path: a", &full).exporter("path: /dev/full");
}

#[test]
fn no_exporter_is_forgotten() {
    for entry in ALL {
        let test = format!("fn {}_keeps_to_it()", entry.name);
        assert!(include_str!("contract.rs").contains(&test), "{test}");
    }
}
