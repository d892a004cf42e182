//! The process's own metrics as text, encoded by `prometheus-client`.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder,
};
use prometheus_client::encoding::{EncodeLabel, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry as Encoder;
use tidegate_component::metrics::{Family, Labels, Registry, Series};

/// How the names of our own metrics begin, which the Collector does not have.
const OURS: &str = "tidegate_";

/// How names and labels are written; the Collector's reader has keys of the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Leaves `_total` off counters' names. The Collector's default, for the Collector's metrics:
    /// ours have their suffix always, as Prometheus wants it.
    pub without_type_suffix: bool,
    /// Labels that every series carries.
    pub constant_labels: Labels,
}

/// The exposition in OpenMetrics text, which Prometheus's text format 0.0.4 reads as well once
/// its last line, `# EOF`, is a comment.
///
/// # Errors
/// Formatting into a string does not fail; an error would come from the encoder itself.
pub fn text(registry: &Registry, style: &Style) -> Result<String, std::fmt::Error> {
    let mut encoder = Encoder::default();
    encoder.register_collector(Box::new(Families {
        registry: registry.clone(),
        constant: style.constant_labels.clone(),
    }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &encoder)?;
    Ok(tidied(&text, style.without_type_suffix))
}

/// Whether a counter of this name goes without `_total`.
fn is_bare(name: &str, without_total: bool) -> bool {
    without_total && !name.starts_with(OURS)
}

/// Takes empty braces off samples, and makes the encoder's `_total` what is wanted: it adds it to
/// every sample of a counter, and to none of the lines that describe one.
fn tidied(text: &str, without_total: bool) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_counter = is_counter(line) || lines.peek().is_some_and(|next| is_counter(next));
        match described(line) {
            Some((word, name, rest)) if is_counter && !is_bare(name, without_total) => {
                tidy.extend([word, name, "_total ", rest]);
            }
            Some(_) => tidy.push_str(line),
            None => {
                let end = line.find(['{', ' ']).unwrap_or(line.len());
                let (mut name, rest) = line.split_at(end);
                if is_bare(name, without_total) {
                    name = name.strip_suffix("_total").unwrap_or(name);
                }
                tidy.extend([name, rest.strip_prefix("{}").unwrap_or(rest)]);
            }
        }
        tidy.push('\n');
    }
    tidy
}

/// Whether a line says that a family is one of counters.
fn is_counter(line: &str) -> bool {
    line.starts_with("# TYPE ") && line.ends_with(" counter")
}

/// The parts of a line that describes a family: up to the name, the name, the rest.
fn described(line: &str) -> Option<(&str, &str, &str)> {
    const WORD: usize = "# HELP ".len();
    if !line.starts_with("# HELP ") && !line.starts_with("# TYPE ") {
        return None;
    }
    let (word, rest) = line.split_at(WORD);
    let (name, rest) = rest.split_once(' ')?;
    Some((word, name, rest))
}

#[derive(Debug)]
struct Families {
    registry: Registry,
    constant: Labels,
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, family) in self.registry.families() {
            let kind = kind(&family);
            let mut samples = encoder.encode_descriptor(&name, &family.help, None, kind)?;
            for (labels, series) in &family.series {
                let labels = Pairs(&self.constant, labels);
                let sample = samples.encode_family(&labels)?;
                Sample(series).encode(sample)?;
            }
        }
        Ok(())
    }
}

fn kind(family: &Family) -> MetricType {
    match family.series.values().next() {
        Some(Series::Counter(_) | Series::CounterOf(_)) => MetricType::Counter,
        Some(Series::Histogram(_)) => MetricType::Histogram,
        Some(Series::Gauge(_) | Series::GaugeOf(_)) | None => MetricType::Gauge,
    }
}

struct Pairs<'a>(&'a Labels, &'a Labels);

impl EncodeLabelSet for Pairs<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, value) in self.0.iter().chain(self.1) {
            (name.as_str(), value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

struct Sample<'a>(&'a Series);

impl EncodeMetric for Sample<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.0 {
            Series::Counter(counter) => count(encoder, counter.value()),
            Series::CounterOf(reading) => count(encoder, reading.value()),
            Series::Gauge(gauge) => encoder.encode_gauge(&gauge.value()),
            Series::GaugeOf(reading) => encoder.encode_gauge(&reading.value()),
            Series::Histogram(histogram) => {
                let counts = histogram.buckets();
                let buckets: Vec<(f64, u64)> = histogram
                    .bounds()
                    .iter()
                    .copied()
                    .chain([f64::INFINITY])
                    .zip(counts.iter().copied())
                    .collect();
                encoder.encode_histogram::<NoLabelSet>(
                    histogram.sum(),
                    counts.iter().sum(),
                    &buckets,
                    None,
                )
            }
        }
    }

    fn metric_type(&self) -> MetricType {
        match self.0 {
            Series::Counter(_) | Series::CounterOf(_) => MetricType::Counter,
            Series::Gauge(_) | Series::GaugeOf(_) => MetricType::Gauge,
            Series::Histogram(_) => MetricType::Histogram,
        }
    }
}

fn count(mut encoder: MetricEncoder<'_>, value: u64) -> Result<(), std::fmt::Error> {
    encoder.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        let registry = Registry::default();
        registry
            .counter(
                "otelcol_exporter_sent_spans",
                "Spans sent.",
                &[("exporter", "otlp")],
            )
            .add(3);
        registry
            .gauge("otelcol_exporter_queue_size", "Requests queued.", &[])
            .set(2);
        registry
            .histogram("size", "Sizes.", &[], &[1.0, 10.0])
            .observe(5.0);
        registry
    }

    #[test]
    fn writes_counters_without_total_as_the_collector_does() {
        let style = Style {
            without_type_suffix: true,
            ..Style::default()
        };
        let text = text(&registry(), &style).unwrap();
        assert!(
            text.contains("otelcol_exporter_sent_spans{exporter=\"otlp\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains("# TYPE otelcol_exporter_sent_spans counter\n"),
            "{text}"
        );
        assert!(text.contains("otelcol_exporter_queue_size 2\n"), "{text}");
    }

    #[test]
    fn counters_of_our_own_end_in_total_whatever_the_style() {
        for without_type_suffix in [false, true] {
            let registry = registry();
            let lost = registry.counter("tidegate_lost_items", "Items lost.", &[("reason", "x")]);
            assert_eq!(lost.value(), 0);
            let style = Style {
                without_type_suffix,
                ..Style::default()
            };
            let text = text(&registry, &style).unwrap();
            let expected = "# HELP tidegate_lost_items_total Items lost.\n\
                            # TYPE tidegate_lost_items_total counter\n\
                            tidegate_lost_items_total{reason=\"x\"} 0\n";
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn accumulates_buckets_and_adds_constant_labels() {
        let style = Style {
            without_type_suffix: false,
            constant_labels: vec![("service_name".to_owned(), "edge".to_owned())],
        };
        let text = text(&registry(), &style).unwrap();
        assert!(
            text.contains("size_bucket{le=\"1.0\",service_name=\"edge\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("size_bucket{le=\"10.0\",service_name=\"edge\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("size_bucket{le=\"+Inf\",service_name=\"edge\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "otelcol_exporter_sent_spans_total{service_name=\"edge\",exporter=\"otlp\"} 3\n"
            ),
            "{text}"
        );
    }
}
