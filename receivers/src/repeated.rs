//! Keys that come again, of which OTLP has each only once.

use std::collections::HashMap;

/// Up to here comparing each with each is quicker than a table.
const FEW: usize = 24;

/// Calls `found` with the positions of a key that comes again and of where it comes next, in order.
pub(crate) fn repeated<'k>(
    count: usize,
    key: impl Fn(usize) -> &'k str,
    mut found: impl FnMut(usize, usize),
) {
    if count <= FEW {
        for at in 0..count {
            let again = (at + 1..count).find(|other| key(*other) == key(at));
            if let Some(again) = again {
                found(at, again);
            }
        }
        return;
    }
    let mut last = HashMap::with_capacity(count);
    for at in 0..count {
        if let Some(before) = last.insert(key(at), at) {
            found(before, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_keys_are_compared_alike() {
        let some = ["a", "b", "a", "c", "b", "a"];
        for padding in [0, 100] {
            let keys: Vec<String> = some
                .iter()
                .map(ToString::to_string)
                .chain((0..padding).map(|at| at.to_string()))
                .collect();
            let mut pairs = Vec::new();
            repeated(
                keys.len(),
                |at| &keys[at],
                |before, after| pairs.push((before, after)),
            );
            pairs.sort_unstable();
            assert_eq!(pairs, [(0, 2), (1, 4), (2, 5)]);
        }
    }
}
