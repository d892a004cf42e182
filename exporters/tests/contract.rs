//! Every exporter keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_exporters::{debug, jaeger, nop, otlp_grpc, otlp_http};

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
    Contract::<otlp_grpc::Config>::new("endpoint: localhost:4317", &[GRPC, TLS]).exporter(GRPC);
}

#[test]
fn otlp_http_keeps_to_it() {
    Contract::<otlp_http::Config>::new("endpoint: http://localhost:4318", &[HTTP]).exporter(HTTP);
}

#[test]
fn jaeger_keeps_to_it() {
    Contract::<jaeger::Config>::new("{}", &[GRPC, TLS]).exporter(GRPC);
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
