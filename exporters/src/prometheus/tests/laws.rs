//! What holds whatever comes, and from however many threads.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::requests::*;
use super::*;

/// A point of a model: label, whether it is a delta, value, start and end.
type Step = (u8, bool, i64, u64, u64);

/// What a label shows: value, start and end.
type Held = (i64, u64, u64);

/// The shown value of each label, by the rules in words.
fn model(steps: &[Step]) -> BTreeMap<u8, i64> {
    let mut shown: BTreeMap<u8, Held> = BTreeMap::new();
    for &(label, delta, value, start, time) in steps {
        let new = match shown.get(&label) {
            None => (value, start, time),
            Some(&(held, begin, end)) if delta && start == end => {
                (held + value, begin, end.max(time))
            }
            Some(&(held, begin, end)) if delta && time == begin && start < time => {
                (held + value, start, end)
            }
            Some(&same @ (_, _, end)) if time < end => same,
            Some(&same @ (_, _, end)) if delta && time == end && start < time => same,
            Some(_) => (value, start, time),
        };
        shown.insert(label, new);
    }
    shown
        .into_iter()
        .map(|(label, (value, ..))| (label, value))
        .collect()
}

proptest! {
    #[test]
    fn sums_are_what_the_rules_say(
        steps in prop::collection::vec((0u8..3, any::<bool>(), 0i64..100, 0u64..6, 0u64..6), 0..40),
    ) {
        let shown = Shown::with(r#"{"without_scope_info": true}"#);
        for &(label, delta, value, start, time) in &steps {
            let label = label.to_string();
            let point = NumberDataPoint {
                attributes: attributes(&[("l", &label)]),
                ..over(value, start, time)
            };
            let temporality = if delta { 1 } else { 2 };
            let taken = shown.take(&request(sum_of("m", temporality, true, vec![point])));
            prop_assert_eq!(taken.rejected, 0);
        }
        let expected: Vec<String> = model(&steps)
            .into_iter()
            .map(|(label, value)| format!("m_total{{l=\"{label}\"}} {value}"))
            .collect();
        prop_assert_eq!(shown.samples(), expected);
    }

    #[test]
    fn whatever_labels_come_every_sample_is_well_formed(
        labels in prop::collection::btree_map(".{0,6}", ".{0,6}", 0..5),
        name in ".{0,8}",
        open: bool,
    ) {
        let shown = Shown::with(r#"{"translation_strategy": "NoTranslation"}"#);
        let pairs: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (&**k, &**v)).collect();
        shown.take(&request(gauge(&name, &[(&pairs, 1.0, TIME)])));
        for escaping in [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values] {
            let format = if open { Format::OpenMetrics("1.0.0") } else { Format::Text };
            let text = String::from_utf8(shown.scrape(format, escaping)).unwrap();
            let lines = text.strip_suffix('\n').map_or(0, |text| text.split('\n').count());
            let expected = if shown.store.sizes()[0] == 0 { 0 } else { 3 } + usize::from(open);
            prop_assert_eq!(lines, expected, "{}", text);
        }
    }
}

#[test]
fn deltas_from_many_threads_are_all_counted_while_others_scrape() {
    const THREADS: u64 = 4;
    const POINTS: u64 = 500;
    let shown = Arc::new(Shown::with(r#"{"without_scope_info": true}"#));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let shown = Arc::clone(&shown);
            scope.spawn(move || {
                let label = thread.to_string();
                for at in 0..POINTS {
                    let own = NumberDataPoint {
                        attributes: attributes(&[("thread", &label)]),
                        ..over(1, at, at + 1)
                    };
                    // All threads bring points of one gauge; the newest must be shown in the end.
                    let shared = NumberDataPoint {
                        time_unix_nano: at * THREADS + thread,
                        ..over((at * THREADS + thread).cast_signed(), 0, 0)
                    };
                    shown.take(&request(sum_of("own", 1, true, vec![own])));
                    shown.take(&request(gauge_of("shared", vec![shared])));
                }
            });
        }
        let shown = Arc::clone(&shown);
        scope.spawn(move || {
            for _ in 0..50 {
                shown.samples();
                shown.store.tidy();
            }
        });
    });
    let mut expected: Vec<String> = (0..THREADS)
        .map(|thread| format!("own_total{{thread=\"{thread}\"}} {POINTS}"))
        .collect();
    expected.push(format!("shared {}", THREADS * POINTS - 1));
    assert_eq!(shown.samples(), expected);
}

#[test]
fn points_and_ends_from_many_threads_leave_nothing_behind() {
    let shown = Arc::new(Shown::new());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let shown = Arc::clone(&shown);
            scope.spawn(move || {
                for at in 0..400_u32 {
                    let label = (at % 7).to_string();
                    let point = NumberDataPoint {
                        attributes: attributes(&[("x", &label)]),
                        flags: (at + thread) % 2,
                        ..over(1, 0, 1)
                    };
                    shown.take(&request(gauge_of("m", vec![point])));
                    if at % 50 == 0 {
                        shown.store.tidy();
                    }
                }
            });
        }
    });
    for label in 0..7 {
        let end = NumberDataPoint {
            attributes: attributes(&[("x", &label.to_string())]),
            flags: 1,
            ..NumberDataPoint::default()
        };
        shown.take(&request(gauge_of("m", vec![end])));
    }
    shown.store.tidy();
    assert_eq!(shown.store.sizes()[..2], [0, 0]);
    assert_eq!(shown.text(), "");
}
