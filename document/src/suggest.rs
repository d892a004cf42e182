//! The nearest known name to one that is not known.

/// Gives the known name that a misspelt one most likely means, if one is near enough.
///
/// Nearness is the Damerau-Levenshtein distance without regard to case and to `_`, `-` and `.`; a third of the
/// name's length may differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| !matches!(c, '_' | '-' | '.'))
            .flat_map(char::to_lowercase)
            .take(LONGEST)
            .collect()
    };
    let wanted = plain(name);
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| {
            let text = plain(candidate);
            (strsim::damerau_levenshtein(&wanted, &text), candidate)
        })
        .filter(|(distance, candidate)| *distance <= allowed && *candidate != name)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Gives the sentence that helps with an unknown name: the nearest one, else the list of them when it is short.
pub fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    match names.len() {
        0 => None,
        1..=LISTED => Some(format!("known here: {}", names.join(", "))),
        _ => None,
    }
}

// The distance costs time and memory by the square of the length, and keys are outside input.
const LONGEST: usize = 64;
const LISTED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        let known = ["endpoint", "timeout", "sending_queue"];
        assert_eq!(nearest("endpont", known), Some("endpoint"));
        assert_eq!(nearest("sendingQueue", known), Some("sending_queue"));
        assert_eq!(nearest("itmeout", known), Some("timeout"));
    }

    #[test]
    fn nothing_is_suggested_that_is_far() {
        assert_eq!(nearest("colour", ["endpoint", "timeout"]), None);
        assert_eq!(nearest("x", ["endpoint"]), None);
    }

    #[test]
    fn a_short_list_is_given_when_nothing_is_near() {
        assert_eq!(
            did_you_mean("colour", ["http", "grpc"]).as_deref(),
            Some("known here: grpc, http")
        );
    }
}
