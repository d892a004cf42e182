//! Keys that are wrong are told with their places; those that are right act.

use std::time::Duration;

use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_document::{Diagnostics, examine, yaml};

use super::*;
use crate::prometheus::exposition::Format;
use crate::prometheus::job::Job;

/// The configuration in a text; or everything that is wrong with it.
fn read(text: &str) -> Result<Config, String> {
    let node = yaml::parse_str(text).map_err(|found| found.to_string())?;
    let mut found = Diagnostics::default();
    match examine(&node, &mut found) {
        Some(config) if !found.has_errors() => Ok(config),
        _ => Err(found.to_string()),
    }
}

/// The jobs of a configuration.
pub(crate) fn jobs_of(text: &str) -> Result<Vec<Job>, String> {
    let config = read(text)?;
    config
        .check_unbuilt()
        .and_then(|()| config.jobs())
        .map_err(|fault| {
            let remedy = fault.remedy.unwrap_or_default();
            format!("{}: {}; {remedy}", fault.path, fault.message)
        })
}

fn jobs(list: &str) -> Result<Vec<Job>, String> {
    jobs_of(&format!("config: {{scrape_configs: [{list}]}}"))
}

#[test]
fn defaults_are_those_of_prometheus() {
    let job = jobs("{job_name: a, static_configs: [{targets: ['h:1']}]}")
        .unwrap()
        .remove(0);
    assert_eq!(job.interval, Duration::from_secs(60));
    assert_eq!(job.timeout, Duration::from_secs(10));
    assert_eq!((&*job.metrics_path, job.scheme), ("/metrics", "http"));
    assert!(job.honor_timestamps && job.compression);
    assert!(!job.honor_labels && !job.track_timestamps && !job.native && !job.extra);
    assert_eq!(job.fallback, Format::Text);
    assert_eq!(
        job.accept,
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
    );
    assert_eq!(job.limits.samples, usize::MAX);
    assert_eq!(job.limits.body, 256 << 20);
}

#[test]
fn jobs_take_from_global_what_they_do_not_say() {
    let jobs = jobs_of(
        "config: {global: {scrape_interval: 30s, scrape_timeout: 20s, sample_limit: 5, body_size_limit: 2MB, scrape_native_histograms: true, external_labels: {region: eu}}, \
         scrape_configs: [{job_name: a}, {job_name: b, scrape_interval: 15s, sample_limit: 7, scrape_native_histograms: false}]}",
    )
    .unwrap();
    assert_eq!(jobs[0].interval, Duration::from_secs(30));
    assert_eq!(jobs[0].timeout, Duration::from_secs(20));
    assert_eq!(jobs[1].timeout, Duration::from_secs(15));
    assert_eq!((jobs[0].limits.samples, jobs[1].limits.samples), (5, 7));
    assert_eq!(jobs[0].limits.body, 2 << 20);
    assert!(jobs[0].native && !jobs[1].native);
    assert!(jobs[0].accept.starts_with("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.6,"));
    assert_eq!(jobs[1].external, [("region".to_owned(), "eu".to_owned())]);
}

