use super::*;

/// 2020-06-05T18:50:27Z.
const JUNE: u64 = 1_591_383_027_000_000_000;
const SECOND: u64 = 1_000_000_000;

fn parser(yaml: &str) -> TimeParser {
    let keys: TimeKeys =
        tidegate_document::read(&tidegate_document::yaml::parse_str(yaml).unwrap()).unwrap();
    keys.build("timestamp")
        .unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn read(yaml: &str, value: impl Into<Value>) -> Result<u64, String> {
    let mut entry = Entry::with_body(value);
    // 2020-06-30.
    entry.observed = 1_593_475_200 * SECOND;
    let yaml = format!("{{parse_from: body, {yaml}}}");
    parser(&yaml).parse(&mut entry)?;
    Ok(entry.timestamp.unwrap())
}

#[test]
fn strptime_layouts() {
    for (layout, text) in [
        ("%Y-%m-%d %H:%M:%S %z", "2020-06-05 13:50:27 -0500"),
        ("%Y-%m-%dT%H:%M:%S.%LZ", "2020-06-05T18:50:27.000Z"),
        ("%Y-%m-%dT%H:%M:%SZ", "2020-06-05T18:50:27.0Z"),
        ("%a %b %e %H:%M:%S %Z %Y", "Fri Jun 5 18:50:27 UTC 2020"),
        ("%a %b %e %H:%M:%S %Z %Y", "Fri Jun  5 13:50:27 EST 2020"),
        ("%d/%b/%Y:%H:%M:%S %z", "05/Jun/2020:18:50:27 +0000"),
        ("%F %T%j", "2020-06-05 20:50:27+02:00"),
        ("%m/%d/%y %I:%M:%S %p %z", "06/05/20 6:50:27 PM Z"),
        ("%B %g, %Y %H:%M:%S GMT%i", "June 5, 2020 18:50:27 GMT+00"),
    ] {
        assert_eq!(
            read(&format!("layout: '{layout}'"), text),
            Ok(JUNE),
            "{layout}"
        );
    }
    let layout = "layout: '%Y-%m-%d %H:%M:%S.%f %z'";
    let expected = Ok(JUNE + 123 * SECOND / 1000);
    assert_eq!(read(layout, "2020-06-05 18:50:27,123 +0000"), expected);
    assert_eq!(read(layout, "2020-06-05 18:50:27.123 +0000"), expected);
    assert!(read(layout, "2020-06-05 18:50 +0000").is_err());
    assert!(read(layout, "2020-02-30 18:50:27 +0000").is_err());
}

#[test]
fn gotime_layouts() {
    for (layout, text) in [
        (
            "2006-01-02T15:04:05.999999999Z07:00",
            "2020-06-05T18:50:27Z",
        ),
        ("2006-01-02T15:04:05Z07:00", "2020-06-05T20:50:27.000+02:00"),
        ("Jan _2 15:04:05 MST 2006", "Jun  5 13:50:27 EST 2020"),
        (
            "Mon Jan 2 15:04:05 -0700 2006",
            "Fri Jun 5 13:50:27 -0500 2020",
        ),
        ("02/Jan/2006:15:04:05 -0700", "05/Jun/2020:18:50:27 +0000"),
        ("1/2/06 3:04:05pm Z0700", "6/5/20 6:50:27pm Z"),
    ] {
        let yaml = format!("layout_type: gotime, layout: '{layout}'");
        assert_eq!(read(&yaml, text), Ok(JUNE), "{layout}");
    }
}

#[test]
fn epoch_layouts() {
    let read =
        |layout: &str, value: Value| read(&format!("layout_type: epoch, layout: {layout}"), value);
    let base = 1_136_214_245 * SECOND;
    assert_eq!(read("s", Value::Int(1_136_214_245)), Ok(base));
    assert_eq!(read("s", "1136214245".into()), Ok(base));
    assert_eq!(read("s", Value::Double(1_136_214_245.7)), Ok(base));
    assert_eq!(read("ms", "1136214245123".into()), Ok(base + 123_000_000));
    assert_eq!(
        read("us", Value::Int(1_136_214_245_123_456)),
        Ok(base + 123_456_000)
    );
    assert_eq!(
        read("ns", Value::Int(1_136_214_245_123_456_789)),
        Ok(base + 123_456_789)
    );
    assert_eq!(
        read("s.ms", "1136214245.123".into()),
        Ok(base + 123_000_000)
    );
    assert_eq!(
        read("s.ms", Value::Double(1_136_214_245.123)),
        Ok(base + 123_000_000)
    );
    assert_eq!(read("s.us", Value::Int(1_136_214_245)), Ok(base));
    assert_eq!(
        read("s.ns", "1136214245.123456789".into()),
        Ok(base + 123_456_789)
    );
    assert!(read("s", "yesterday".into()).is_err());
    assert!(read("s", Value::Bool(true)).is_err());
    assert!(read("s", Value::Int(-5)).is_err());
}

#[test]
fn locations_and_abbreviations() {
    let layout = "layout: '%Y-%m-%d %H:%M:%S', location: America/New_York";
    assert_eq!(read(layout, "2020-06-05 14:50:27"), Ok(JUNE));
    let many = "layout: '%a %b %d %H:%M:%S %Z %Y', location: Asia/Kolkata, \
                time_zone_locations: {PDT: America/Los_Angeles}";
    assert_eq!(read(many, "Sat Jun 06 00:20:27 IST 2020"), Ok(JUNE));
    assert_eq!(read(many, "Fri Jun 05 11:50:27 PDT 2020"), Ok(JUNE));
    let unknown = read(many, "Fri Jun 05 11:50:27 XYZ 2020").unwrap_err();
    assert!(unknown.contains("XYZ"), "{unknown}");
}

#[test]
fn a_time_without_a_year_is_the_last_one_that_was() {
    let layout = "layout: '%b %d %H:%M:%S', location: UTC";
    assert_eq!(read(layout, "Jun 05 18:50:27"), Ok(JUNE));
    assert_eq!(read(layout, "Jul 05 00:00:00"), Ok(1_593_907_200 * SECOND));
    assert_eq!(read(layout, "Dec 31 00:00:00"), Ok(1_577_750_400 * SECOND));
}

#[test]
fn what_is_wrong_with_the_keys_is_told() {
    let fault = |yaml: &str| {
        let node = tidegate_document::yaml::parse_str(yaml).unwrap();
        let keys: TimeKeys = tidegate_document::read(&node).unwrap();
        let error = keys.build("timestamp").unwrap_err();
        format!("{}: {error}", error.path)
    };
    assert!(fault("{layout: s}").contains("`parse_from` is missing"));
    assert!(fault("{parse_from: body}").contains("`layout` is missing"));
    assert!(fault("{parse_from: body, layout: '%Q'}").contains("`%Q`"));
    assert!(
        fault("{parse_from: body, layout: d, layout_type: epoch}").starts_with("timestamp::layout")
    );
    assert!(fault("{parse_from: body, layout: '%Y', location: Mars}").contains("Mars"));
}

#[test]
fn no_layout_and_no_text_is_taken_amiss() {
    let layouts = [
        "%Y-%m-%dT%H:%M:%S.%LZ",
        "%a %b %e %l:%M:%S,%f %p %Z %y",
        "%D %T%j%k%%%n",
    ];
    let texts = [
        "2020-06-05T18:50:27.123Z",
        "Fri Jun  5 06:50:27,5 PM GMT+3 20",
        "žžž",
        "05/06/2020 1:2:3+02:00:00%\n",
        "002 060",
    ];
    for layout in layouts {
        for cut in 0..=layout.len() {
            let Ok(items) = layout::strptime(&layout[..cut]) else {
                continue;
            };
            for text in texts {
                for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
                    let parts = layout::read(&items, &text[..end]);
                    let _ = parts.map(|parts| instant(parts, &TimeZone::UTC, &BTreeMap::new(), 0));
                }
            }
        }
    }
}
