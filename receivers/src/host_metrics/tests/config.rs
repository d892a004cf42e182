//! What may be configured.

use tidegate_component::ComponentConfig;
use tidegate_component::testing::findings;

use super::*;

fn fault(text: &str) -> (String, String) {
    let cx = BuildContext::detached("receiver", "host_metrics".parse().unwrap());
    let error = read::<Config>(text).build(&cx).err().unwrap();
    (error.path, error.message)
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, path, message) in [
        ("{}", "scrapers", "no scraper is named"),
        ("scrapers: ", "scrapers", "no scraper is named"),
        (
            "{collection_interval: 0s, scrapers: {cpu: }}",
            "collection_interval",
            "the interval cannot be 0",
        ),
        (
            "scrapers: {disk: {include: {devices: [sda]}}}",
            "scrapers::disk::include",
            "`devices` without a `match_type`",
        ),
        (
            "scrapers: {process: {exclude: {names: ['['], match_type: regexp}}}",
            "scrapers::process::exclude::names",
            "no regular expression: unclosed character class",
        ),
        (
            "scrapers: {process: {resource_attributes: {process.pid: {metrics_include: [{}]}}}}",
            "scrapers::process::resource_attributes::process.pid::metrics_include::0",
            "one of `strict` and `regexp` is needed",
        ),
    ] {
        let found = fault(text);
        assert_eq!(found, (path.to_owned(), message.to_owned()), "{text}");
    }
}

#[test]
fn keys_that_are_not_known_are_found() {
    for (text, key) in [
        ("scrapers: {cpus: }", "cpus"),
        (
            "scrapers: {cpu: {metrics: {system.cpu.tim: {enabled: true}}}}",
            "system.cpu.tim",
        ),
        (
            "scrapers: {cpu: {metrics: {system.cpu.time: {attributes: [core]}}}}",
            "core",
        ),
        (
            "scrapers: {memory: {metrics: {system.memory.limit: {attributes: []}}}}",
            "attributes",
        ),
        (
            "scrapers: {cpu: {metrics: {system.cpu.time: {aggregation_strategy: median}}}}",
            "median",
        ),
        (
            "{collection_intervall: 1s, scrapers: {cpu: }}",
            "collection_intervall",
        ),
    ] {
        let (_, found) = findings::<Config>(text);
        assert!(
            found.iter().any(|line| line.contains(key)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn what_only_windows_has_is_taken_with_a_warning() {
    let text = "scrapers: {process: {metrics: {process.handles: {enabled: true}}}}";
    let (config, found) = findings::<Config>(text);
    assert!(config.is_some());
    assert!(
        found.iter().any(|line| line.contains("enabled")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_root_that_is_not_there_is_told_at_the_start() {
    let build = BuildContext::detached("receiver", "host_metrics".parse().unwrap());
    let text = "{root_path: /no/such/root, scrapers: {cpu: }}";
    let mut receiver = read::<Config>(text).receiver(&build).unwrap();
    let door = Arc::new(FakeDoor::default());
    let error = receiver.start(door.receiver(build.id)).await.unwrap_err();
    assert_eq!(error.message, "there is no `root_path` /no/such/root");
}
