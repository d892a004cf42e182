//! Each rule of the formats, broken: the error says which, and where.

use super::*;

fn fault(format: Format, page: &str) -> String {
    match read_all(format, page.as_bytes()) {
        Err(error) => error.to_string(),
        Ok(said) => panic!("{page:?} is read as {said:?}"),
    }
}

fn check(format: Format, cases: &[(&str, &str)]) {
    for (page, expected) in cases {
        let found = fault(format, page);
        assert!(found.starts_with(expected), "{page:?}\n{found}\n{expected}");
    }
}

#[test]
fn each_rule_of_the_text_format_is_told() {
    check(
        Format::Text,
        &[
            (
                "a 1\n1a 2\n",
                "line 2, column 1: a line begins with a metric name",
            ),
            ("a\n", "line 1, column 2: a value is missing"),
            ("a{b=\"c\"}\n", "line 1, column 9: a value is missing"),
            ("a x\n", "line 1, column 3: `x` is no number"),
            ("a 0x10\n", "line 1, column 3: `0x10` is no number"),
            ("a 1_0\n", "line 1, column 3: `1_0` is no number"),
            ("a 1\r\n", "line 1, column 3: `1\r` is no number"),
            (
                "a 1 2.5\n",
                "line 1, column 5: `2.5` is no timestamp: whole milliseconds",
            ),
            ("a 1 2 3\n", "line 1, column 7: the line should end here"),
            (
                "a 1 # {x=\"y\"} 1\n",
                "line 1, column 5: `#` is no timestamp",
            ),
            ("a{1=\"x\"} 1\n", "line 1, column 3: a label name"),
            ("a{b:c=\"x\"} 1\n", "line 1, column 4: `=` belongs"),
            ("a{b} 1\n", "line 1, column 4: `=` belongs"),
            (
                "a{b=c} 1\n",
                "line 1, column 5: a label's value stands in double quotes",
            ),
            ("a{b=\"c} 1\n", "line 1, column 5: the quote is not closed"),
            ("a{b=\"c\\", "line 1, column 5: the quote is not closed"),
            (
                "a{b=\"c\" d=\"e\"} 1\n",
                "line 1, column 9: `,` or `}` belongs",
            ),
            ("a{,} 1\n", "line 1, column 3: a label name"),
            (
                "a{\"b\"} 1\n",
                "line 1, column 3: the metric has a name already",
            ),
            (
                "{\"a\",\"b\"} 1\n",
                "line 1, column 6: the metric has a name already",
            ),
            (
                "{a=\"b\"} 1\n",
                "line 1, column 1: the series has no metric name",
            ),
            ("{} 1\n", "line 1, column 1: the series has no metric name"),
            (
                "# TYPE 1a counter\n",
                "line 1, column 8: a metric name is missing behind `# TYPE`",
            ),
            ("# TYPE a foo\n", "line 1, column 10: `foo` is no type"),
            ("# TYPE a info\n", "line 1, column 10: `info` is no type"),
            ("# TYPE a\n", "line 1, column 9: `` is no type"),
            (
                "# HELP a{} x\n",
                "line 1, column 9: a space and the text belong",
            ),
            ("ä 1\n", "line 1, column 1: a line begins"),
            ("a{b=\"ü\",c} 1\n", "line 1, column 10: `=` belongs"),
        ],
    );
}

