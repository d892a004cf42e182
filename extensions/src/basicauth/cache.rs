//! What was found right already, so that a hash that is slow on purpose is not made for each request.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use rand::RngExt as _;
use sha2::{Digest, Sha256};

/// Credentials that are remembered; there are few users, and each has one password.
const MOST: usize = 1024;

/// Digests of credentials, which nobody can turn back.
#[derive(Debug)]
pub(super) struct Cache {
    salt: [u8; 32],
    right: Mutex<HashSet<[u8; 32]>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            salt: rand::rng().random(),
            right: Mutex::default(),
        }
    }
}

impl Cache {
    pub(super) fn knows(&self, credentials: &[u8]) -> bool {
        let digest = self.digest(credentials);
        self.right().contains(&digest)
    }

    pub(super) fn add(&self, credentials: &[u8]) {
        let digest = self.digest(credentials);
        let mut right = self.right();
        if right.len() >= MOST {
            right.clear();
        }
        right.insert(digest);
    }

    fn digest(&self, credentials: &[u8]) -> [u8; 32] {
        let digest = Sha256::new().chain_update(self.salt);
        digest.chain_update(credentials).finalize().into()
    }

    fn right(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
