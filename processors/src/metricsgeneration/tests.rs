use tidegate_component::testing::read;
use tidegate_component::{BuildContext, ComponentConfig};

use super::Config;

#[test]
fn what_a_rule_needs_is_asked_for() {
    let fault = |rule: &str| {
        let yaml = format!("rules: [{rule}]");
        let cx = BuildContext::detached("processor", "m".parse().unwrap());
        let error = read::<Config>(&yaml).build(&cx).err().unwrap();
        assert!(error.remedy.is_some(), "{yaml}");
        error.path.trim_start_matches("rules::0::").to_owned()
    };
    assert_eq!(fault("{type: scale, metric1: a}"), "name");
    assert_eq!(fault("{name: n, metric1: a}"), "type");
    assert_eq!(fault("{name: n, type: scale}"), "metric1");
    assert_eq!(fault("{name: n, type: calculate, metric1: a}"), "metric2");
    assert_eq!(fault("{name: n, type: scale, metric1: n}"), "name");
    assert_eq!(
        fault("{name: n, type: calculate, metric1: a, metric2: n}"),
        "name"
    );
    assert_eq!(
        fault("{name: n, type: scale, metric1: a, scale_by: -1, operation: add}"),
        "scale_by"
    );
    assert_eq!(
        fault("{name: n, type: scale, metric1: a, scale_by: 1}"),
        "operation"
    );
}
