//! What points become, as a scrape shows it.

mod deltas;
mod identity;
mod laws;
mod lifetime;
mod page;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use prost::Message;
use tidegate_component::{BuildContext, Delivered};
use tidegate_pdata::{Payload, Segment, Signal};

use super::config::Keys;
use super::exposition::{Exposition, Format, Scrape, Style};
use super::ingest;
use super::naming::Escaping;
use super::store::Store;

use requests::{Metrics, TIME, gauge, request, sum};

/// A store under test, with the keys that it was made with.
struct Shown {
    store: Arc<Store>,
    timestamps: bool,
}

impl Shown {
    fn new() -> Self {
        Self::with("{}")
    }

    /// With these keys, in JSON.
    fn with(keys: &str) -> Self {
        let keys: Keys = serde_json::from_str(keys).unwrap();
        let cx = BuildContext::detached("exporter", "prometheus".parse().unwrap());
        let settings = keys.settings().unwrap();
        Self {
            store: Arc::new(Store::new(settings, &cx)),
            timestamps: keys.send_timestamps,
        }
    }

    fn take(&self, request: &Metrics) -> Delivered {
        ingest::take(&self.store, &payload(request))
    }

    fn scrape(&self, format: Format, escaping: Escaping) -> Vec<u8> {
        let style = Style {
            exposition: Exposition { format, escaping },
            timestamps: self.timestamps,
        };
        let mut scrape = Scrape::new(Arc::clone(&self.store), style);
        let pieces: Vec<_> = std::iter::from_fn(|| scrape.piece()).collect();
        pieces.concat()
    }

    fn text(&self) -> String {
        String::from_utf8(self.scrape(Format::Text, Escaping::Underscores)).unwrap()
    }

    fn open(&self) -> String {
        let text = self.scrape(Format::OpenMetrics("1.0.0"), Escaping::AllowUtf8);
        String::from_utf8(text).unwrap()
    }

    /// The samples of the text format, without scope labels.
    fn samples(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .text()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(ToOwned::to_owned)
            .collect();
        lines.sort();
        lines
    }
}

fn payload(request: &Metrics) -> Payload {
    let bytes = request.encode_to_vec();
    let items = tidegate_pdata::canonical_items(Signal::Metrics, &bytes);
    Payload::from_segment(
        Signal::Metrics,
        Segment::new(bytes.into(), items.expect("a canonical request"), None),
    )
}

#[test]
fn the_newest_value_of_a_gauge_is_shown() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    let at = |value, time| request(gauge("a", &[(&[("x", "1")], value, time)]));
    shown.take(&at(1.0, TIME));
    shown.take(&at(2.0, TIME + 1));
    assert_eq!(shown.samples(), ["a{x=\"1\"} 2"]);
    let late = shown.take(&at(3.0, TIME));
    assert_eq!(
        late.rejected, 0,
        "what came late is not lost: something newer is shown"
    );
    assert_eq!(shown.samples(), ["a{x=\"1\"} 2"]);
    shown.take(&at(4.0, TIME + 1));
    assert_eq!(shown.samples(), ["a{x=\"1\"} 4"]);
}

#[test]
fn points_without_times_replace_each_other() {
    let shown = Shown::with(r#"{"without_scope_info": true, "send_timestamps": true}"#);
    for value in [1.0, 2.0] {
        shown.take(&request(gauge("a", &[(&[], value, 0)])));
    }
    assert_eq!(shown.samples(), ["a 2"], "there is no time to send");
    let of_2500 = 16_725_225_600_000_000_000;
    shown.take(&request(gauge("a", &[(&[], 3.0, of_2500)])));
    assert_eq!(shown.samples(), ["a 3 16725225600000"]);
}

#[test]
fn open_metrics_shows_seconds_unknown_counters_and_an_end() {
    let shown = Shown::with(
        r#"{"without_scope_info": true, "send_timestamps": true, "add_metric_suffixes": false}"#,
    );
    shown.take(&request(sum("a", 2, true, &[(&[], 1.0, TIME)])));
    let expected = "# HELP a \"a\" is\\\\nice\n# TYPE a unknown\na 1.0 1.767323045678e+09\n# EOF\n";
    assert_eq!(shown.open(), expected.replace("\"a\"", "\\\"a\\\""));
    let expected = "# HELP a \"a\" is\\\\nice\n# TYPE a counter\na 1 1767323045678\n";
    assert_eq!(shown.text(), expected);
}

#[test]
fn names_are_quoted_for_those_who_take_them_and_escaped_for_others() {
    let shown = Shown::with(
        r#"{"without_scope_info": true, "translation_strategy": "NoTranslation", "const_labels": {"région": "b"}}"#,
    );
    shown.take(&request(gauge("a.b", &[(&[("x.y", "1")], 2.0, TIME)])));
    let text = shown.open();
    assert!(
        text.contains("# TYPE \"a.b\" gauge\n{\"a.b\",\"région\"=\"b\",\"x.y\"=\"1\"} 2.0\n"),
        "{text}"
    );
    assert_eq!(shown.samples(), ["a_b{r_gion=\"b\",x_y=\"1\"} 2"]);
    let dots = shown.scrape(Format::Text, Escaping::Dots);
    let dots = String::from_utf8(dots).unwrap();
    assert!(
        dots.contains("a_dot_b{r__gion=\"b\",x_dot_y=\"1\"} 2\n"),
        "{dots}"
    );
}

#[test]
fn an_empty_store_shows_nothing() {
    let shown = Shown::new();
    assert_eq!(shown.text(), "");
    assert_eq!(shown.open(), "# EOF\n");
    assert_eq!(shown.scrape(Format::Protobuf, Escaping::AllowUtf8), b"");
}

#[test]
fn a_long_scrape_comes_in_pieces_that_show_every_series_once() {
    let shown = Shown::with(r#"{"without_scope_info": true}"#);
    let names: Vec<String> = (0..3000)
        .map(|at| format!("pod-{at:05}-{}", "x".repeat(50)))
        .collect();
    for family in ["a", "b"] {
        for name in &names {
            shown.take(&request(gauge(family, &[(&[("pod", name)], 1.0, TIME)])));
        }
    }
    let style = Style {
        exposition: Exposition::negotiate(&HeaderMap::new(), false),
        timestamps: false,
    };
    let mut scrape = Scrape::new(Arc::clone(&shown.store), style);
    let pieces: Vec<_> = std::iter::from_fn(|| scrape.piece()).collect();
    assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() < 70_000));
    let text = String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(text.matches("# TYPE a gauge\n").count(), 1);
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.dedup();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 6000);
}

#[test]
fn wrong_labels_are_refused_when_the_configuration_is_built() {
    let keys: Keys = serde_json::from_str(r#"{"const_labels": {"__a": "b"}}"#).unwrap();
    let error = keys.settings().unwrap_err();
    assert_eq!(error.path, "const_labels");
}

/// Time for what is shown by default to be shown no more.
const LONG: Duration = Duration::from_secs(301);
