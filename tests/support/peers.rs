//! The real clients and servers that `tests/setup` fetches.

use std::path::PathBuf;

/// The path of a peer's file below the peers' folder.
///
/// Where it is missing the test says `skipped: …` and gets none, unless
/// `TIDEGATE_PEERS_REQUIRED` is set: then it fails.
pub fn peer(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TIDEGATE_PEERS")
        .map_or_else(|| super::repository("target/peers"), PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(
        std::env::var_os("TIDEGATE_PEERS_REQUIRED").is_none(),
        "{} is missing; run tests/setup",
        found.display()
    );
    println!("skipped: {} is missing; run tests/setup", found.display());
    None
}
