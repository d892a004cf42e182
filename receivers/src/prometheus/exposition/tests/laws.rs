//! Whatever is written is read as it was meant, and nothing makes a reader panic.

use proptest::prelude::*;

use super::*;

/// Labels, the value and the time.
type WrittenExemplar = (Vec<(String, String)>, f64, Option<i64>);

/// A sample to be written.
#[derive(Clone, Debug)]
struct Written {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
    timestamp: Option<i64>,
    exemplar: Option<WrittenExemplar>,
}

fn label_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "[ -~üß\\n]{1,8}"]
}

fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((label_name(), "[ -~üß\\n\\\\\"]{0,12}"), 0..4)
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_map(|value| if value.is_nan() { f64::NAN } else { value }),
        (0..1_000_000_u32).prop_map(f64::from),
        (0..1_000_000_u32).prop_map(|value| f64::from(value) / 1000.0),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let name = prop_oneof!["[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", "[ -~ü\\n]{1,8}"];
    let time = prop::option::of(0..4_000_000_000_000_i64);
    let exemplar = prop::option::of((labels(), value(), time.clone()));
    (name, labels(), value(), time, exemplar).prop_map(
        |(name, labels, value, timestamp, exemplar)| Written {
            name,
            labels,
            value,
            timestamp,
            exemplar,
        },
    )
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}

fn is_plain(name: &str, colons: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || colons && c == ':';
    name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        value => format!("{value:?}"),
    }
}

fn print_labels(name: Option<&str>, labels: &[(String, String)]) -> String {
    let name = name.map(quoted);
    let labels = labels.iter().map(|(name, value)| {
        let name = if is_plain(name, false) {
            name.clone()
        } else {
            quoted(name)
        };
        format!("{name}={}", quoted(value))
    });
    let parts: Vec<String> = name.into_iter().chain(labels).collect();
    format!("{{{}}}", parts.join(","))
}

fn print(sample: &Written, open: bool) -> String {
    let plain = is_plain(&sample.name, true);
    let mut line = if plain {
        sample.name.clone()
    } else {
        String::new()
    };
    line += &print_labels((!plain).then_some(&sample.name), &sample.labels);
    line += &format!(" {}", number(sample.value));
    let time = |time: i64| match open {
        true => format!(" {}.{:03}", time / 1000, time % 1000),
        false => format!(" {time}"),
    };
    line += &sample.timestamp.map(time).unwrap_or_default();
    if let Some((labels, value, at)) = &sample.exemplar
        && open
    {
        line += &format!(" # {} {}", print_labels(None, labels), number(*value));
        line += &at.map(time).unwrap_or_default();
    }
    line + "\n"
}

/// Milliseconds as they come back from seconds with a fraction.
fn through_seconds(time: i64) -> i64 {
    let text = format!("{}.{:03}", time / 1000, time % 1000);
    (text.parse::<f64>().unwrap() * 1e3) as i64
}

fn meant(sample: &Written, open: bool) -> Told {
    let time = |time: i64| if open { through_seconds(time) } else { time };
    let exemplar = sample.exemplar.clone().filter(|_| open);
    Told {
        name: sample.name.clone(),
        labels: sample.labels.clone(),
        value: sample.value.to_bits(),
        timestamp: sample.timestamp.map(time),
        created: None,
        exemplars: exemplar
            .into_iter()
            .map(|(labels, value, at)| (labels, value.to_bits(), at.map(time)))
            .collect(),
    }
}

#[test]
fn nothing_that_was_kept_makes_a_reader_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/exposition");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            read += usize::from(read_all(format, &bytes[1..]).is_ok());
        }
    }
    assert!(read > 2, "{read} pages are whole");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        samples in prop::collection::vec(written(), 0..8),
        open in any::<bool>(),
    ) {
        let mut page: String = samples.iter().map(|sample| print(sample, open)).collect();
        if open {
            page += "# EOF\n";
        }
        let format = if open { Format::OpenMetrics } else { Format::Text };
        let read = read_all(format, page.as_bytes());
        let expected = samples.iter().map(|sample| Said::Sample(meant(sample, open)));
        prop_assert_eq!(read, Ok(expected.collect::<Vec<_>>()), "{}", page);
    }

    #[test]
    fn no_page_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let _ = read_all(format, &bytes);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "{", "}", "\"", "\\", ",", "=", " ", "\n", "#", "# TYPE ", "# HELP ", "# UNIT ",
                "# EOF", "1", "NaN", "counter", "ü", "\t", ".", "# {",
            ]),
            0..40,
        ),
    ) {
        let page = parts.concat();
        for format in [Format::Text, Format::OpenMetrics] {
            let _ = read_all(format, page.as_bytes());
        }
    }

    #[test]
    fn a_page_that_is_cut_is_never_read_as_a_whole_one(
        samples in prop::collection::vec(written(), 1..5),
        at in any::<prop::sample::Index>(),
    ) {
        let mut page: String = samples.iter().map(|sample| print(sample, true)).collect();
        page += "# EOF\n";
        let mut cut = at.index(page.len() - 1);
        while !page.is_char_boundary(cut) {
            cut -= 1;
        }
        if cut < page.len() - 1 {
            prop_assert!(read_all(Format::OpenMetrics, &page.as_bytes()[..cut]).is_err());
        }
    }
}