#[test]
fn the_rules_of_prometheus_are_told_with_their_places() {
    for (list, fault) in [
        (
            "{job_name: a}, {job_name: a}",
            "config::scrape_configs::1::job_name: job 1 has the name \"a\" already",
        ),
        (
            "{job_name: a, scrape_interval: 5s, scrape_timeout: 6s}",
            "config::scrape_configs::0::scrape_timeout: the timeout 6s is longer than the interval 5s",
        ),
        (
            "{job_name: a, scrape_protocols: []}",
            "config::scrape_configs::0::scrape_protocols: the list is empty",
        ),
        (
            "{job_name: a, scrape_protocols: [PrometheusProto, PrometheusProto]}",
            "config::scrape_configs::0::scrape_protocols::1: the format is listed twice",
        ),
        (
            "{job_name: a, static_configs: [{targets: ['http://h:1/metrics']}]}",
            "config::scrape_configs::0::static_configs::0::targets::0: \"http://h:1/metrics\" is no address",
        ),
        (
            "{job_name: a, relabel_configs: [{regex: 'a(b', action: keep}]}",
            "config::scrape_configs::0::relabel_configs::0::regex: the regular expression is wrong at character 2: unclosed group",
        ),
        (
            "{job_name: a, relabel_configs: [{action: hashmod, target_label: x}]}",
            "config::scrape_configs::0::relabel_configs::0: `hashmod` needs a modulus",
        ),
        (
            "{job_name: a, metric_relabel_configs: [{source_labels: [x]}]}",
            "config::scrape_configs::0::metric_relabel_configs::0: `replace` needs a target label",
        ),
        (
            "{job_name: a, metric_relabel_configs: [{action: labeldrop, regex: x, source_labels: [y]}]}",
            "config::scrape_configs::0::metric_relabel_configs::0::source_labels: `labeldrop` makes no use",
        ),
        (
            "{job_name: a, metric_relabel_configs: [{action: keepequal, target_label: x, regex: y}]}",
            "config::scrape_configs::0::metric_relabel_configs::0::regex: `keepequal` makes no use",
        ),
        (
            "{job_name: a, metric_name_validation_scheme: legacy, relabel_configs: [{target_label: 'a-b'}]}",
            "config::scrape_configs::0::relabel_configs::0::target_label: this is no label name",
        ),
        (
            "{job_name: a, metric_name_validation_scheme: legacy, metric_name_escaping_scheme: allow-utf-8}",
            "config::scrape_configs::0::metric_name_escaping_scheme: names of UTF-8",
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: pod, kubeconfig_file: k, api_server: 'https://k'}]}",
            "config::scrape_configs::0::kubernetes_sd_configs::0::kubeconfig_file: `api_server` is given too",
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: pod, bearer_token: t}]}",
            "config::scrape_configs::0::kubernetes_sd_configs::0::api_server: keys of an HTTP client",
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: pod, kubeconfig_file: k, bearer_token: t}]}",
            "config::scrape_configs::0::kubernetes_sd_configs::0::kubeconfig_file: the file says how",
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: pod, api_server: 'k:6443'}]}",
            "config::scrape_configs::0::kubernetes_sd_configs::0::api_server: this is no URL",
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: pod, kubeconfig_file: k, namespaces: {own_namespace: true}}]}",
            "config::scrape_configs::0::kubernetes_sd_configs::0::namespaces::own_namespace: the own",
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: service, selectors: [{role: pod, label: a=b}]}]}",
            "config::scrape_configs::0::kubernetes_sd_configs::0::selectors::0::role: targets that are made of services do not depend on pods",
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: a=b}, {role: pod, field: c=d}]}]}",
            "config::scrape_configs::0::kubernetes_sd_configs::0::selectors::1: there is a selector of pods already",
        ),
        (
            "{job_name: a, dns_sd_configs: [{names: []}]}",
            "config::scrape_configs::0::dns_sd_configs::0::names: no name is given",
        ),
        (
            "{job_name: a, dns_sd_configs: [{names: [a], type: a}]}",
            "config::scrape_configs::0::dns_sd_configs::0::port: records of this kind have no port",
        ),
        (
            "{job_name: a, consul_sd_configs: [{server: ' '}]}",
            "config::scrape_configs::0::consul_sd_configs::0::server: no server is named",
        ),
        (
            "{job_name: a, consul_sd_configs: [{server: 'unix:///run/consul'}]}",
            "config::scrape_configs::0::consul_sd_configs::0::scheme: the scheme \"unix\"",
        ),
        (
            "{job_name: a, consul_sd_configs: [{token: x, authorization: {credentials: y}}]}",
            "config::scrape_configs::0::consul_sd_configs::0::token: a request has one login",
        ),
        (
            "{job_name: a, consul_sd_configs: [{username: x, basic_auth: {username: y}}]}",
            "config::scrape_configs::0::consul_sd_configs::0::username: `basic_auth` is given too",
        ),
        (
            "{job_name: a, ec2_sd_configs: []}",
            "config::scrape_configs::0::ec2_sd_configs: finding targets in EC2 is not built",
        ),
        (
            "{job_name: a, oauth2: {client_id: x}}",
            "config::scrape_configs::0::oauth2::token_url: \"\" is no URL",
        ),
        (
            "{job_name: a, oauth2: {token_url: 'http://h/t'}}",
            "config::scrape_configs::0::oauth2::client_id: it does not say who asks",
        ),
        (
            "{job_name: a, oauth2: {client_id: x, client_secret: y, client_secret_file: z, token_url: 'http://h/t'}}",
            "config::scrape_configs::0::oauth2::client_secret: the file of it is given too",
        ),
        (
            "{job_name: a, oauth2: {client_id: x, token_url: 'http://h/t', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'}}",
            "config::scrape_configs::0::oauth2::grant_type: tokens that the client signs are not built",
        ),
        (
            "{job_name: a, oauth2: {client_id: x, token_url: 'http://h/t'}, bearer_token: y}",
            "config::scrape_configs::0::bearer_token: `oauth2` is given too",
        ),
        (
            "{job_name: a, basic_auth: {username: x}, bearer_token: y}",
            "config::scrape_configs::0::bearer_token: `basic_auth` is given too",
        ),
        (
            "{job_name: a, basic_auth: {password: x, password_file: y}}",
            "config::scrape_configs::0::basic_auth::password: the file of it is given too",
        ),
        (
            "{job_name: a, authorization: {type: basic}}",
            "config::scrape_configs::0::authorization::type: the scheme Basic has keys of its own",
        ),
        (
            "{job_name: a, http_headers: {Accept: {values: [x]}}}",
            "config::scrape_configs::0::http_headers::Accept: the receiver sets this header itself",
        ),
        (
            "{job_name: a, tls_config: {cert_file: x}}",
            "config::scrape_configs::0::tls_config::",
        ),
        (
            "{job_name: a, proxy_url: nowhere}",
            "config::scrape_configs::0::proxy_url: ",
        ),
        (
            "{job_name: a, file_sd_configs: [{files: [targets.txt]}]}",
            "config::scrape_configs::0::file_sd_configs::0::files::0: the file's name must end",
        ),
        (
            "{job_name: a, file_sd_configs: [{files: [t.json], refresh_interval: 0s}]}",
            "config::scrape_configs::0::file_sd_configs::0::refresh_interval: ",
        ),
        (
            "{job_name: a, http_sd_configs: [{url: 'inventory/targets'}]}",
            "config::scrape_configs::0::http_sd_configs::0::url: ",
        ),
        (
            "{job_name: a, scrape_failure_log_file: x}",
            "config::scrape_configs::0::scrape_failure_log_file: ",
        ),
    ] {
        let found = jobs(list).err().unwrap_or_else(|| panic!("{list} passes"));
        assert!(found.starts_with(fault), "{list}\n{found}\n{fault}");
        let (_, remedy) = found.rsplit_once("; ").unwrap();
        assert!(!remedy.is_empty() || found.contains("file_sd"), "{found}");
    }
    for (text, fault) in [
        ("config: {}", "config: there is nothing to scrape"),
        (
            "config: {rule_files: [x]}",
            "config::rule_files: `rule_files` is for Prometheus",
        ),
        (
            "config: {remote_write: [{url: x}]}",
            "config::remote_write: ",
        ),
        (
            "config: {scrape_config_files: [x]}",
            "config::scrape_config_files: ",
        ),
        ("{target_allocator: {endpoint: x}}", "target_allocator: "),
        ("{api_server: {enabled: true}}", "api_server::enabled: "),
    ] {
        let found = jobs_of(text)
            .err()
            .unwrap_or_else(|| panic!("{text} passes"));
        assert!(found.starts_with(fault), "{text}\n{found}\n{fault}");
    }
}