#[test]
fn each_rule_of_open_metrics_is_told() {
    check(
        Format::OpenMetrics,
        &[
            ("", "line 1, column 1: the page does not end with `# EOF`"),
            ("a 1\n", "line 2, column 1: the page does not end"),
            ("a 1", "line 1, column 4: the page does not end"),
            ("# TYPE a gauge", "line 1, column 15: the page does not end"),
            (
                "a 1\n\n# EOF\n",
                "line 2, column 1: OpenMetrics allows no empty line",
            ),
            (
                "# EOF\na 1\n",
                "line 2, column 1: something follows `# EOF`",
            ),
            ("# EOF \n", "line 1, column 6: something follows `# EOF`"),
            (
                "# remark\n# EOF\n",
                "line 1, column 1: OpenMetrics allows no comment",
            ),
            (
                "#TYPE a gauge\n# EOF\n",
                "line 1, column 1: OpenMetrics allows no comment",
            ),
            (
                "# TYPE a untyped\n# EOF\n",
                "line 1, column 10: `untyped` is no type",
            ),
            (
                "# HELP a\n# EOF\n",
                "line 1, column 9: a space and the text belong",
            ),
            (
                "# TYPE  a gauge\n# EOF\n",
                "line 1, column 8: a metric name is missing",
            ),
            (
                "# UNIT a seconds\n# EOF\n",
                "line 1, column 10: the unit `seconds` does not end the name `a`",
            ),
            (
                "# UNIT aseconds seconds\n# EOF\n",
                "line 1, column 17: the unit",
            ),
            (" a 1\n# EOF\n", "line 1, column 1: a line begins"),
            ("a  1\n# EOF\n", "line 1, column 2: a value is missing"),
            ("a\t1\n# EOF\n", "line 1, column 2: a value is missing"),
            (
                "a {b=\"c\"} 1\n# EOF\n",
                "line 1, column 3: `{b=\"c\"}` is no number",
            ),
            (
                "a{b=\"c\", d=\"e\"} 1\n# EOF\n",
                "line 1, column 9: a label name",
            ),
            (
                "a{b=\"c\nd\"} 1\n# EOF\n",
                "line 1, column 5: the quote is not closed",
            ),
            (
                "a 1 NaN\n# EOF\n",
                "line 1, column 5: `NaN` is no timestamp: seconds",
            ),
            ("a 1 2 3\n# EOF\n", "line 1, column 7: an exemplar begins"),
            ("a 1 \n# EOF\n", "line 1, column 5: an exemplar begins"),
            ("a 1 # x\n# EOF\n", "line 1, column 5: an exemplar begins"),
            ("a 1 # {}\n# EOF\n", "line 1, column 9: a value is missing"),
            (
                "a 1 # {a=\"b\"} x\n# EOF\n",
                "line 1, column 15: `x` is no number",
            ),
            ("a 1 # {\"a\"} 1\n# EOF\n", "line 1, column 8: `=` belongs"),
            (
                "a 1 # {a=\"b\"} 1 2 3\n# EOF\n",
                "line 1, column 18: the line should end here",
            ),
        ],
    );
}

#[test]
fn pages_that_are_no_text_are_told() {
    let error = read_all(Format::Text, b"a 1\nb{c=\"\xff\"} 1\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2, column 6: the page is not UTF-8 here"
    );
}

#[test]
fn bounds_hold() {
    let bounds = Bounds {
        line: 100,
        labels: 2,
        buckets: 10,
    };
    let long = format!("a 1\n# HELP a {}\n", "x".repeat(200));
    for (page, expected) in [
        (
            long.as_str(),
            "line 2, column 1: the line is longer than 100 bytes",
        ),
        (
            "a{b=\"1\",c=\"2\",d=\"3\"} 1",
            "line 1, column 15: the series has more than 2 labels",
        ),
    ] {
        let mut read = Page::new(Format::Text, page.as_bytes(), bounds, false, false).unwrap();
        let error = loop {
            match read.next_entry() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{page} is read"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn protobuf_that_is_none_is_told() {
    let family = |fields: &[u8]| [&[fields.len() as u8], fields].concat();
    let histogram = |fields: &[u8]| {
        let metric = field(7, fields);
        family(&[field(1, b"h"), vec![24, 4], field(4, &metric)].concat())
    };
    for (page, expected) in [
        (
            vec![5, 1],
            "byte 0: the page is no protobuf: length 5 passes the end",
        ),
        (
            family(&[0xff]),
            "byte 1: the page is no protobuf: the value is cut off",
        ),
        (
            family(&field(2, b"x")),
            "byte 0: the series has no metric name",
        ),
        (
            family(&[field(1, b"a"), vec![24, 9]].concat()),
            "byte 4: there is no type of the number 9",
        ),
        (
            family(&field(1, b"\xff")),
            "byte 3: the page is not UTF-8 here",
        ),
        (
            family(&[field(1, b"a"), vec![32, 1]].concat()),
            "byte 4: the page is no protobuf: found a varint instead of a length-prefixed value",
        ),
        (
            histogram(&[40, 18, 98, 0]),
            "byte 6: the native histogram's schema is none from -4 to 8",
        ),
        (
            histogram(&[98, 4, 8, 0, 16, 3]),
            "byte 6: the native histogram's spans want more buckets than there are",
        ),
        (
            histogram(&[98, 0, 106, 1, 2]),
            "byte 6: the native histogram's spans want fewer buckets than there are",
        ),
        (
            histogram(&[98, 2, 16, 1, 106, 1, 1]),
            "byte 6: the native histogram's bucket has a negative count",
        ),
        (
            histogram(&[98, 2, 16, 1, 98, 4, 8, 1, 16, 0, 106, 1, 2]),
            "byte 6: the native histogram's spans overlap",
        ),
        (
            histogram(&[98, 5, 16, 255, 255, 255, 15]),
            "byte 6: the native histogram's buckets are more than are taken",
        ),
    ] {
        let error = read_all(Format::Protobuf, &page).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{page:?}\n{error}\n{expected}");
    }
}
