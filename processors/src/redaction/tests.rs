use tidegate_component::testing::{ProcessorBench, read, realistic};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::Signal;

use super::Config;

fn fault(yaml: &str) -> String {
    let cx = BuildContext::detached("processor", "r".parse().unwrap());
    let error = read::<Config>(yaml).build(&cx).err().unwrap();
    assert!(
        error.remedy.is_some() || error.path == "blocked_values",
        "{yaml}"
    );
    error.path
}

#[test]
fn what_cannot_be_done_is_refused_when_built() {
    assert_eq!(fault("blocked_values: ['(']"), "blocked_values");
    assert_eq!(fault("blocked_key_patterns: ['(']"), "blocked_key_patterns");
    assert_eq!(fault("hash_function: sha256"), "hash_function");
    assert_eq!(fault("hash_function: hmac-sha256"), "hmac_key");
    assert_eq!(
        fault("{hash_function: hmac-sha512, hmac_key: short}"),
        "hmac_key"
    );
    assert_eq!(
        fault("url_sanitizer: {enabled: true}"),
        "url_sanitizer::enabled"
    );
    assert_eq!(
        fault("db_sanitizer: {sql: {enabled: true, attributes: [db.statement]}}"),
        "db_sanitizer::sql::enabled"
    );
}

#[test]
fn without_keys_nothing_stays_but_records() {
    for signal in Signal::ALL {
        let mut bench = ProcessorBench::new::<Config>("{}", signal);
        bench.send(realistic(signal, 50));
        let emitted = bench.emitted();
        assert_eq!(emitted[0].items(), 50, "{signal}");
    }
    let mut bench = ProcessorBench::new::<Config>("{}", Signal::Traces);
    bench.send(realistic(Signal::Traces, 5));
    let emitted = bench.emitted();
    let mut resources = emitted[0].resource_spans();
    assert!(resources.all(|group| group.resource().attributes().is_empty()));
}

#[test]
fn what_may_be_seen_is_passed_on_as_it_is() {
    let mut bench = ProcessorBench::new::<Config>(
        "{allow_all_keys: true, blocked_values: ['no such value']}",
        Signal::Traces,
    );
    let payload = realistic(Signal::Traces, 10);
    let before = payload.segments()[0].bytes().as_ptr();
    bench.send(payload);
    assert_eq!(bench.emitted()[0].segments()[0].bytes().as_ptr(), before);
}
