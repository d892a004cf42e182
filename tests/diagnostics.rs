//! What a person reads whose configuration is not right: place, fault and remedy of everything at once.
//!
//! A case is a configuration under `tests/diagnostics/`; what `tidegate validate` says of it lies beside it
//! (`INSTA_UPDATE=always` writes that anew, for review).

// What the tests share is public for all of them.
#![allow(unreachable_pub)]

use std::process::Command;

/// Runs `tidegate` with these arguments where the cases are: what it prints, and how it ends.
fn run(arguments: &[&str]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diagnostics");
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("it runs");
    let code = output.status.code().expect("no signal ends it");
    format!(
        "$ tidegate {}\n{}{}exit code {code}\n",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    )
}

/// Holds what is printed to a snapshot, but for the differences from the Collector: those are written
/// down in `docs/differences.md`.
fn told(name: &str, arguments: &[&str]) {
    let mut text = run(arguments);
    if let Some(start) = text.find("it differs here from the Collector") {
        let end = text.rfind("exit code").expect("it ends with its code");
        text.replace_range(start..end, "");
    }
    insta::with_settings!({
        snapshot_path => "diagnostics",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Holds `tidegate validate` to what lies beside a case.
fn validated(name: &str) {
    told(name, &["validate", "--config", &format!("{name}.yaml")]);
}

fn validated_with_warnings(name: &str) {
    let file = format!("{name}.yaml");
    told(
        &format!("{name}_as_warning"),
        &["validate", "--unknown-keys=warn", "--config", &file],
    );
}

#[test]
fn what_is_valid_says_what_an_answer_means_and_where_it_differs() {
    let text = run(&["validate", "--config", "valid.yaml"]);
    for line in [
        "the configuration is valid\n",
        "  traces: an answer means held in memory\n",
        "  logs: an answer means delivered\n",
        "  valid.yaml:5: processor batch: processor-batch-receipts",
        "exit code 0\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn promises_that_look_safer_than_they_are_say_what_to_change() {
    validated("weak_promise");
}

#[test]
fn unknown_keys_name_the_nearest_known() {
    validated("unknown_key");
    validated_with_warnings("unknown_key");
}

#[test]
fn unknown_components_are_told_from_those_not_built() {
    validated("unknown_component");
}

#[test]
fn wrong_types_say_what_to_write() {
    validated("wrong_type");
}

#[test]
fn what_is_missing_is_named() {
    validated("missing_required");
    validated("no_pipelines");
}

#[test]
fn duplicate_keys_show_both_places() {
    validated("duplicate_key");
}

#[test]
fn undefined_components_suggest_what_was_meant() {
    validated("undefined_component");
}

#[test]
fn unused_components_are_warnings() {
    validated("unused_component");
}

#[test]
fn components_in_a_pipeline_of_another_signal_are_named() {
    validated("wrong_signal");
}

#[test]
fn a_circle_of_connectors_is_shown() {
    validated("connector_cycle");
}

#[test]
fn values_that_cannot_be_are_named_with_their_component() {
    validated("bad_value");
}

#[test]
fn variables_that_are_not_set_are_null_and_an_error_only_where_null_is_one() {
    validated("unset_variable_is_null");
    validated("unset_variable");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    validated("unreadable_file");
    told("no_such_file", &["validate", "--config", "nowhere.yaml"]);
    told("no_default_file", &["validate"]);
}

#[test]
fn profiles_are_named_as_not_built() {
    validated("profiles");
    validated_with_warnings("profiles");
}

#[test]
fn text_that_is_no_yaml_shows_where_it_breaks() {
    validated("syntax_error");
    validated("syntax_indentation");
    validated("syntax_tab");
}

#[test]
fn listeners_on_one_port_are_found_before_anything_is_opened() {
    validated("one_port_twice");
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_the_text() {
    validated("many_faults");
    validated_with_warnings("many_faults");
}

#[test]
fn faults_of_several_files_each_name_their_own() {
    let files = ["--config", "valid.yaml", "--config", "merged_with.yaml"];
    let set = ["--set", "service.telemetry.logs.level=loud"];
    told(
        "several_files",
        &[&["validate"], &files[..], &set[..]].concat(),
    );
}

#[test]
fn what_is_not_valid_does_not_run() {
    told("not_run", &["--config", "connector_cycle.yaml"]);
}

#[test]
fn a_configuration_of_the_collector_is_judged_component_by_component() {
    let text = run(&["compat", "unknown_component.yaml"]);
    for line in [
        "unknown_component.yaml:2: receiver otlp: differs\n    receiver-otlp-",
        "unknown_component.yaml:6: processor isolationforest: not built; take it out",
        "unknown_component.yaml:7: processor memorylimiter/small: not known; did you mean memory_limiter?\n",
        "exit code 1\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}