#[test]
fn unknown_keys_and_values_are_told() {
    for (list, faults) in [
        (
            "{job_name: a, scrape_intervall: 5s}",
            &["unknown key `scrape_intervall`", "scrape_interval"][..],
        ),
        (
            "{job_name: a, scrape_interval: 5 s}",
            &["this is not a duration"],
        ),
        (
            "{job_name: a, scrape_interval: 1s1m}",
            &["this is not a duration"],
        ),
        ("{scrape_interval: 5s}", &["job_name"]),
        ("{job_name: ''}", &["the text is empty"]),
        (
            "{job_name: a, scheme: ftp}",
            &["`ftp` is none of the values"],
        ),
        (
            "{job_name: a, relabel_configs: [{action: kep}]}",
            &["`kep`", "keep"],
        ),
        (
            "{job_name: a, body_size_limit: 1.5MB}",
            &["this is not a size"],
        ),
        (
            "{job_name: a, static_configs: [{target: ['h:1']}]}",
            &["unknown key `target`", "targets"],
        ),
        (
            "{job_name: a, kubernetes_sd_configs: [{role: pods}]}",
            &["`pods` is none of the values"],
        ),
        ("{job_name: a, kubernetes_sd_configs: [{}]}", &["role"]),
        (
            "{job_name: a, dns_sd_configs: [{names: [a], type: TXT}]}",
            &["`TXT`"],
        ),
    ] {
        let found = jobs(list).err().unwrap_or_else(|| panic!("{list} passes"));
        for fault in faults {
            assert!(found.contains(fault), "{list}\n{found}\n{fault}");
        }
    }
}

#[test]
fn words_may_be_numbers_and_actions_of_any_case() {
    let job = jobs("{job_name: 7, params: {a: 1, b: [x, true]}, relabel_configs: [{action: Keep, source_labels: [a], regex: 8080}], static_configs: [{targets: ['h:1'], labels: {a: 8080, b: true}}]}")
        .unwrap()
        .remove(0);
    assert_eq!(job.name, "7");
    assert_eq!(
        job.params,
        [
            ("a".to_owned(), vec!["1".to_owned()]),
            ("b".to_owned(), vec!["x".to_owned(), "true".to_owned()])
        ]
    );
}

#[test]
fn the_receiver_is_built_of_what_the_charts_write() {
    let text = "config: {scrape_configs: [{job_name: opentelemetry-collector, scrape_interval: 10s, static_configs: [{targets: ['10.0.0.1:8888']}]}]}";
    let context = BuildContext::detached("receiver", "prometheus".parse().unwrap());
    assert!(read(text).unwrap().build(&context).is_ok());
}
