//! Exponential histograms, whose buckets move when they are added.

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint as Sent;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets as Side;
use proptest::prelude::*;
use prost::Message;
use tidegate_pdata::view::{
    ExponentialHistogramDataPoint, ExponentialHistogramDataPointFields, View,
};

use super::*;
use crate::prometheus::family::Kind;

fn point(scale: i32, offset: i32, counts: &[u64]) -> Sent {
    Sent {
        count: counts.iter().sum(),
        sum: Some(1.0),
        scale,
        positive: Some(Side {
            offset,
            bucket_counts: counts.to_vec(),
        }),
        ..Sent::default()
    }
}

fn family() -> Family {
    Family::new("a", Kind::Histogram, "")
}

/// Takes points one after the other, as deltas that follow each other.
fn total(points: &[Sent]) -> Result<Native, Rejection> {
    let family = family();
    let meaning = Meaning {
        family: &family,
        delta: true,
        exemplars: false,
    };
    let mut value: Option<Value> = None;
    for sent in points {
        let bytes = sent.encode_to_vec();
        let fields =
            ExponentialHistogramDataPointFields::of(ExponentialHistogramDataPoint::of(&bytes));
        match &mut value {
            None => value = Some(fields.first(meaning)?),
            Some(value) => assert!(fields.add_to(value, meaning)?),
        }
    }
    match value {
        Some(Value::Native(native)) => Ok(*native),
        _ => panic!("an exponential histogram makes no other value"),
    }
}

fn buckets(native: &Native) -> Vec<(i32, u64)> {
    native.positive.iter().collect()
}

#[test]
fn buckets_of_one_scale_add_up() {
    let sum = total(&[point(3, -1, &[1, 0, 4]), point(3, 1, &[2, 3])]).unwrap();
    assert_eq!(buckets(&sum), [(-1, 1), (1, 6), (2, 3)]);
    assert_eq!((sum.count, sum.sum), (10, 2.0));
}

#[test]
fn the_coarser_scale_of_two_is_taken() {
    let sum = total(&[point(1, -3, &[1, 1, 1, 1]), point(0, 0, &[5])]).unwrap();
    assert_eq!(sum.scale, 0);
    assert_eq!(buckets(&sum), [(-2, 1), (-1, 2), (0, 6)]);
}

#[test]
fn scales_that_prometheus_does_not_have_are_made_coarser_or_rejected() {
    let fine = total(&[point(20, 4095, &[1, 1])]).unwrap();
    assert_eq!((fine.scale, buckets(&fine)), (8, vec![(0, 1), (1, 1)]));
    assert_eq!(total(&[point(-5, 0, &[1])]), Err(Rejection::Scale));
    assert_eq!(total(&[point(i32::MIN, 0, &[1])]), Err(Rejection::Scale));
    assert!(total(&[point(i32::MAX, i32::MAX, &[1, 1])]).is_ok());
}

#[test]
fn buckets_that_do_not_add_up_to_the_count_are_rejected() {
    let wrong = Sent {
        count: 5,
        ..point(0, 0, &[1])
    };
    assert_eq!(
        total(std::slice::from_ref(&wrong)),
        Err(Rejection::Malformed)
    );
    let unreal = Sent {
        sum: Some(f64::NAN),
        ..wrong
    };
    assert!(
        total(&[unreal]).is_ok(),
        "values that are no numbers are in no bucket"
    );
    assert_eq!(
        total(&[point(0, i32::MAX - 1, &[1])]),
        Err(Rejection::Malformed)
    );
}

#[test]
fn a_wider_zero_takes_the_buckets_within_it() {
    let wide = Sent {
        zero_threshold: 2.0,
        zero_count: 1,
        count: 3,
        ..point(0, 1, &[2])
    };
    let sum = total(&[point(0, -1, &[1, 2, 4]), wide]).unwrap();
    // The bucket of index 0 ends at 2, and is within; that of index 1 is not.
    assert_eq!(buckets(&sum), [(1, 6)]);
    assert_eq!(
        (sum.zero_count, sum.zero_threshold, sum.count),
        (4, 2.0, 10)
    );
}

#[test]
fn too_many_buckets_make_the_scale_coarser() {
    let many = total(&[point(8, 0, &[1; 10_000])]).unwrap();
    assert_eq!((many.scale, buckets(&many).len()), (6, 2500));
    let hopeless = point(-4, 0, &[1; 10_000]);
    assert_eq!(total(&[hopeless]), Err(Rejection::Malformed));
}

proptest! {
    #[test]
    fn no_value_is_lost_by_adding(
        points in prop::collection::vec(
            (-4i32..12, -300i32..300, prop::collection::vec(0u64..9, 0..40)),
            1..6,
        ),
    ) {
        let points: Vec<Sent> =
            points.iter().map(|(scale, offset, counts)| point(*scale, *offset, counts)).collect();
        let sum = total(&points).unwrap();
        let sent: u64 = points.iter().map(|point| point.count).sum();
        prop_assert_eq!(sum.count, sent);
        let found = buckets(&sum);
        prop_assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), sent);
        prop_assert!(found.windows(2).all(|two| two[0].0 < two[1].0));
        let coarsest = points.iter().map(|point| point.scale.min(8)).min();
        prop_assert_eq!(Some(sum.scale), coarsest);
    }
}
