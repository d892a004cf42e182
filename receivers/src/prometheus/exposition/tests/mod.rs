//! The readers, on pages as they are written and on pages that break each rule.

mod faults;
mod laws;

use super::*;

/// An entry with all that belongs to it, owned.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Type(String, Type),
    Help(String, String),
    Unit(String, String),
    Sample(Told),
    Native(Told, Native),
}

/// Labels, the value's bits, and the time.
type ToldExemplar = (Vec<(String, String)>, u64, Option<i64>);

/// A sample, owned.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) labels: Vec<(String, String)>,
    /// Bits, so that NaN is NaN.
    pub(super) value: u64,
    pub(super) timestamp: Option<i64>,
    pub(super) created: Option<u64>,
    pub(super) exemplars: Vec<ToldExemplar>,
}

fn owned(labels: &[Label<'_>]) -> Vec<(String, String)> {
    let owned = |text: &Text<'_>| text.to_cow().into_owned();
    labels
        .iter()
        .map(|(name, value)| (owned(name), owned(value)))
        .collect()
}

fn told(page: &Page<'_>, sample: &Sample<'_>) -> Told {
    let mut labels = owned(page.labels());
    let bound = sample
        .bound
        .map(|(label, bound)| (label.to_owned(), open_metrics(bound)));
    labels.extend(bound);
    assert_eq!(page.exemplars().len(), sample.exemplars);
    Told {
        name: format!("{}{}", sample.name.to_cow(), sample.suffix),
        labels,
        value: sample.value.to_bits(),
        timestamp: sample.timestamp,
        created: sample.created,
        exemplars: page
            .exemplars()
            .iter()
            .map(|example| {
                let labels = owned(page.labels_of(example));
                (labels, example.value.to_bits(), example.timestamp)
            })
            .collect(),
    }
}

/// Everything that a page says.
pub(super) fn read_all(format: Format, bytes: &[u8]) -> Result<Vec<Said>, ParseError> {
    read_with(format, bytes, true, true)
}

fn read_with(
    format: Format,
    bytes: &[u8],
    native: bool,
    classic: bool,
) -> Result<Vec<Said>, ParseError> {
    let mut page = Page::new(format, bytes, Bounds::default(), native, classic)?;
    let mut said = Vec::new();
    let text = |text: Text<'_>| text.to_cow().into_owned();
    while let Some(entry) = page.next_entry()? {
        said.push(match entry {
            Entry::Type(name, kind) => Said::Type(text(name), kind),
            Entry::Help(name, help) => Said::Help(text(name), text(help)),
            Entry::Unit(name, unit) => Said::Unit(text(name), text(unit)),
            Entry::Sample(sample) => Said::Sample(told(&page, &sample)),
            Entry::Native(sample, native) => Said::Native(told(&page, &sample), *native),
        });
    }
    assert_eq!(page.next_entry()?, None, "a page ends once");
    Ok(said)
}

fn sample(name: &str, labels: &[(&str, &str)], value: f64, timestamp: Option<i64>) -> Said {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Said::Sample(Told {
        name: name.to_owned(),
        labels: labels.iter().map(owned).collect(),
        value: value.to_bits(),
        timestamp,
        created: None,
        exemplars: Vec::new(),
    })
}

#[test]
fn the_text_format_is_read_as_prometheus_reads_it() {
    let page = "\
# HELP door_openings_total How often\\nthe door \\\\ \"opened\"
# TYPE door_openings_total counter
door_openings_total{side=\"left\",who=\"a \\\"b\\\" \\\\ \\n c\"} 3 1395066363000
door_openings_total 7
  # a remark

  spaced  {  a = \"1\" , b=\"2\" , }   +Inf   -5
{\"a metric.with dots\", \"a label\"=\"ü\"} 1e3
nothing NaN
a:b{} 0
#without a space
# HELP
# TYPE untold untyped
across{lines=\"one
two\"} 1
last{x=\"\\t\"} 9";
    let said = read_all(Format::Text, page.as_bytes()).unwrap();
    let name = || "door_openings_total".to_owned();
    let expected = vec![
        Said::Help(name(), "How often\nthe door \\ \"opened\"".to_owned()),
        Said::Type(name(), Type::Counter),
        sample(
            "door_openings_total",
            &[("side", "left"), ("who", "a \"b\" \\ \n c")],
            3.0,
            Some(1_395_066_363_000),
        ),
        sample("door_openings_total", &[], 7.0, None),
        sample("spaced", &[("a", "1"), ("b", "2")], f64::INFINITY, Some(-5)),
        sample("a metric.with dots", &[("a label", "ü")], 1000.0, None),
        sample("nothing", &[], f64::NAN, None),
        sample("a:b", &[], 0.0, None),
        Said::Type("untold".to_owned(), Type::Unknown),
        sample("across", &[("lines", "one\ntwo")], 1.0, None),
        sample("last", &[("x", "\\t")], 9.0, None),
    ];
    assert_eq!(said, expected);
}

#[test]
fn open_metrics_is_read_with_exemplars_units_and_times() {
    let page = "\
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
# HELP wait_seconds How long \\\"it\\\" took.
wait_seconds_bucket{le=\"0.5\"} 2 # {trace_id=\"0af7\",why=\"x\\\"y\"} 0.43 1520879607.789
wait_seconds_bucket{le=\"+Inf\"} 3 1520879610.5 # {} 9
wait_seconds_count 3
wait_seconds_sum 4.5
wait_seconds_created 1520430000.123
# TYPE shop info
shop_info{open=\"yes\"} 1
# TYPE lamp stateset
lamp{lamp=\"on\"} 1
# TYPE heat gaugehistogram
# TYPE odd unknown
{\"a b\",x=\"y\"} 1
# EOF
";
    let said = read_all(Format::OpenMetrics, page.as_bytes()).unwrap();
    let name = || "wait_seconds".to_owned();
    assert_eq!(said[0], Said::Type(name(), Type::Histogram));
    assert_eq!(said[1], Said::Unit(name(), "seconds".to_owned()));
    assert_eq!(
        said[2],
        Said::Help(name(), "How long \"it\" took.".to_owned())
    );
    let Said::Sample(bucket) = &said[3] else {
        panic!("{:?}", said[3]);
    };
    let labels = [("trace_id", "0af7"), ("why", "x\"y")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let time = Some(1_520_879_607_789);
    assert_eq!(
        bucket.exemplars,
        [(labels.to_vec(), 0.43_f64.to_bits(), time)]
    );
    let Said::Sample(bucket) = &said[4] else {
        panic!("{:?}", said[4]);
    };
    assert_eq!(bucket.timestamp, Some(1_520_879_610_500));
    assert_eq!(bucket.exemplars, [(vec![], 9_f64.to_bits(), None)]);
    let types: Vec<Type> = said
        .iter()
        .filter_map(|said| match said {
            Said::Type(_, kind) => Some(*kind),
            _ => None,
        })
        .collect();
    assert_eq!(
        types,
        [
            Type::Histogram,
            Type::Info,
            Type::StateSet,
            Type::GaugeHistogram,
            Type::Unknown
        ]
    );
    assert_eq!(said.last(), Some(&sample("a b", &[("x", "y")], 1.0, None)));
}

#[test]
fn an_empty_page_says_nothing() {
    for (format, page) in [
        (Format::Text, ""),
        (Format::Text, "\n\n# x\n"),
        (Format::OpenMetrics, "# EOF"),
        (Format::OpenMetrics, "# EOF\n"),
        (Format::Protobuf, ""),
    ] {
        assert_eq!(read_all(format, page.as_bytes()), Ok(vec![]), "{page:?}");
    }
}

/// A field of protobuf whose content is bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    assert!(content.len() < 128);
    out.push(content.len() as u8);
    out.extend_from_slice(content);
    out
}

fn double(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

#[test]
fn native_histograms_are_read_with_their_gaps() {
    let span = |offset: u8, length: u8| vec![8, offset << 1, 16, length];
    let histogram = [
        vec![8, 12],      // 12 in all
        double(2, 7.5),   // the sum
        vec![40, 2],      // schema 1
        double(6, 0.001), // the zero bucket's width
        vec![56, 2],      // two in it
        field(12, &span(0, 2)),
        field(12, &span(2, 1)),
        // 4, 5, then 1, as differences: 4, 1, -4.
        field(13, &[8, 2, 7]),
    ]
    .concat();
    let metric = [
        field(1, &[field(1, b"a"), field(2, b"b")].concat()),
        field(7, &histogram),
    ]
    .concat();
    let family = [field(1, b"h"), vec![24, 4], field(4, &metric)].concat();
    let page = [vec![family.len() as u8], family].concat();
    let said = read_with(Format::Protobuf, &page, true, false).unwrap();
    let Said::Native(told, native) = &said[1] else {
        panic!("{said:?}");
    };
    assert_eq!(told.labels, [("a".to_owned(), "b".to_owned())]);
    assert_eq!((native.count, native.sum, native.schema), (12.0, 7.5, 1));
    assert_eq!((native.zero_count, native.zero_threshold), (2.0, 0.001));
    assert_eq!(
        native.positive,
        Buckets {
            first: 0,
            counts: vec![4, 5, 0, 0, 1]
        }
    );
    // Without native histograms there is what it has of classic ones.
    let said = read_with(Format::Protobuf, &page, false, false).unwrap();
    assert_eq!(said.len(), 4);
    assert_eq!(said[1], sample("h_count", &[("a", "b")], 12.0, None));
}
