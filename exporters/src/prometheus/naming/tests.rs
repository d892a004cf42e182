use super::*;

fn namer(suffixes: bool, utf8: bool, namespace: &str) -> Namer {
    Namer {
        suffixes,
        utf8,
        namespace: namespace.to_owned(),
    }
}

#[test]
fn names_get_their_unit_and_type() {
    let namer = namer(true, false, "");
    for (name, unit, sort, expected) in [
        (
            "http.server.duration",
            "s",
            Sort::Other,
            "http_server_duration_seconds",
        ),
        (
            "http.requests",
            "{request}",
            Sort::Counter,
            "http_requests_total",
        ),
        (
            "http.requests.total",
            "",
            Sort::Counter,
            "http_requests_total",
        ),
        ("total.of.all", "", Sort::Counter, "of_all_total"),
        ("io", "By/s", Sort::Counter, "io_bytes_per_second_total"),
        ("io.bytes", "By", Sort::Gauge, "io_bytes"),
        ("pool.use", "1", Sort::Gauge, "pool_use_ratio"),
        ("pool.use", "1", Sort::Counter, "pool_use_total"),
        ("pool.use", "1", Sort::Other, "pool_use"),
        ("rate", "{x}/s", Sort::Gauge, "rate_per_second"),
        ("rate", "m/m", Sort::Gauge, "rate_meters_per_minute"),
        ("rate", "/s", Sort::Gauge, "rate_per_second"),
        ("odd", "a__b", Sort::Gauge, "odd_a_b"),
        ("odd", "µm", Sort::Gauge, "odd_m"),
        ("odd", "_/_", Sort::Gauge, "odd"),
        ("a__b..c", "", Sort::Gauge, "a_b_c"),
        ("2xx", "", Sort::Gauge, "_2xx"),
        ("rule:sum", "", Sort::Gauge, "rule:sum"),
    ] {
        let got = namer.metric(name, unit, sort);
        assert_eq!(got.as_deref(), Some(expected), "{name} {unit}");
    }
}

#[test]
fn names_without_anything_legal_are_none() {
    for suffixes in [false, true] {
        let namer = namer(suffixes, false, "");
        assert_eq!(namer.metric("", "", Sort::Other), None);
        assert_eq!(namer.metric("..", "", Sort::Other), None);
    }
    assert_eq!(namer(false, true, "").metric("", "", Sort::Other), None);
    assert_eq!(
        namer(false, false, "")
            .metric("__", "", Sort::Other)
            .as_deref(),
        Some("__")
    );
}

#[test]
fn names_without_suffixes_keep_their_underscores() {
    let plain = namer(false, false, "");
    assert_eq!(
        plain.metric("a__b..c", "s", Sort::Counter).as_deref(),
        Some("a__b_c")
    );
    assert_eq!(
        plain.metric("2xx", "", Sort::Gauge).as_deref(),
        Some("_2xx")
    );
    let within = namer(false, false, "my.shop");
    assert_eq!(
        within.metric("2xx", "", Sort::Gauge).as_deref(),
        Some("my_shop_2xx")
    );
}

#[test]
fn a_namespace_stands_before_the_name_as_it_is_written() {
    assert_eq!(
        namer(true, false, "my-shop")
            .metric("a", "s", Sort::Gauge)
            .as_deref(),
        Some("my-shop_a_seconds")
    );
    assert_eq!(
        namer(true, true, "my-shop")
            .metric("a", "", Sort::Gauge)
            .as_deref(),
        Some("my-shop_a")
    );
    assert_eq!(
        namer(true, false, "my-shop").target_info(),
        "my_shop_target_info"
    );
    assert_eq!(namer(true, false, "").target_info(), "target_info");
}

#[test]
fn names_that_stay_as_they_are_still_get_suffixes() {
    let namer = namer(true, true, "");
    for (name, unit, sort, expected) in [
        (
            "http.requests",
            "{request}",
            Sort::Counter,
            "http.requests_total",
        ),
        (
            "http.requests.total",
            "",
            Sort::Counter,
            "http.requests_total",
        ),
        ("http.duration", "s", Sort::Other, "http.duration_seconds"),
        (
            "http.duration_seconds",
            "s",
            Sort::Other,
            "http.duration_seconds",
        ),
        ("use", "1", Sort::Gauge, "use_ratio"),
        ("io", "By/s", Sort::Counter, "io_bytes_per_second_total"),
        ("total", "", Sort::Counter, "total_total"),
    ] {
        assert_eq!(
            namer.metric(name, unit, sort).as_deref(),
            Some(expected),
            "{name}"
        );
    }
}

#[test]
fn labels_become_legal_or_stay() {
    let escaped = namer(true, false, "");
    for (key, expected) in [
        ("http.route", Some("http_route")),
        ("a__b", Some("a__b")),
        ("0x", Some("key_0x")),
        ("žluť", Some("_lu_")),
        ("a:b", Some("a_b")),
        ("__reserved", Some("__reserved")),
        ("..", None),
        ("", None),
    ] {
        assert_eq!(escaped.label(key).as_deref(), expected, "{key}");
    }
    assert_eq!(namer(true, true, "").label("0.x").as_deref(), Some("0.x"));
    assert_eq!(namer(true, true, "").label("__"), None);
}

#[test]
fn escaping_writes_names_as_it_is_asked_to() {
    for (scheme, name, expected) in [
        (Escaping::AllowUtf8, "a.b", "a.b"),
        (Escaping::Underscores, "0a.b_ů", "_a_b__"),
        (Escaping::Dots, "a.b_c-d", "a_dot_b__c__d"),
        (Escaping::Dots, "a_b", "a_b"),
        (Escaping::Values, "a.b_ů", "U__a_2e_b___16f_"),
        (Escaping::Values, "a_b", "a_b"),
    ] {
        assert_eq!(scheme.apply(name), expected);
        assert_eq!(Escaping::named(scheme.name()), Some(scheme));
    }
    assert_eq!(Escaping::named("none"), None);
}

proptest::proptest! {
    #[test]
    fn whatever_comes_in_names_are_legal_in_the_old_sense(name in ".*", unit in ".*") {
        for suffixes in [false, true] {
            let namer = namer(suffixes, false, "");
            for sort in [Sort::Gauge, Sort::Counter, Sort::Other] {
                if let Some(name) = namer.metric(&name, &unit, sort) {
                    assert!(is_legal(&name), "{name}");
                }
            }
            if let Some(label) = namer.label(&name) {
                assert!(is_legal(&label), "{label}");
            }
        }
    }

    #[test]
    fn escaped_names_are_legal(name in ".+") {
        for scheme in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
            assert!(is_legal(&scheme.apply(&name)), "{name}");
        }
    }
}
